//! The scenarios: what is attacked, what is reported, the rules, and what must become of the packets.
//!
//! The numbers behind the shares: a policer lets its rate pass, whatever comes. Attacks are several times as fast as the
//! policer that meets them, and wanted traffic outside of it is not touched.

use super::report::Report;
use super::scenario::{Mix, Scenario, shares};
use super::traffic::{
    ACK, ESP, HIGH, ICMP, Port, SYN, alike, attack, first, later, of_protocol, tcp, udp, wanted,
};
use serde_json::json;

pub(super) fn all() -> Vec<Scenario> {
    vec![
        captured_by_fastnetmon(),
        flooded_resolver(),
        reflected_dns(),
        reflected_ntp_on_443(),
        syn_flood(),
        quic_and_a_stray_port(),
        game_server(),
        ten_ports(),
        fragments(),
        flooded_vpn(),
        esp(),
        carpet(),
    ]
}

/// Row 1: the detector names no port, its samples do.
fn captured_by_fastnetmon() -> Scenario {
    const RESOLVER: &str = "203.0.113.10";
    Scenario {
        name: "resolver, NTP reflected to its port 53",
        report: Report::CapturedByFastNetMon,
        victims: &[RESOLVER],
        rules: &["main proto udp dport =53 sport =123 | 3200000 bit/s"],
        mixes: vec![Mix {
            flows: vec![
                attack("from 123 to 53", 4_000, udp(Port::Is(123), RESOLVER, Port::Is(53), 1_000)),
                wanted("queries", 300, udp(HIGH, RESOLVER, Port::Is(53), 70)),
                wanted("answers", 200, udp(Port::Is(53), RESOLVER, HIGH, 300)),
                wanted("time", 50, udp(Port::Is(123), RESOLVER, HIGH, 76)),
                wanted("TCP", 100, tcp(RESOLVER, 53, ACK, 100)),
            ],
            whole: shares((70, 100), (95, 100)),
            without: vec![],
        }],
    }
}

/// Rows 1 and 6: nobody names a port, and the second step discards.
fn flooded_resolver() -> Scenario {
    const RESOLVER: &str = "203.0.113.11";
    let queries = || wanted("queries", 300, udp(HIGH, RESOLVER, Port::Is(53), 70));
    let answers = || wanted("answers", 200, udp(Port::Is(53), RESOLVER, HIGH, 300));
    let time = || wanted("time", 50, udp(Port::Is(123), RESOLVER, HIGH, 76));
    Scenario {
        name: "resolver, UDP flood, no ports named, step 2",
        report: Report::Event(json!({"vector": "udp_flood", "confidence": 0.9})),
        victims: &[RESOLVER],
        rules: &[
            "answers proto udp dport <53|>53 sport =53|=123 | 3200000 bit/s",
            "main proto udp dport <53|>53 sport <53|>53&<123|>123 | discard",
            "served proto udp dport =53 | 3200000 bit/s",
        ],
        mixes: vec![
            Mix {
                flows: vec![
                    attack("to any port", 4_000, udp(HIGH, RESOLVER, HIGH, 500)),
                    queries(),
                    answers(),
                    time(),
                ],
                whole: shares((97, 100), (95, 100)),
                without: vec![
                    ("served", shares((97, 100), (95, 100))),
                    ("answers", shares((97, 100), (95, 100))),
                ],
            },
            Mix {
                flows: vec![
                    attack("to 53", 3_000, udp(HIGH, RESOLVER, Port::Is(53), 1_000)),
                    attack("to any port", 3_000, udp(HIGH, RESOLVER, HIGH, 500)),
                    alike("queries", 300, udp(HIGH, RESOLVER, Port::Is(53), 70)),
                    answers(),
                    time(),
                ],
                whole: shares((80, 100), (95, 100)),
                without: vec![
                    ("served", shares((45, 55), (95, 100))),
                    ("answers", shares((80, 100), (95, 100))),
                ],
            },
            Mix {
                flows: vec![
                    attack("from 53", 3_000, udp(Port::Is(53), RESOLVER, HIGH, 1_000)),
                    attack("to any port", 3_000, udp(HIGH, RESOLVER, HIGH, 500)),
                    alike("answers", 200, udp(Port::Is(53), RESOLVER, HIGH, 300)),
                    queries(),
                ],
                whole: shares((80, 100), (95, 100)),
                without: vec![
                    ("served", shares((80, 100), (95, 100))),
                    ("answers", shares((45, 55), (95, 100))),
                ],
            },
        ],
    }
}

