//! Actions on matching packets (RFC 8955 §7). Every value of [`Action`] can be encoded without changing its meaning.
#![allow(clippy::similar_names, reason = "`rate_bps` and `rate_pps` are the names of the API")]

use super::{ActionError, RouteTarget};
use crate::rate::{BitsPerSecond, PacketsPerSecond};
use crate::rtbh::TargetSet;
use serde::{Deserialize, Serialize};

words! {
    /// The type of an action.
    pub enum ActionType {
        /// Limit the rate (RFC 8955 §7.1, §7.2).
        Police = "police",
        /// Drop every packet: rate 0 (RFC 8955 §7.1).
        Discard = "discard",
        /// Send to a VRF (RFC 8955 §7.4).
        Redirect = "redirect",
        /// Set the DSCP (RFC 8955 §7.5).
        Mark = "mark",
        /// Remotely triggered blackhole (RFC 7999): a unicast route, no FlowSpec.
        Rtbh = "rtbh",
    }
}

/// A differentiated services code point (RFC 2474), 0..=63.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct Dscp(u8);

impl Dscp {
    /// A code point from 0 to 63.
    ///
    /// # Errors
    /// A larger value.
    pub const fn new(value: u8) -> Result<Self, ActionError> {
        if value <= 63 { Ok(Self(value)) } else { Err(ActionError::Dscp(value as u64)) }
    }

    /// The value, 0..=63.
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl TryFrom<u64> for Dscp {
    type Error = ActionError;

    fn try_from(value: u64) -> Result<Self, Self::Error> {
        u8::try_from(value).map_err(|_| ActionError::Dscp(value)).and_then(Self::new)
    }
}

impl From<Dscp> for u64 {
    fn from(dscp: Dscp) -> Self {
        dscp.0.into()
    }
}

/// The limits of a police action: at least one, and none that the encoding rounds to 0, which would discard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Police {
    rate_bps: Option<BitsPerSecond>,
    rate_pps: Option<PacketsPerSecond>,
}

impl Police {
    /// Limits in bits and/or packets per second; with both, each of them applies.
    ///
    /// # Errors
    /// No limit, less than 8 bit/s, or 0 packets per second.
    pub fn new(
        rate_bps: Option<BitsPerSecond>,
        rate_pps: Option<PacketsPerSecond>,
    ) -> Result<Self, ActionError> {
        if rate_bps.is_none() && rate_pps.is_none() {
            return Err(ActionError::NoRate);
        }
        if let Some(rate) = rate_bps.filter(|rate| rate.get() < 8) {
            return Err(ActionError::RateRoundsToZero(rate));
        }
        if rate_pps.is_some_and(|rate| rate.get() == 0) {
            return Err(ActionError::ZeroPacketRate);
        }
        Ok(Self { rate_bps, rate_pps })
    }

    /// The limit in bits per second, at least 8.
    pub const fn rate_bps(self) -> Option<BitsPerSecond> {
        self.rate_bps
    }

    /// The limit in packets per second, at least 1.
    pub const fn rate_pps(self) -> Option<PacketsPerSecond> {
        self.rate_pps
    }
}

/// What is done with matching packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "ActionParts", into = "ActionParts")]
pub enum Action {
    /// Limit the rate.
    Police(Police),
    /// Drop everything.
    Discard,
    /// Send to the VRF that imports the target.
    Redirect(RouteTarget),
    /// Set the DSCP.
    Mark(Dscp),
    /// Blackhole the host by a unicast route, with the communities and next hop of every black hole.
    Rtbh,
    /// The same with those of these targets.
    RtbhTo(TargetSet),
}

/// The flat form of an [`Action`]: a member per parameter, as in API and storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionParts {
    /// The type.
    pub action_type: ActionType,
    /// Police: the limit in bits per second.
    #[serde(default)]
    pub rate_bps: Option<BitsPerSecond>,
    /// Police: the limit in packets per second.
    #[serde(default)]
    pub rate_pps: Option<PacketsPerSecond>,
    /// Redirect: the route target of the VRF.
    #[serde(default)]
    pub redirect_to: Option<RouteTarget>,
    /// Mark: the code point.
    #[serde(default)]
    pub dscp_mark: Option<Dscp>,
    /// Rtbh: where to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub targets: Option<TargetSet>,
}

