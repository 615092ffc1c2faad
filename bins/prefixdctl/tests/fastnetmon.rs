//! `configs/fastnetmon/prefixd-fastnetmon`, the notify script for FastNetMon Community, called as FastNetMon calls it, with
//! a stand-in for prefixdctl that writes down what it was given.

mod host;

use host::{Host, fixtures};
use std::process::Command;
use std::time::{Duration, Instant};

/// Of `NAME.args`: the arguments of a captured call.
fn arguments_of(capture: &str) -> Vec<String> {
    let text = std::fs::read_to_string(fixtures().join(format!("{capture}.args"))).unwrap();
    text.lines().filter_map(|line| Some(line.strip_prefix("argv[")?.split_once('=')?.1.to_owned())).collect()
}

fn captures() -> Vec<String> {
    let files = std::fs::read_dir(fixtures()).unwrap().map(|file| file.unwrap().file_name());
    let names = files.filter_map(|file| Some(file.to_str()?.strip_suffix(".args")?.to_owned()));
    let mut captures: Vec<String> = names.collect();
    captures.sort();
    captures
}

#[test]
fn every_captured_call_becomes_one_request_with_the_json_of_the_api() {
    assert_eq!(captures().len(), 9);
    for capture in captures() {
        let host = Host::new();
        let words = arguments_of(&capture);
        let text = std::fs::read(fixtures().join(format!("{capture}.stdin"))).unwrap();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let called = host.calls(&words, &text);
        assert_eq!(called.code, 0, "{capture}: {}", called.stderr);
        let action = if capture.contains("unban") { "unban" } else { "ban" };
        let expected = std::fs::read_to_string(fixtures().join(format!("{capture}.json"))).unwrap();
        let [sent] = host.sent().try_into().expect("one request");
        assert_eq!(
            sent.arguments,
            format!("--timeout 5 signals fastnetmon - --action {action}"),
            "{capture}"
        );
        assert_eq!(sent.stdin, expected, "{capture}");
        serde_json::from_str::<serde_json::Value>(&sent.stdin).unwrap();
        assert!(host.spooled().is_empty());
    }
}

#[test]
fn settings_come_from_the_file_and_reach_prefixdctl() {
    let host = Host::new();
    host.settings(
        "PREFIXD_API=http://192.0.2.1:8080\nPREFIXD_API_TOKEN='s e c r e t'\nPREFIXD_SOURCE=edge-1\n",
    );
    assert_eq!(host.calls(&["203.0.113.10", "incoming", "3610", "unban"], b"").code, 0);
    let [sent] = host.sent().try_into().expect("one request");
    assert_eq!(sent.arguments, "--timeout 5 signals fastnetmon - --action unban --source edge-1");
    assert_eq!(sent.environment, "http://192.0.2.1:8080 s e c r e t");
}

/// By way of a wrapper from Windows, or a file that was edited there.
#[test]
fn a_carriage_return_is_no_part_of_a_word_nor_of_a_line() {
    let host = Host::new();
    let text = b"Attack type: udp_flood\r\nIncoming udp pps: 7 packets per second\r\nUDP flows: 1\r\n203.0.113.10:53 < 198.51.100.1:123 9 bytes 1 packets\r\n";
    let called = host.calls(&["203.0.113.10\r", "incoming\r", "9000\r", "ban\r"], text);
    assert_eq!((called.code, called.stderr.as_str()), (0, ""));
    let [sent] = host.sent().try_into().expect("one request");
    assert!(!sent.stdin.contains("\\r") && !sent.stdin.contains('\r'), "{}", sent.stdin);
    let expected = r#"{"ip":"203.0.113.10","action":"ban","attack_details":{"attack_type":"udp_flood","attack_direction":"incoming","attack_protocol":"unknown","incoming_udp_pps":7},"flow_dump":["UDP flows: 1","203.0.113.10:53 < 198.51.100.1:123 9 bytes 1 packets"]}"#;
    assert_eq!(sent.stdin.trim(), expected);
}