/// Row 7: large answers are policed with their fragments, small ones pass.
fn reflected_dns() -> Scenario {
    const RESOLVER: &str = "203.0.113.12";
    Scenario {
        name: "resolver, DNS amplification",
        report: Report::Event(json!({"vector": "dns_amplification", "confidence": 0.9})),
        victims: &[RESOLVER],
        rules: &[
            "main proto udp sport =53 len >=512&<=9216 | 3200000 bit/s",
            "fragments proto udp frag is_fragment | 3200000 bit/s",
        ],
        mixes: vec![Mix {
            flows: vec![
                attack("large answers", 2_500, first(udp(Port::Is(53), RESOLVER, HIGH, 1_400))),
                attack("their fragments", 2_500, later(udp(Port::Is(53), RESOLVER, HIGH, 1_400))),
                alike("large answers", 20, udp(Port::Is(53), RESOLVER, HIGH, 1_200)),
                wanted("small answers", 300, udp(Port::Is(53), RESOLVER, HIGH, 200)),
                wanted("queries", 300, udp(HIGH, RESOLVER, Port::Is(53), 70)),
            ],
            whole: shares((70, 100), (95, 100)),
            without: vec![("fragments", shares((35, 55), (95, 100)))],
        }],
    }
}

/// Row 4: the attacker chooses the destination port, so none is cut out.
fn reflected_ntp_on_443() -> Scenario {
    const WEB: &str = "203.0.113.82";
    Scenario {
        name: "web server, NTP reflected to its port 443, step 2",
        report: Report::Event(json!({"vector": "ntp_amplification", "confidence": 0.9})),
        victims: &[WEB],
        rules: &[
            "main proto udp sport =123 | discard",
            "fragments proto udp frag is_fragment | 3200000 bit/s, 800 packets/s",
        ],
        mixes: vec![Mix {
            flows: vec![
                attack("from 123 to 443", 4_000, udp(Port::Is(123), WEB, Port::Is(443), 468)),
                wanted("QUIC", 300, udp(HIGH, WEB, Port::Is(443), 400)),
                wanted("TCP", 300, tcp(WEB, 443, ACK, 400)),
                wanted("new clients", 50, tcp(WEB, 443, SYN, 60)),
            ],
            whole: shares((97, 100), (95, 100)),
            without: vec![("fragments", shares((97, 100), (95, 100)))],
        }],
    }
}

/// Row 3: connection attempts are bounded at what the service can take, connections are not touched.
fn syn_flood() -> Scenario {
    const WEB: &str = "203.0.113.81";
    Scenario {
        name: "web server, SYN flood, step 2",
        report: Report::Alert("syn_flood"),
        victims: &[WEB],
        rules: &[
            "served proto tcp dport =80|=443 flags syn&!ack | 3200000 bit/s, 800 packets/s",
            "main proto tcp dport <80|>80&<443|>443 flags syn&!ack | 250000 bit/s",
        ],
        mixes: vec![
            Mix {
                flows: vec![
                    attack("SYN to 443", 6_000, tcp(WEB, 443, SYN, 60)),
                    alike("new clients", 50, tcp(WEB, 443, SYN, 60)),
                    wanted("connections", 400, tcp(WEB, 443, ACK, 400)),
                    wanted("QUIC", 200, udp(HIGH, WEB, Port::Is(443), 400)),
                ],
                whole: shares((65, 95), (97, 100)),
                without: vec![("served", shares((0, 3), (97, 100)))],
            },
            Mix {
                flows: vec![
                    attack("SYN to 8080", 6_000, tcp(WEB, 8080, SYN, 60)),
                    wanted("new clients", 100, tcp(WEB, 443, SYN, 60)),
                    wanted("connections", 400, tcp(WEB, 443, ACK, 400)),
                ],
                whole: shares((70, 100), (95, 100)),
                without: vec![("served", shares((70, 100), (95, 100)))],
            },
        ],
    }
}