impl Action {
    /// A police action.
    ///
    /// # Errors
    /// As [`Police::new`].
    pub fn police(
        rate_bps: Option<BitsPerSecond>,
        rate_pps: Option<PacketsPerSecond>,
    ) -> Result<Self, ActionError> {
        Police::new(rate_bps, rate_pps).map(Self::Police)
    }

    /// The type of the action.
    pub const fn action_type(&self) -> ActionType {
        match self {
            Self::Police(_) => ActionType::Police,
            Self::Discard => ActionType::Discard,
            Self::Redirect(_) => ActionType::Redirect,
            Self::Mark(_) => ActionType::Mark,
            Self::Rtbh | Self::RtbhTo(_) => ActionType::Rtbh,
        }
    }

    /// Whether it is a unicast route, which takes every packet to the host.
    pub const fn is_rtbh(&self) -> bool {
        matches!(self, Self::Rtbh | Self::RtbhTo(_))
    }

    /// The targets of a black hole, if it names any.
    pub const fn targets(&self) -> Option<TargetSet> {
        if let Self::RtbhTo(targets) = self { Some(*targets) } else { None }
    }

    /// The limit of a police action in bits per second.
    pub fn rate_bps(&self) -> Option<BitsPerSecond> {
        if let Self::Police(police) = self { police.rate_bps } else { None }
    }

    /// The limit of a police action in packets per second.
    pub fn rate_pps(&self) -> Option<PacketsPerSecond> {
        if let Self::Police(police) = self { police.rate_pps } else { None }
    }

    /// The flat form.
    pub fn parts(&self) -> ActionParts {
        ActionParts {
            action_type: self.action_type(),
            rate_bps: self.rate_bps(),
            rate_pps: self.rate_pps(),
            redirect_to: if let Self::Redirect(target) = self { Some(*target) } else { None },
            dscp_mark: if let Self::Mark(dscp) = self { Some(*dscp) } else { None },
            targets: self.targets(),
        }
    }

    /// Whether this action passes no more traffic than `other`.
    pub fn strength_at_least(&self, other: &Self) -> bool {
        match (self, other) {
            // the more networks give the host up, the less arrives
            (Self::RtbhTo(own), Self::RtbhTo(theirs)) => own.holds(*theirs),
            (Self::Discard | Self::Rtbh | Self::RtbhTo(_), _) => true,
            (Self::Police(own), Self::Police(theirs)) => {
                within(own.rate_bps, theirs.rate_bps) && within(own.rate_pps, theirs.rate_pps)
            }
            _ => self == other,
        }
    }
}

/// Whether a rate is as low as its limit, if there is one.
fn within<R: PartialOrd>(own: Option<R>, limit: Option<R>) -> bool {
    limit.is_none_or(|limit| own.is_some_and(|own| own <= limit))
}

impl TryFrom<ActionParts> for Action {
    type Error = ActionError;

    fn try_from(parts: ActionParts) -> Result<Self, Self::Error> {
        let ActionParts { action_type: action, rate_bps, rate_pps, redirect_to, dscp_mark, targets } = parts;
        let built = match action {
            ActionType::Police => Self::police(rate_bps, rate_pps)?,
            ActionType::Discard => Self::Discard,
            ActionType::Redirect => Self::Redirect(redirect_to.ok_or(ActionError::NoTarget)?),
            ActionType::Mark => Self::Mark(dscp_mark.ok_or(ActionError::NoMark)?),
            ActionType::Rtbh => targets.map_or(Self::Rtbh, Self::RtbhTo),
        };
        let taken = built.parts();
        let surplus = [
            ("rate_bps", rate_bps != taken.rate_bps),
            ("rate_pps", rate_pps != taken.rate_pps),
            ("redirect_to", redirect_to != taken.redirect_to),
            ("dscp_mark", dscp_mark != taken.dscp_mark),
            ("targets", targets != taken.targets),
        ];
        match surplus.into_iter().find(|(_, given)| *given) {
            Some((member, _)) => Err(ActionError::Surplus { action, member }),
            None => Ok(built),
        }
    }
}

