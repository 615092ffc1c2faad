//! What ExaBGP received from GoBGP: extended communities of real announcements, and the rules they came with.

use prefix_core::flowspec::{Action, ActionError, ExtendedCommunity, Rule, TrafficAction};
use prefix_core::rate::BitsPerSecond;

fn action(values: &[u64]) -> Result<Action, ActionError> {
    let octets = |value: &u64| ExtendedCommunity(value.to_be_bytes());
    Action::from_extended_communities(&values.iter().map(octets).collect::<Vec<_>>())
}

fn police(bps: u64) -> Result<Action, ActionError> {
    Action::police(Some(BitsPerSecond::saturating(bps)), None)
}

#[test]
fn rates_of_the_capture_are_bytes_per_second() {
    assert_eq!(action(&[9_225_060_886_715_039_744]), Ok(Action::Discard));
    assert_eq!(action(&[9_225_060_887_949_776_512]), police(8 * 1_250_000), "rate-limit:1250000");
    assert_eq!(action(&[9_225_340_103_773_689_472]), police(8 * 1_250_000), "the same with an AS number");
    assert_eq!(action(&[9_225_060_887_890_886_656]), police(8 * 9_600), "rate-limit:9600");
    assert_eq!(action(&[9_225_060_887_922_222_080]), police(8 * 125_000), "rate-limit:125000");
}

#[test]
fn our_communities_are_those_of_the_capture() {
    let sent = |action: Action| {
        action.extended_communities().iter().map(|c| u64::from_be_bytes(c.0)).collect::<Vec<_>>()
    };
    assert_eq!(sent(Action::Discard), [9_225_060_886_715_039_744]);
    assert_eq!(sent(police(10_000_000).unwrap()), [9_225_060_887_949_776_512]);
    assert_eq!(sent(Action::Redirect("65010:666".parse().unwrap())), [9_225_903_052_492_374_682]);
    assert_eq!(sent(Action::Redirect("65010:666".parse().unwrap())).len(), 1);
}

#[test]
fn a_traffic_action_beside_a_rate_changes_nothing() {
    let terminal_sample = 9_225_342_361_691_750_403;
    assert_eq!(action(&[9_225_060_887_863_885_824, terminal_sample]), police(8 * 1_000));
    let both = TrafficAction::from_extended_community(ExtendedCommunity(u64::to_be_bytes(terminal_sample)));
    assert_eq!(both, Some(TrafficAction { sample: true, terminal: true }));
}

#[test]
fn mark_and_redirect_of_the_capture_are_read() {
    assert_eq!(action(&[9_225_903_052_492_374_682]), Ok(Action::Redirect("65010:666".parse().unwrap())));
    assert!(matches!(action(&[9_297_692_425_822_732_954]), Ok(Action::Redirect(_))));
}

#[test]
fn rules_of_the_capture_can_be_written_in_our_words() {
    for (theirs, ours) in [
        ("dst 203.0.113.12/32 proto tcp dport >=1024&<=65535|!=3306", "dport <3306|>=1024&<=65535|>3306"),
        ("dst 203.0.113.13/32 proto tcp flags syn&!ack", "flags syn&!ack"),
        ("dst 203.0.113.14/32 frag is_fragment|first_fragment", "frag is_fragment|first_fragment"),
        ("dst 203.0.113.15/32 len >=1000&<=1500", "len >=1000&<=1500"),
        ("dst 203.0.113.16/32 dscp =46", "dscp =46"),
        ("dst 203.0.113.17/32 src 198.51.100.0/24", "src 198.51.100.0/24"),
        ("dst 203.0.113.18/32 icmp-type =8 icmp-code =0", "icmp-type =8 icmp-code =0"),
        ("dst 203.0.113.19/32 proto udp|tcp port =80|=443", "proto tcp|udp port =80|=443"),
        ("dst 2001:db8::2/128 src 2001:db8:f::/48 label =100", "label =100"),
        (
            "dst 2001:db8::3/128 proto tcp flags syn len >=100 dscp =10 frag is_fragment",
            "proto tcp flags syn len >=100 dscp =10 frag is_fragment",
        ),
    ] {
        let rule: Rule = theirs.parse().unwrap();
        assert!(rule.to_string().ends_with(ours), "{rule}");
        assert_eq!(Rule::decode(rule.family(), rule.nlri().as_bytes()), Ok(rule));
    }
}
