//! What FastNetMon sees besides its counters, and ends that name no address.

use crate::support::World;
use prefix_signals::fastnetmon;
use serde_json::json;

/// What nearly all samples of the attack share narrows the rule, and says so; fewer, or less alike, say nothing.
#[test]
fn samples_narrow_by_what_nearly_all_of_them_share() {
    let world = World::of("fastnetmon");
    let line = |source: &str, destination: &str, protocol: &str| {
        format!(
            "2026-11-22 16:42:07.1 198.51.100.1:{source} > {destination} protocol: {protocol} frag: 0 packets: 1 size: 60 bytes"
        )
    };
    let read = |counters: &str, lines: &[String], more: &str| {
        let text = format!(
            r#"{{"ip":"203.0.113.1","action":"ban","alert_scope":"host","attack_details":{{{counters}}},"packet_dump":{}{more}}}"#,
            json!(lines)
        );
        fastnetmon::read(text.as_bytes(), None, world.context()).unwrap()
    };
    let (udp, tcp) = (r#""incoming_udp_pps":9"#, r#""incoming_tcp_pps":9"#);
    let lines = |of: &[(usize, &str, &str, &str)]| -> Vec<String> {
        of.iter().flat_map(|(count, from, to, of)| vec![line(from, to, of); *count]).collect()
    };
    let found = |counters: &str, of: &[(usize, &str, &str, &str)]| {
        let report = read(counters, &lines(of), "");
        let protocol = report.protocol.map(|protocol| protocol.to_string());
        (
            report.top_dst_ports.to_string(),
            report.matches.src_ports.to_string(),
            protocol,
            report.unread.len(),
        )
    };
    let (ntp, stray) = ("203.0.113.1:53", "203.0.113.1:9");
    let none = || (String::new(), String::new(), None, 0);
    assert_eq!(found(udp, &[(20, "123", ntp, "udp")]), ("53".into(), "123".into(), None, 2));
    assert_eq!(
        found(udp, &[(18, "123", ntp, "udp"), (2, "7", stray, "udp")]),
        ("53".into(), "123".into(), None, 2)
    );
    assert_eq!(found(udp, &[(17, "123", ntp, "udp"), (3, "7", stray, "udp")]), none());
    assert_eq!(found(udp, &[(19, "123", ntp, "udp")]), none(), "too few");
    assert_eq!(found(tcp, &[(40, "123", ntp, "udp")]), none(), "of another protocol than what was counted");
    assert_eq!(found(udp, &[(40, "123", "203.0.113.2:53", "udp")]), none(), "of another address");
    assert_eq!(found(udp, &[(40, "0", "203.0.113.1:0", "udp")]), none(), "fragments have no ports");
    assert_eq!(found("", &[(40, "7", ntp, "udp")]), ("53".into(), "7".into(), Some("udp".into()), 3));
    assert_eq!(
        found("", &[(40, "0", "203.0.113.1:0", "icmp")]),
        (String::new(), String::new(), Some("icmp".into()), 1)
    );
    assert_eq!(found("", &[(20, "7", ntp, "udp"), (20, "7", ntp, "tcp")]), none(), "of two protocols");
    // a vector of the configuration, or a reflector's, has a match of its own
    let named = r#""attack_type":"ntp_amplification""#;
    assert_eq!(found(named, &[(40, "123", ntp, "udp")]), none());
    let said = read(udp, &lines(&[(38, "123", ntp, "udp"), (2, "7", ntp, "udp")]), "").unread;
    assert_eq!(
        said[1],
        "packet_dump of the report: 38 of 40 samples (95 %) have source port 123, which narrows the rule"
    );
    // what the detector concluded itself stands, and a line that nobody can read is named and counts for nothing
    let rule = r#","flow_spec_rules":[{"destination_ports":[443],"protocols":["udp"]}]"#;
    let mut some = lines(&[(20, "123", ntp, "udp")]);
    some.extend((0..30).map(|_| "gibberish".to_owned()));
    let report = read(udp, &some, rule);
    assert_eq!(
        (report.top_dst_ports.to_string(), report.matches.src_ports.to_string()),
        ("443".into(), "123".into())
    );
    assert_eq!(
        report.unread[0],
        "packet_dump of the report is left out: 30 of 50 entries are no packet, such as \"gibberish\""
    );
    let flagged: Vec<String> = lines(&[(20, "7", ntp, "tcp flags: rst,ack")]);
    assert_eq!(read(tcp, &flagged, "").matches.tcp_flags.to_string(), "!syn&rst&ack");
    let against = lines(&[(20, "7", ntp, "tcp flags: syn")]);
    assert!(read(tcp, &against, "").matches.tcp_flags.is_empty(), "counted as ACK");
}

/// An end is that of its uuid, wherever that is; without one it must say where.
#[test]
fn an_end_without_an_address_is_that_of_its_uuid() {
    let world = World::of("fastnetmon");
    let read = |ip: &str, action: &str, uuid: &str| {
        let text = format!(
            r#"{{{ip}"action":"{action}","alert_scope":"host","attack_details":{{"attack_uuid":"{uuid}"}}}}"#
        );
        fastnetmon::read(text.as_bytes(), None, world.context())
    };
    for (ip, action) in [
        (r#""ip":"0.0.0.0","#, "unban"),
        (r#""ip":"","#, "partial_unblock"),
        ("", "unban"),
        (r#""ip":"x","#, "unban"),
    ] {
        let over = read(ip, action, "u-1").unwrap();
        assert_eq!((over.victim_ip.to_string(), over.unread.len()), ("0.0.0.0".to_owned(), 1), "{ip}");
        assert!(over.ends_everywhere().is_some());
        assert_eq!(read(ip, action, "00000000-0000-0000-0000-000000000000").unwrap_err().pointer(), "/ip");
    }
    assert_eq!(read(r#""ip":"0.0.0.0","#, "ban", "u-1").unwrap_err().pointer(), "/ip");
}

/// Rules of FastNetMon name port 0 where fragments are counted.
#[test]
fn port_0_of_a_rule_stands_for_fragments() {
    let world = World::of("fastnetmon");
    let read = |counters: &str, ports: &str| {
        let text = format!(
            r#"{{"ip":"203.0.113.1","action":"ban","alert_scope":"host","attack_details":{{{counters}}},
            "flow_spec_rules":[{{"protocols":["udp"],"destination_ports":{ports}}}]}}"#
        );
        let report = fastnetmon::read(text.as_bytes(), None, world.context()).unwrap();
        (report.vector.unwrap().to_string(), report.protocol, report.unread)
    };
    let note = "top_dst_ports of the report is 0 alone, which stands for fragments: udp_flood counts as fragment_flood";
    assert_eq!(
        read(r#""incoming_udp_pps":9"#, "[0]"),
        ("fragment_flood".into(), None, vec![note.to_owned()])
    );
    assert_eq!(read("", "[0]").0, "fragment_flood");
    assert_eq!(read(r#""incoming_ip_fragmented_pps":9"#, "[0]"), ("fragment_flood".into(), None, vec![]));
    assert_eq!(read(r#""incoming_icmp_pps":9"#, "[0]").0, "icmp_flood");
}