#[test]
fn an_outgoing_attack_is_told_as_one() {
    let host = Host::new();
    assert_eq!(
        host.calls(&["203.0.113.10", "outgoing", "9000", "ban"], b"Attack direction: incoming\n").code,
        0
    );
    let [sent] = host.sent().try_into().expect("one request");
    assert!(sent.stdin.contains("\"attack_direction\":\"outgoing\""), "{}", sent.stdin);
}

/// A ban by hand (`fastnetmon_api_client ban`) comes with direction `other`, and so does its end.
#[test]
fn every_direction_is_told_as_it_is() {
    for direction in ["incoming", "outgoing", "internal", "other", "unknown", "sideways"] {
        let host = Host::new();
        for action in ["ban", "attack_details", "unban"] {
            let called = host.calls(&["203.0.113.10", direction, "0", action], b"");
            assert_eq!(called.code, 0, "{direction} {action}: {}", called.stderr);
        }
        let sent = host.sent();
        let told = format!("\"attack_direction\":\"{direction}\"");
        assert!(sent.len() == 3 && sent.iter().all(|sent| sent.stdin.contains(&told)), "{sent:?}");
        assert!(sent[2].arguments.ends_with("--action unban"), "{sent:?}");
    }
}

#[test]
fn what_is_no_direction_is_said_and_loses_nothing() {
    for direction in ["", "in\"coming", "../../x", "two words"] {
        let host = Host::new();
        host.prefixdctl_exits_with(2);
        assert_eq!(host.calls(&["203.0.113.10", direction, "0", "ban"], b"").code, 75, "{direction}");
        let called = host.calls(&["203.0.113.10/32", direction, "0", "unban"], b"");
        assert!(called.stderr.contains("not a direction"), "{}", called.stderr);
        assert_eq!(host.spooled(), ["203.0.113.10-incoming.word"]);
        host.prefixdctl_exits_with(0);
        host.spool_empties();
        let last = host.sent().pop().unwrap();
        assert!(last.arguments.ends_with("--action unban"), "{last:?}");
        assert!(last.stdin.contains("\"attack_direction\":\"unknown\""), "{last:?}");
    }
}

/// Also where the words of its ban and of its end differ in their direction.
#[test]
fn an_unban_takes_the_place_of_the_ban_that_waits_whatever_their_directions() {
    for (of_ban, of_unban) in [("other", "incoming"), ("incoming", "other"), ("internal", "outgoing")] {
        let host = Host::new();
        host.prefixdctl_exits_with(2);
        host.calls(&["203.0.113.10", of_ban, "0", "ban"], b"");
        host.calls(&["203.0.113.10", of_unban, "0", "unban"], b"");
        assert_eq!(host.spooled(), ["203.0.113.10-incoming.word"]);
        let before = host.sent().len();
        host.prefixdctl_exits_with(0);
        host.spool_empties();
        let sent = host.sent().split_off(before);
        assert!(sent.iter().all(|sent| sent.arguments.ends_with("--action unban")), "{sent:?}");
    }
}

#[test]
fn an_unban_is_not_lost_while_prefixd_is_away() {
    let host = Host::new();
    host.prefixdctl_exits_with(2);
    let called = host.calls(&["203.0.113.10", "incoming", "3610", "unban"], b"");
    assert_eq!(called.code, 75);
    assert!(called.stderr.contains("prefixd does not answer"), "{}", called.stderr);
    assert_eq!(host.spooled(), ["203.0.113.10-incoming.word"]);
    host.prefixdctl_exits_with(0);
    // Nobody calls again: it is sent in the background.
    host.spool_empties();
    assert!(host.sent().last().unwrap().arguments.contains("--action unban"));
}