/// Row 2: stray traffic to a port beside the served one, which is what is attacked.
fn quic_and_a_stray_port() -> Scenario {
    const WEB: &str = "203.0.113.80";
    Scenario {
        name: "web server, UDP flood on 443 and 8443, step 2",
        report: Report::Event(
            json!({"vector": "udp_flood", "confidence": 0.9, "top_dst_ports": [443, 8443]}),
        ),
        victims: &[WEB],
        rules: &[
            "served proto udp dport =443 | 3200000 bit/s, 800 packets/s",
            "main proto udp dport =8443 | discard",
        ],
        mixes: vec![Mix {
            flows: vec![
                attack("to 443", 6_000, udp(HIGH, WEB, Port::Is(443), 500)),
                attack("to 8443", 400, udp(HIGH, WEB, Port::Is(8443), 500)),
                alike("QUIC", 200, udp(HIGH, WEB, Port::Is(443), 400)),
                wanted("connections", 400, tcp(WEB, 443, ACK, 400)),
                wanted("new clients", 50, tcp(WEB, 443, SYN, 60)),
            ],
            whole: shares((70, 100), (97, 100)),
            without: vec![("served", shares((3, 15), (97, 100)))],
        }],
    }
}

/// Row 8: more allowed ports than a rule can hold.
fn game_server() -> Scenario {
    const GAME: &str = "203.0.113.100";
    let players = || wanted("players", 300, udp(HIGH, GAME, Port::Any(27_015, 27_030), 100));
    let voice = || wanted("voice", 100, udp(HIGH, GAME, Port::Is(9987), 200));
    Scenario {
        name: "game server with 24 ports, UDP flood, step 2",
        report: Report::Event(json!({"vector": "udp_flood", "confidence": 0.9})),
        victims: &[GAME],
        rules: &[
            "main proto udp dport >=1&<=3073|>=3075&<=3477|>=3479&<=4378|>=4380&<=4999 | discard",
            "served proto udp dport =3074|=3478|=4379|=5000|=6112|=7777|=8767|=9987 | 3200000 bit/s",
            "main proto udp dport >=5001&<=6111|>=6113&<=7776|>=7778&<=8766|>=8768&<=9986 | discard",
            "main proto udp dport >=9988&<=27014|>=27031&<=65535 | discard",
            "served proto udp dport >=27015&<=27030 | 3200000 bit/s",
        ],
        mixes: vec![
            Mix {
                flows: vec![
                    attack("to stray ports", 2_000, udp(HIGH, GAME, HIGH, 500)),
                    attack("to stray ports", 2_000, udp(HIGH, GAME, Port::Any(1, 3_000), 500)),
                    players(),
                    voice(),
                ],
                whole: shares((97, 100), (95, 100)),
                without: vec![("served", shares((97, 100), (95, 100)))],
            },
            Mix {
                flows: vec![
                    attack("to the served range", 4_000, udp(HIGH, GAME, Port::Any(27_015, 27_030), 1_000)),
                    attack("to stray ports", 400, udp(HIGH, GAME, HIGH, 500)),
                    alike("players", 300, udp(HIGH, GAME, Port::Any(27_015, 27_030), 100)),
                    wanted("TCP", 200, tcp(GAME, 443, ACK, 400)),
                    wanted("ICMP", 50, of_protocol(ICMP, GAME, 84)),
                ],
                whole: shares((70, 100), (97, 100)),
                without: vec![("served", shares((3, 15), (97, 100)))],
            },
        ],
    }
}

/// Row 8: more reported ports than a rule can hold. The first ones are in the rule, the rest is told in a warning.
fn ten_ports() -> Scenario {
    const HOST: &str = "203.0.113.120";
    Scenario {
        name: "host, UDP flood on ten ports, step 2",
        report: Report::Event(json!({
            "vector": "udp_flood", "confidence": 0.9,
            "top_dst_ports": [2000, 2002, 2004, 2006, 2008, 2010, 2012, 2014, 2016, 2018],
        })),
        victims: &[HOST],
        rules: &["main proto udp dport =2000|=2002|=2004|=2006|=2008|=2010|=2012|=2014 | discard"],
        mixes: vec![Mix {
            flows: [2000, 2002, 2004, 2006, 2008, 2010, 2012, 2014, 2016, 2018]
                .map(|port| attack("to ten ports", 400, udp(HIGH, HOST, Port::Is(port), 500)))
                .into_iter()
                .chain([
                    wanted("other UDP", 200, udp(HIGH, HOST, HIGH, 300)),
                    wanted("TCP", 200, tcp(HOST, 443, ACK, 400)),
                ])
                .collect(),
            whole: shares((77, 83), (97, 100)),
            without: vec![],
        }],
    }
}

