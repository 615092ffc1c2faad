//! The encoding of actions: extended communities (RFC 4360, RFC 8955 §7) of eight octets.

use std::fmt;
use std::net::Ipv4Addr;

use super::{Action, ActionError, Dscp, Police, RouteTarget};
use crate::rate::{BitsPerSecond, PacketsPerSecond};

const TRAFFIC_RATE_BYTES: [u8; 2] = [0x80, 0x06];
const TRAFFIC_ACTION: [u8; 2] = [0x80, 0x07];
const REDIRECT_AS2: [u8; 2] = [0x80, 0x08];
const TRAFFIC_MARKING: [u8; 2] = [0x80, 0x09];
const TRAFFIC_RATE_PACKETS: [u8; 2] = [0x80, 0x0c];
const REDIRECT_IPV4: [u8; 2] = [0x81, 0x08];
const REDIRECT_AS4: [u8; 2] = [0x82, 0x08];

/// An extended community, as eight octets in network order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExtendedCommunity(pub [u8; 8]);

impl ExtendedCommunity {
    /// Type octets and six octets of value.
    fn new([high, low]: [u8; 2], value: [u8; 6]) -> Self {
        let mut octets = [high, low, 0, 0, 0, 0, 0, 0];
        octets[2..].copy_from_slice(&value);
        Self(octets)
    }

    /// The type octets.
    const fn kind(self) -> [u8; 2] {
        [self.0[0], self.0[1]]
    }

    /// `N` octets of the community, from index `at` on.
    fn octets<const N: usize>(self, at: usize) -> [u8; N] {
        std::array::from_fn(|index| self.0[at + index])
    }

    /// Traffic-rate in **bytes** per second (RFC 8955 §7.1). 0 discards. The AS field is 0; it is informational.
    pub fn traffic_rate_bytes(bytes_per_second: f32) -> Self {
        Self::new(TRAFFIC_RATE_BYTES, behind_as_zero(bytes_per_second))
    }

    /// Traffic-rate in packets per second (RFC 8955 §7.2).
    pub fn traffic_rate_packets(packets_per_second: f32) -> Self {
        Self::new(TRAFFIC_RATE_PACKETS, behind_as_zero(packets_per_second))
    }

    /// Redirect to the VRF of a route target (RFC 8955 §7.4).
    pub fn redirect(target: RouteTarget) -> Self {
        let (kind, global, local): (_, &[u8], &[u8]) = match target {
            RouteTarget::As2(asn, local) => (REDIRECT_AS2, &asn.to_be_bytes(), &local.to_be_bytes()),
            RouteTarget::Ipv4(address, local) => (REDIRECT_IPV4, &address.octets(), &local.to_be_bytes()),
            RouteTarget::As4(asn, local) => (REDIRECT_AS4, &asn.to_be_bytes(), &local.to_be_bytes()),
        };
        let mut value = [0; 6];
        value[..global.len()].copy_from_slice(global);
        value[global.len()..].copy_from_slice(local);
        Self::new(kind, value)
    }

    /// Traffic-marking (RFC 8955 §7.5).
    pub fn traffic_marking(dscp: Dscp) -> Self {
        Self::new(TRAFFIC_MARKING, [0, 0, 0, 0, 0, dscp.get()])
    }
}

fn behind_as_zero(rate: f32) -> [u8; 6] {
    let [a, b, c, d] = rate.to_be_bytes();
    [0, 0, a, b, c, d]
}

impl fmt::Display for ExtendedCommunity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{}", hex::encode(self.0))
    }
}

/// The traffic-action community 0x8007 (RFC 8955 §7.3). prefixd never sends it; foreign rules may carry it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TrafficAction {
    /// S: sample and log matching packets.
    pub sample: bool,
    /// T, as encoded: *set* means that routers also apply the rules after this one.
    pub terminal: bool,
}

impl TrafficAction {
    /// Decodes a traffic-action community; `None` for another one.
    pub fn from_extended_community(community: ExtendedCommunity) -> Option<Self> {
        let bits = community.0[7];
        (community.kind() == TRAFFIC_ACTION)
            .then_some(Self { sample: bits & 0x02 != 0, terminal: bits & 0x01 != 0 })
    }

    /// The encoded community.
    pub fn extended_community(self) -> ExtendedCommunity {
        let bits = u8::from(self.sample) << 1 | u8::from(self.terminal);
        ExtendedCommunity::new(TRAFFIC_ACTION, [0, 0, 0, 0, 0, bits])
    }
}