#[test]
fn the_next_call_takes_along_what_waits_and_only_the_newest_word_on_an_address_is_sent() {
    let host = Host::new();
    host.prefixdctl_exits_with(2);
    host.calls(&["203.0.113.10", "incoming", "3610", "ban"], b"Attack type: udp_flood\n");
    host.calls(&["203.0.113.10", "incoming", "3610", "unban"], b"");
    host.prefixdctl_exits_with(0);
    let before = host.sent().len();
    assert_eq!(host.calls(&["203.0.113.11", "incoming", "900", "ban"], b"Attack type: syn_flood\n").code, 0);
    host.spool_empties();
    let sent: Vec<String> = host.sent().split_off(before).into_iter().map(|sent| sent.stdin).collect();
    let of = |address: &str| sent.iter().filter(|body| body.contains(address)).collect::<Vec<_>>();
    assert!(of("203.0.113.10\"").iter().all(|body| body.contains("\"unban\"")), "{sent:?}");
    assert_eq!(of("203.0.113.10\"").len(), 1, "{sent:?}");
    assert_eq!(of("203.0.113.11\"").len(), 1, "{sent:?}");
}

#[test]
fn what_prefixd_refuses_is_said_and_not_sent_again() {
    let host = Host::new();
    host.prefixdctl_exits_with(5);
    let called = host.calls(&["203.0.113.10", "incoming", "3610", "ban"], b"Attack type: udp_flood\n");
    assert_eq!(called.code, 0);
    assert!(called.stderr.contains("prefixd refused the ban of 203.0.113.10-incoming"), "{}", called.stderr);
    assert!(host.spooled().is_empty());
}

#[test]
fn a_wrong_token_and_a_missing_prefixdctl_are_named_and_nothing_is_lost() {
    for (code, named) in [(3, "PREFIXD_API_TOKEN"), (127, "cannot run prefixdctl"), (64, "exit code 64")] {
        let host = Host::new();
        host.prefixdctl_exits_with(code);
        let called = host.calls(&["203.0.113.10", "incoming", "3610", "unban"], b"");
        assert!(called.code == 75 && called.stderr.contains(named), "{called:?}");
        assert_eq!(host.spooled(), ["203.0.113.10-incoming.word"]);
        host.prefixdctl_exits_with(0);
        assert_eq!(host.calls(&["--flush"], b"").code, 0);
        host.spool_empties();
    }
}

#[test]
fn a_ban_that_could_not_be_sent_for_an_hour_is_dropped_and_an_unban_is_not() {
    let host = Host::new();
    host.prefixdctl_exits_with(2);
    host.calls(&["203.0.113.10", "incoming", "3610", "ban"], b"Attack type: udp_flood\n");
    host.calls(&["203.0.113.11", "incoming", "3610", "unban"], b"");
    let before = host.sent().len();
    host.ages_the_spool(Duration::from_hours(2));
    host.prefixdctl_exits_with(0);
    host.calls(&["--flush"], b"");
    host.spool_empties();
    let sent = host.sent().split_off(before);
    assert!(sent.iter().all(|sent| sent.stdin.contains("203.0.113.11\",\"action\":\"unban")), "{sent:?}");
    assert_eq!(sent.len(), 1);
}

#[test]
fn a_prefixdctl_that_hangs_does_not_hold_fastnetmon_up() {
    let host = Host::new();
    host.prefixdctl_hangs();
    let began = Instant::now();
    assert_eq!(host.calls(&["203.0.113.10", "incoming", "3610", "unban"], b"").code, 75);
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    host.prefixdctl_exits_with(0);
    host.spool_empties();
}

#[test]
fn fastnetmon_always_finds_a_reader_for_its_text() {
    let long = "Attack type: udp_flood\n".repeat(50_000);
    let host = Host::new();
    host.settings("this is ( no shell\n");
    let called = host.calls(&["203.0.113.10", "incoming", "3610", "ban"], long.as_bytes());
    assert!(called.took_all_of_stdin, "{called:?}");
    for words in [["nonsense!", "incoming", "1", "ban"], ["203.0.113.10", "incoming", "1", "partial_block"]] {
        let host = Host::new();
        let called = host.calls(&words, long.as_bytes());
        assert!(called.took_all_of_stdin && called.code == 64, "{called:?}");
        assert!(host.sent().is_empty());
    }
}

#[test]
fn the_script_has_nothing_that_shellcheck_minds() {
    let checked = Command::new("shellcheck").arg(host::script()).output();
    let checked = checked.expect("shellcheck is installed: run `cargo xtask setup`");
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
}
