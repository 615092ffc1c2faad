//! Which nodes of a webhook count, what their words stand for, and what their packets share.

use crate::webhook::{adapter, alert, mistakes, nodes, read};
use prefix_core::protocol::Protocol;
use prefix_signals::webhook::AdapterDocument;
use serde_json::{Value, json};

/// The words are those of the sender, compared as text.
#[test]
fn words_of_the_sender_are_what_the_map_says() {
    let mapped = adapter(|document| {
        document["action_map"] = json!({"attack_start": "ban", "attack_stop": "unban", "false": "unban", "1": "ban",
            "ban": "ignore", "cert": "ignore"});
    });
    let said =
        |value: Value| match nodes(&mapped, &json!({"alerts": [alert(|alert| alert["state"] = value)]}))
            .remove(0)
        {
            None => "ignored".to_owned(),
            Some(Ok(report)) => format!("{:?}", report.action),
            Some(Err(bad)) => bad.error,
        };
    for (value, expected) in [
        (json!("attack_start"), "Ban"),
        (json!("attack_stop"), "Unban"),
        (json!(false), "Unban"),
        (json!(1), "Ban"),
        (json!("cert"), "ignored"),
        (json!("unban"), "Unban"),
        (json!("ban"), "ignored"),
    ] {
        assert_eq!(said(value.clone()), expected, "{value}");
    }
    for value in [json!("ATTACK_START"), json!(true), json!(["attack_start"]), json!("")] {
        assert!(
            said(value.clone()).contains("is none of action_map: 1, attack_start,"),
            "{value}: {}",
            said(value.clone())
        );
    }
    let report = read(&mapped, &json!({"alerts": [alert(|_| ())]})).remove(0).unwrap();
    assert_eq!(format!("{:?}", report.action), "Ban", "without a word it is a ban");
}

#[test]
fn a_node_that_does_not_meet_every_condition_is_left_out() {
    let choosing = adapter(|document| {
        document["when"] = json!([
            {"path": "$.name", "not_equals": "DatasourceError"}, {"path": "$.live", "equals": true},
            {"path": "$.tags[*]", "equals": "ddos"}, {"path": "$.level", "not_equals": 1},
        ]);
    });
    let good = || {
        alert(|alert| {
            alert["live"] = json!(true);
            alert["tags"] = json!(["x", "ddos"]);
        })
    };
    let counts = |change: &dyn Fn(&mut Value)| {
        let mut node = good();
        change(&mut node);
        nodes(&choosing, &json!({"alerts": [node, good()]}))[0].is_some()
    };
    assert!(counts(&|_| ()));
    assert!(counts(&|node| node["name"] = json!("UdpFlood")));
    assert!(!counts(&|node| node["name"] = json!("DatasourceError")));
    assert!(!counts(&|node| node["name"] = json!("datasourceerror")), "in any case");
    assert!(!counts(&|node| node["live"] = json!(false)));
    assert!(!counts(&|node| node["live"] = json!(null)), "nothing is equal to nothing");
    assert!(!counts(&|node| node["tags"] = json!(["x"])));
    assert!(!counts(&|node| node["level"] = json!(1)));
    assert!(!counts(&|node| node["level"] = json!("1")), "compared as text");
    // what is left out needs no victim, and a payload of nothing else is no mistake of its sender
    let nothing = nodes(&choosing, &json!({"alerts": [{"live": false}, {}]}));
    assert_eq!(nothing, [None, None]);
}

/// What else the packets share narrows the rule; source ports that cannot be read would make it wider.
#[test]
fn what_the_packets_share_is_read_from_its_place() {
    let packets = adapter(|document| {
        let fields = document["fields"].as_object_mut().unwrap();
        for (name, path) in [
            ("src_ports", "$.src"),
            ("packet_length", "$.len"),
            ("tcp_flags", "$.flags[*]"),
            ("fragment", "$.frag"),
        ] {
            fields.insert(name.to_owned(), json!(path));
        }
    });
    let said = |change: &dyn Fn(&mut Value)| {
        let item = read(&packets, &json!({"alerts": [alert(change)]})).remove(0);
        item.map(|report| (serde_json::to_value(&report.matches).unwrap(), report.unread))
    };
    let (matches, unread) = said(&|alert| {
        alert["src"] = json!("53,123");
        alert["len"] = json!("60-100");
        alert["flags"] = json!(["SYN", "!ack"]);
        alert["frag"] = json!("is-fragment");
    })
    .unwrap();
    let expected = json!({"src_ports": [53, 123], "packet_length": {"min": 60, "max": 100}, "tcp_flags": ["syn", "!ack"],
        "fragment": ["is_fragment"]});
    assert_eq!((matches, unread), (expected, vec![]));
    assert_eq!(said(&|_| ()).unwrap().0, json!({}));
    let beside = |src: &str, dst: &str| {
        let change = |alert: &mut Value| (alert["src"], alert["ports"]) = (json!(src), json!(dst));
        read(&packets, &json!({"alerts": [alert(change)]})).remove(0).map(|report| report.protocol)
    };
    assert_eq!(beside("53/udp", "443"), Ok(Some(Protocol::Udp)), "the protocol beside source ports counts");
    assert!(beside("53/udp", "443/tcp").unwrap_err().error.contains("is of tcp, and src_ports is of udp"));
    let (matches, unread) = said(&|alert| {
        alert["len"] = json!("long");
        alert["flags"] = json!([5]);
        alert["frag"] = json!("some");
    })
    .unwrap();
    assert_eq!((matches, unread.len()), (json!({}), 3), "named and left out");
    for ports in [json!("53,x"), json!(0), json!([70_000])] {
        let bad = said(&|alert| alert["src"] = ports.clone()).unwrap_err();
        assert!(bad.error.starts_with("src_ports: ") && bad.error.contains("wider"), "{}", bad.error);
        let over = said(&|alert| {
            alert["src"] = ports.clone();
            alert["state"] = json!("unban");
        });
        assert_eq!(over.unwrap().1.len(), 1, "an end always passes");
    }
}

#[test]
fn conditions_and_words_that_cannot_be_meant_are_refused() {
    let found = mistakes(|document| {
        document["when"] = json!([{"path": "$.a"}, {"path": "$.a", "equals": 1, "not_equals": 2},
            {"path": "$.a", "equals": [1]}, {"path": "a", "equals": 1}]);
        document["fields"]["action"] = json!(null);
        document["action_map"] = json!({"x": "ban"});
    });
    let keys: Vec<&str> = found.iter().map(|text| text.split(": ").next().unwrap()).collect();
    assert_eq!(keys, ["action_map", "when[0]", "when[1]", "when[2]", "when[3].path"], "{found:#?}");
    let mut document = json!({"name": "x", "auth": {"type": "bearer"}, "fields": {"victim_ip": "$.a"}});
    document["action_map"] = json!({"x": "kill"});
    assert!(serde_json::from_value::<AdapterDocument>(document).is_err());
}