impl Action {
    /// The communities of this action; none for rtbh, whose BLACKHOLE is a plain community (RFC 7999).
    pub fn extended_communities(&self) -> Vec<ExtendedCommunity> {
        match self {
            Self::Police(police) => {
                let bytes = police.rate_bps().map(BitsPerSecond::bytes_per_second_f32);
                let packets = police.rate_pps().map(PacketsPerSecond::packets_per_second_f32);
                let bytes = bytes.map(ExtendedCommunity::traffic_rate_bytes);
                bytes.into_iter().chain(packets.map(ExtendedCommunity::traffic_rate_packets)).collect()
            }
            Self::Discard => vec![ExtendedCommunity::traffic_rate_bytes(0.0)],
            Self::Redirect(target) => vec![ExtendedCommunity::redirect(*target)],
            Self::Mark(dscp) => vec![ExtendedCommunity::traffic_marking(*dscp)],
            Self::Rtbh | Self::RtbhTo(_) => Vec::new(),
        }
    }

    /// The action of these communities. Unknown ones and traffic-action are ignored; of two rates the lower applies; a
    /// rate of 0, below, or NaN discards, whatever the other rate.
    ///
    /// A rate has the 24 bits of precision of its encoding: compare communities to see whether a rule is announced as
    /// it should be.
    ///
    /// # Errors
    /// No community names an action, or they name several.
    pub fn from_extended_communities(communities: &[ExtendedCommunity]) -> Result<Self, ActionError> {
        let mut bytes: Option<f32> = None;
        let mut packets: Option<f32> = None;
        let mut other = None;
        for &community in communities {
            let action = match community.kind() {
                TRAFFIC_RATE_BYTES => {
                    bytes = Some(lower(bytes, f32::from_be_bytes(community.octets(4))));
                    continue;
                }
                TRAFFIC_RATE_PACKETS => {
                    packets = Some(lower(packets, f32::from_be_bytes(community.octets(4))));
                    continue;
                }
                REDIRECT_AS2 => Self::Redirect(RouteTarget::As2(
                    u16::from_be_bytes(community.octets(2)),
                    u32::from_be_bytes(community.octets(4)),
                )),
                REDIRECT_IPV4 => Self::Redirect(RouteTarget::Ipv4(
                    Ipv4Addr::from(community.octets::<4>(2)),
                    u16::from_be_bytes(community.octets(6)),
                )),
                REDIRECT_AS4 => Self::Redirect(RouteTarget::As4(
                    u32::from_be_bytes(community.octets(2)),
                    u16::from_be_bytes(community.octets(6)),
                )),
                // The two bits above the code point are not part of it.
                TRAFFIC_MARKING => Self::Mark(Dscp::new(community.0[7] & 0x3f)?),
                _ => continue,
            };
            if other.replace(action).is_some_and(|previous| previous != action) {
                return Err(ActionError::SeveralActions);
            }
        }
        match (rate_action(bytes, packets)?, other) {
            (Some(_), Some(_)) => Err(ActionError::SeveralActions),
            (Some(action), None) | (None, Some(action)) => Ok(action),
            (None, None) => Err(ActionError::NoAction),
        }
    }
}

/// The lower of two rates; NaN counts as lowest.
fn lower(old: Option<f32>, new: f32) -> f32 {
    match old {
        Some(old) if old.is_nan() || old < new => old,
        _ => new,
    }
}