impl From<Action> for ActionParts {
    fn from(action: Action) -> Self {
        action.parts()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn police(bps: impl Into<Option<u64>>, pps: impl Into<Option<u64>>) -> Action {
        let (bps, pps) = (bps.into(), pps.into());
        Action::police(bps.map(BitsPerSecond::saturating), pps.map(PacketsPerSecond::saturating)).unwrap()
    }

    #[test]
    fn a_police_without_rate_can_not_be_built() {
        assert_eq!(Action::police(None, None), Err(ActionError::NoRate));
    }

    #[test]
    fn a_rate_that_would_discard_can_not_be_built() {
        for bps in 0..8 {
            let rate = BitsPerSecond::saturating(bps);
            assert_eq!(Action::police(Some(rate), None), Err(ActionError::RateRoundsToZero(rate)));
        }
        assert!(Action::police(Some(BitsPerSecond::saturating(8)), None).is_ok());
        let none = PacketsPerSecond::saturating(0);
        assert_eq!(Action::police(None, Some(none)), Err(ActionError::ZeroPacketRate));
    }

    #[test]
    fn discard_and_rtbh_are_as_strong_as_anything() {
        let target = Action::Redirect("65000:100".parse().unwrap());
        let mark = Action::Mark(Dscp::new(8).unwrap());
        for weaker in [police(8_000, None), target, mark, Action::Discard, Action::Rtbh] {
            assert!(Action::Discard.strength_at_least(&weaker));
            assert!(Action::Rtbh.strength_at_least(&weaker));
        }
        assert!(!police(8_000, None).strength_at_least(&Action::Discard));
    }

    #[test]
    fn a_police_is_as_strong_if_it_keeps_every_limit_of_the_other() {
        assert!(police(1_000, None).strength_at_least(&police(2_000, None)));
        assert!(!police(2_000, None).strength_at_least(&police(1_000, None)));
        assert!(!police(1_000, None).strength_at_least(&police(2_000, 10)));
        assert!(police(1_000, 10).strength_at_least(&police(2_000, None)));
        assert!(!police(None, 10).strength_at_least(&police(2_000, None)));
    }

    #[test]
    fn redirect_and_mark_are_as_strong_as_themselves_only() {
        let redirect = |text: &str| Action::Redirect(text.parse().unwrap());
        assert!(redirect("65000:100").strength_at_least(&redirect("65000:100")));
        assert!(!redirect("65000:100").strength_at_least(&redirect("65000:101")));
        assert!(!redirect("65000:100").strength_at_least(&police(8_000, None)));
        let mark = |value| Action::Mark(Dscp::new(value).unwrap());
        assert!(mark(8).strength_at_least(&mark(8)));
        assert!(!mark(8).strength_at_least(&mark(10)));
    }

    #[test]
    fn json_is_the_flat_form_of_the_api() {
        for (json, action) in [
            (r#"{"action_type":"police","rate_bps":8000}"#, police(8_000, None)),
            (r#"{"action_type":"discard"}"#, Action::Discard),
            (r#"{"action_type":"mark","dscp_mark":46}"#, Action::Mark(Dscp::new(46).unwrap())),
            (r#"{"action_type":"rtbh","rate_bps":null}"#, Action::Rtbh),
            (
                r#"{"action_type":"rtbh","targets":["transit"]}"#,
                Action::RtbhTo(TargetSet::of(["transit".parse().unwrap()]).unwrap()),
            ),
        ] {
            assert_eq!(serde_json::from_str::<Action>(json).unwrap(), action);
            let again = serde_json::to_string(&action).unwrap();
            assert_eq!(serde_json::from_str::<Action>(&again).unwrap(), action);
        }
        for json in [
            r#"{"action_type":"police"}"#,
            r#"{"action_type":"discard","rate_bps":8000}"#,
            r#"{"action_type":"redirect"}"#,
            r#"{"action_type":"mark","dscp_mark":64}"#,
            r#"{"action_type":"drop"}"#,
            r#"{"action_type":"discard","targets":["transit"]}"#,
        ] {
            assert!(serde_json::from_str::<Action>(json).is_err(), "{json}");
        }
    }
}