/// Row 5: the companion takes fragments of the attack's protocol, not those of tunnels.
fn fragments() -> Scenario {
    const VPN: &str = "203.0.113.90";
    Scenario {
        name: "VPN gateway, memcached amplification, step 2",
        report: Report::Event(json!({"vector": "memcached_amplification", "confidence": 0.9})),
        victims: &[VPN],
        rules: &[
            "main proto udp sport =11211 | discard",
            "fragments proto udp frag is_fragment | 4000000 bit/s",
        ],
        mixes: vec![Mix {
            flows: vec![
                attack("from 11211", 1_500, first(udp(Port::Is(11_211), VPN, HIGH, 1_400))),
                attack("fragments of it", 3_000, later(udp(Port::Is(11_211), VPN, HIGH, 1_400))),
                wanted("ESP", 300, of_protocol(ESP, VPN, 1_000)),
                wanted("fragments of ESP", 300, later(of_protocol(ESP, VPN, 400))),
                alike("fragments of UDP 4500", 100, later(udp(HIGH, VPN, Port::Is(4500), 400))),
                wanted("fragments of TCP", 100, later(tcp(VPN, 443, ACK, 400))),
                wanted("UDP 4500", 300, udp(HIGH, VPN, Port::Is(4500), 800)),
            ],
            whole: shares((70, 100), (97, 100)),
            without: vec![("fragments", shares((30, 37), (97, 100)))],
        }],
    }
}

/// A flood on a tunnel's address: what is no tunnel is dropped.
fn flooded_vpn() -> Scenario {
    const VPN: &str = "203.0.113.91";
    Scenario {
        name: "VPN gateway, UDP flood, step 2",
        report: Report::Alert("udp_flood"),
        victims: &[VPN],
        rules: &[
            "served proto udp dport =500|=4500 | 4000000 bit/s",
            "main proto udp dport <500|>500&<4500|>4500 | discard",
        ],
        mixes: vec![Mix {
            flows: vec![
                attack("to any port", 4_000, udp(HIGH, VPN, HIGH, 500)),
                wanted("ESP", 400, of_protocol(ESP, VPN, 1_000)),
                wanted("UDP 4500", 200, udp(HIGH, VPN, Port::Is(4500), 800)),
                wanted("IKE", 50, udp(Port::Is(500), VPN, Port::Is(500), 300)),
            ],
            whole: shares((97, 100), (95, 100)),
            without: vec![("served", shares((97, 100), (95, 100)))],
        }],
    }
}

/// Nothing tells an ESP flood from a tunnel, so nothing is done by itself.
fn esp() -> Scenario {
    const VPN: &str = "203.0.113.92";
    Scenario {
        name: "VPN gateway, ESP flood",
        report: Report::Unanswered(json!({"vector": "esp_flood", "confidence": 0.9})),
        victims: &[VPN],
        rules: &[],
        mixes: vec![Mix {
            flows: vec![
                attack("ESP", 4_000, of_protocol(ESP, VPN, 500)),
                alike("ESP", 400, of_protocol(ESP, VPN, 1_000)),
                wanted("UDP 4500", 200, udp(HIGH, VPN, Port::Is(4500), 800)),
            ],
            whole: shares((0, 3), (97, 100)),
            without: vec![],
        }],
    }
}

/// Row 9, with a rule for each host.
fn carpet() -> Scenario {
    const HOSTS: &[&str] = &[
        "203.0.113.160",
        "203.0.113.161",
        "203.0.113.162",
        "203.0.113.163",
        "203.0.113.164",
        "203.0.113.165",
        "203.0.113.166",
        "203.0.113.167",
        "203.0.113.168",
        "203.0.113.169",
        "203.0.113.170",
        "203.0.113.171",
        "203.0.113.172",
        "203.0.113.173",
        "203.0.113.174",
        "203.0.113.175",
    ];
    let attacks = HOSTS.iter().map(|host| attack("to any port of the 16", 250, udp(HIGH, host, HIGH, 500)));
    let visits = HOSTS.iter().map(|host| wanted("TCP", 30, tcp(host, 443, ACK, 400)));
    let others = wanted("UDP of another", 200, udp(HIGH, "203.0.113.200", HIGH, 300));
    let resolved = alike("their own UDP", 100, udp(Port::Is(53), HOSTS[0], HIGH, 200));
    Scenario {
        name: "16 hosts of a /24, UDP flood on each, step 2",
        report: Report::Alert("udp_flood"),
        victims: HOSTS,
        rules: &["main proto udp | discard"],
        mixes: vec![Mix {
            flows: attacks.chain(visits).chain([others, resolved]).collect(),
            whole: shares((97, 100), (97, 100)),
            without: vec![],
        }],
    }
}