fn rate_action(bytes: Option<f32>, packets: Option<f32>) -> Result<Option<Action>, ActionError> {
    let discards = |rate: Option<f32>| rate.is_some_and(|rate| rate.is_nan() || rate <= 0.0);
    if discards(bytes) || discards(packets) {
        return Ok(Some(Action::Discard));
    }
    if bytes.is_none() && packets.is_none() {
        return Ok(None);
    }
    // Less than one byte or packet per second still lets something through.
    let bits = bytes.map(|rate| BitsPerSecond::saturating(whole(f64::from(rate) * 8.0).max(8)));
    let packets = packets.map(|rate| PacketsPerSecond::saturating(whole(f64::from(rate)).max(1)));
    Police::new(bits, packets).map(|police| Some(Action::Police(police)))
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // the cast saturates, and rates are positive here
fn whole(rate: f64) -> u64 {
    rate.round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex_of(action: Action) -> Vec<String> {
        action.extended_communities().iter().map(ToString::to_string).collect()
    }

    fn read(communities: &[&str]) -> Result<Action, ActionError> {
        let octets = |text: &&str| ExtendedCommunity(hex::decode(text).unwrap().try_into().unwrap());
        Action::from_extended_communities(&communities.iter().map(octets).collect::<Vec<_>>())
    }

    fn police(bps: Option<u64>, pps: Option<u64>) -> Action {
        Action::police(bps.map(BitsPerSecond::saturating), pps.map(PacketsPerSecond::saturating)).unwrap()
    }

    #[test]
    fn police_sends_bytes_per_second() {
        assert_eq!(hex_of(police(Some(10_000_000), None)), ["0x8006000049989680"]);
        assert_eq!(hex_of(police(None, Some(1_000))), ["0x800c0000447a0000"]);
        assert_eq!(hex_of(police(Some(8), Some(1))), ["0x800600003f800000", "0x800c00003f800000"]);
    }

    #[test]
    fn the_other_actions_have_their_communities() {
        assert_eq!(hex_of(Action::Discard), ["0x8006000000000000"]);
        assert_eq!(hex_of(Action::Mark(Dscp::new(46).unwrap())), ["0x800900000000002e"]);
        assert_eq!(hex_of(Action::Rtbh), [""; 0]);
        let redirect = |text: &str| hex_of(Action::Redirect(text.parse().unwrap()));
        assert_eq!(redirect("65000:100"), ["0x8008fde800000064"]);
        assert_eq!(redirect("192.0.2.1:100"), ["0x8108c00002010064"]);
        assert_eq!(redirect("4200000000:100"), ["0x8208fa56ea000064"]);
        assert_eq!(redirect("65000L:100"), ["0x82080000fde80064"]);
    }

    #[test]
    fn every_action_but_rtbh_is_read_back() {
        for action in [
            police(Some(10_000_000), None),
            police(None, Some(1_000)),
            police(Some(8_000), Some(1)),
            Action::Discard,
            Action::Mark(Dscp::new(0).unwrap()),
            Action::Redirect("65000:4294967295".parse().unwrap()),
            Action::Redirect("192.0.2.1:65535".parse().unwrap()),
            Action::Redirect("65000L:100".parse().unwrap()),
        ] {
            assert_eq!(Action::from_extended_communities(&action.extended_communities()), Ok(action));
        }
    }

    #[test]
    fn a_rate_that_lets_nothing_through_is_a_discard() {
        for rate in [0.0, -0.0, -1.0, f32::NAN, f32::NEG_INFINITY] {
            let community = ExtendedCommunity::traffic_rate_bytes(rate);
            assert_eq!(Action::from_extended_communities(&[community]), Ok(Action::Discard), "{rate}");
            let community = ExtendedCommunity::traffic_rate_packets(rate);
            assert_eq!(Action::from_extended_communities(&[community]), Ok(Action::Discard), "{rate}");
        }
        assert_eq!(read(&["8006000049989680", "800c000000000000"]), Ok(Action::Discard));
    }

    #[test]
    fn rates_beyond_our_numbers_saturate() {
        let endless = ExtendedCommunity::traffic_rate_bytes(f32::INFINITY);
        assert_eq!(Action::from_extended_communities(&[endless]), Ok(police(Some(u64::MAX), None)));
        let tiny = ExtendedCommunity::traffic_rate_bytes(f32::MIN_POSITIVE);
        assert_eq!(Action::from_extended_communities(&[tiny]), Ok(police(Some(8), None)));
    }

    #[test]
    fn of_two_rates_the_lower_holds_in_any_order() {
        let lower = Ok(police(Some(8), None));
        assert_eq!(read(&["800600003f800000", "8006000049989680"]), lower);
        assert_eq!(read(&["8006000049989680", "800600003f800000"]), lower);
        assert_eq!(read(&["800600007fc00000", "8006000049989680"]), Ok(Action::Discard));
        assert_eq!(read(&["8006000049989680", "800600007fc00000"]), Ok(Action::Discard));
    }

    #[test]
    fn several_actions_or_none_are_no_action() {
        assert_eq!(read(&["8006000000000000", "8008fde800000064"]), Err(ActionError::SeveralActions));
        assert_eq!(read(&["8009000000000001", "8009000000000002"]), Err(ActionError::SeveralActions));
        assert_eq!(read(&["8009000000000001", "8009000000000001"]), read(&["8009000000000001"]));
        assert_eq!(read(&["8007000000000003", "0002fde800000064"]), Err(ActionError::NoAction));
        assert_eq!(read(&[]), Err(ActionError::NoAction));
    }

    #[test]
    fn traffic_action_has_its_own_type() {
        let both = TrafficAction { sample: true, terminal: true };
        assert_eq!(both.extended_community().to_string(), "0x8007000000000003");
        for bits in [(false, false), (true, false), (false, true), (true, true)] {
            let action = TrafficAction { sample: bits.0, terminal: bits.1 };
            assert_eq!(TrafficAction::from_extended_community(action.extended_community()), Some(action));
        }
        assert_eq!(TrafficAction::from_extended_community(ExtendedCommunity([0; 8])), None);
    }
}
