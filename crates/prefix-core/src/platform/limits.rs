//! What a platform does with a rule that it cannot install as it was announced.

use super::Platform;
use crate::announcer::Route;
use crate::flowspec::{Action, Bitmask, Component, Numeric, Rule};
use crate::protocol::number;

impl Platform {
    /// What this platform will not do with an action, whatever the match.
    pub const fn refuses_action(self, action: &Action) -> Option<&'static str> {
        match (self, action) {
            (Self::Frr, Action::Police(_)) => {
                Some("does not apply a rate above zero: the rule does nothing there")
            }
            (Self::Bird, Action::Police(_) | Action::Discard | Action::Redirect(_) | Action::Mark(_)) => {
                Some("filters nothing: the rule does nothing there")
            }
            _ => None,
        }
    }

    /// Every way in which this platform will not do what a route and its action say, as the rest of a sentence about a
    /// router; empty where nothing is known against it.
    pub fn limits(self, route: &Route, action: &Action) -> Vec<String> {
        if let Some(refused) = self.refuses_action(action) {
            return vec![refused.to_owned()];
        }
        let Some(rule) = route.rule() else { return Vec::new() };
        match self {
            Self::Frr => frr(rule),
            Self::IosXr => ios_xr(rule),
            Self::SrOs => sr_os(rule),
            Self::JunosMx | Self::JunosPtx | Self::Eos | Self::Bird | Self::Generic => Vec::new(),
        }
    }
}

fn terms(rule: &Rule, component: Component) -> usize {
    rule.numeric(component).map_or(0, |numeric| numeric.intervals(component.max_value()).len())
}

/// As measured with 8.4.4: what zebra asks a module to install.
fn frr(rule: &Rule) -> Vec<String> {
    let mut limits = Vec::new();
    let ports = [Component::DestinationPort, Component::SourcePort];
    if ports.iter().all(|component| rule.numeric(*component).is_some()) {
        limits.push(
            "cannot match source and destination port together: it matches by the source port alone, which is wider"
                .to_owned(),
        );
    }
    for component in ports {
        let Some(numeric) = rule.numeric(component) else { continue };
        match (terms(rule, component), numeric.is_exclusion()) {
            (2, true) if numeric.excluded_ranges(component.max_value()).len() == 1 => limits.push(format!(
                "turns the exclusion of one {component} into its opposite: the rule hits what it shall spare"
            )),
            (2.., _) => limits.push(format!("leaves out a rule with several terms of {component}")),
            _ => {}
        }
    }
    if let Some(flags) = rule.bitmask(Component::TcpFlags)
        && (flags.terms().len() > 1 || flags.terms().iter().any(|term| term.len() > 1))
    {
        limits.push("compares TCP flags as a whole: the rule matches other packets than it says".to_owned());
    }
    let is_gre =
        rule.numeric(Component::Protocol).is_some_and(|protocol| protocol.matches(number::GRE.into()));
    if is_gre {
        limits.push("leaves out a rule for GRE".to_owned());
    }
    limits
}

fn ios_xr(rule: &Rule) -> Vec<String> {
    let values = rule.numeric(Component::IcmpType).map_or(0, Numeric::term_count);
    let several = values > 1 || terms(rule, Component::IcmpType) > 1;
    several
        .then(|| "takes one ICMP type in a rule: a rule with several is not installed".to_owned())
        .into_iter()
        .collect()
}

/// An entry for port 0, ICMP type 0 or an unset flag also matches fragments other than the first.
fn sr_os(rule: &Rule) -> Vec<String> {
    let matches_zero = |component| rule.numeric(component).is_some_and(|numeric| numeric.matches(0));
    let zero = [Component::DestinationPort, Component::SourcePort, Component::IcmpType];
    let mut limits = Vec::new();
    if let Some(component) = zero.into_iter().find(|component| matches_zero(*component)) {
        limits.push(format!(
            "may apply the rule to fragments other than the first too, because it matches {component} 0"
        ));
    }
    let unset = |flags: &Bitmask| flags.terms().iter().flatten().any(|operand| operand.not);
    if rule.bitmask(Component::TcpFlags).is_some_and(unset) {
        limits.push(
            "may apply the rule to fragments other than the first too, because it asks for an unset TCP flag"
                .to_owned(),
        );
    }
    if rule.numeric(Component::PacketLength).is_some() {
        limits.push("matches packet lengths only in a filter of type packet-length".to_owned());
    }
    limits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rate::BitsPerSecond;

    fn limits(platform: Platform, text: &str, action: Action) -> Vec<String> {
        let rule: Rule = format!("dst 203.0.113.80/32 {text}").parse().unwrap();
        platform.limits(&Route::FlowSpec(Box::new(rule)), &action)
    }

    #[track_caller]
    fn says(platform: Platform, text: &str, part: &str) {
        let said = limits(platform, text, Action::Discard);
        assert!(said.iter().any(|one| one.contains(part)), "{platform}: {text}: {said:?}");
    }

    #[track_caller]
    fn installs(platform: Platform, text: &str) {
        assert_eq!(limits(platform, text, Action::Discard), Vec::<String>::new(), "{platform}: {text}");
    }

    #[test]
    fn frr_is_told_by_what_it_was_seen_to_do() {
        let police = Action::police(Some(BitsPerSecond::try_from(50_000_000_u64).unwrap()), None).unwrap();
        assert_eq!(
            limits(Platform::Frr, "proto udp", police),
            ["does not apply a rate above zero: the rule does nothing there"]
        );
        installs(Platform::Frr, "proto udp");
        installs(Platform::Frr, "proto udp dport =53");
        installs(Platform::Frr, "proto udp dport >=1000&<=2000");
        installs(Platform::Frr, "proto icmp icmp-type =3|=8");
        installs(Platform::Frr, "proto udp frag is_fragment");
        says(Platform::Frr, "proto udp dport <53|>53", "hits what it shall spare");
        says(Platform::Frr, "proto tcp dport =80|=443", "several terms of destination port");
        says(Platform::Frr, "proto tcp dport <80|>80&<443|>443", "several terms of destination port");
        says(Platform::Frr, "proto udp dport =80 sport =53", "together");
        says(Platform::Frr, "proto tcp flags syn&!ack", "TCP flags");
        says(Platform::Frr, "proto gre", "GRE");
    }

    #[test]
    fn other_platforms_are_told_by_their_documentation() {
        says(Platform::IosXr, "proto icmp icmp-type =3|=8", "one ICMP type");
        installs(Platform::IosXr, "proto icmp icmp-type =8");
        says(Platform::SrOs, "proto udp dport <53|>53", "destination port 0");
        says(Platform::SrOs, "proto tcp flags syn&!ack", "unset TCP flag");
        says(Platform::SrOs, "proto udp sport =53 len >=512&<=9216", "packet-length");
        installs(Platform::SrOs, "proto udp dport =53");
        installs(Platform::JunosMx, "proto udp dport <53|>53 sport <53|>53");
        says(Platform::Bird, "proto udp", "filters nothing");
    }

    #[test]
    fn a_black_hole_is_a_route_that_every_platform_takes() {
        let route = Route::Blackhole("203.0.113.80/32".parse().unwrap());
        assert!(Platform::ALL.iter().all(|platform| platform.limits(&route, &Action::Rtbh).is_empty()));
    }
}
