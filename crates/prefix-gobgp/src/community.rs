//! Communities as operators write them: `65535:666` or a registered name (RFC 1997), or large ones like
//! `4200000000:1:2` (RFC 8092).

use std::fmt;
use std::str::FromStr;

use prefix_core::ownership::LargeCommunity;
use prefix_core::serde_as_text;
use thiserror::Error;

/// The text is no community.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "\"{0}\" is no community, write two numbers from 0 to 65535 like \"65535:666\", three numbers like \"4200000000:1:2\" \
     for a large one, or a name like \"NO_EXPORT\" or \"BLACKHOLE\""
)]
pub struct CommunityError(String);

/// A community (RFC 1997): four octets, written as two numbers from 0 to 65535. Text and JSON are `65535:666`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Community(u32);

/// The well-known communities of IANA's registry that make sense on a route that prefixd originates.
const WELL_KNOWN: [(&str, Community); 9] = [
    ("GRACEFUL_SHUTDOWN", Community(0xffff_0000)),
    ("ACCEPT_OWN", Community(0xffff_0001)),
    ("LLGR_STALE", Community(0xffff_0006)),
    ("NO_LLGR", Community(0xffff_0007)),
    ("BLACKHOLE", Community::BLACKHOLE),
    ("NO_EXPORT", Community::NO_EXPORT),
    ("NO_ADVERTISE", Community(0xffff_ff02)),
    ("NO_EXPORT_SUBCONFED", Community(0xffff_ff03)),
    ("NO_PEER", Community(0xffff_ff04)),
];

impl Community {
    /// The neighbor drops the traffic (RFC 7999).
    pub const BLACKHOLE: Self = Self(0xffff_029a);
    /// The route does not leave the neighbor's autonomous system (RFC 1997).
    pub const NO_EXPORT: Self = Self(0xffff_ff01);

    /// The four octets as a number.
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl From<u32> for Community {
    fn from(octets: u32) -> Self {
        Self(octets)
    }
}

impl FromStr for Community {
    type Err = CommunityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let name = text.replace('-', "_");
        if let Some((_, community)) = WELL_KNOWN.iter().find(|(known, _)| known.eq_ignore_ascii_case(&name)) {
            return Ok(*community);
        }
        let half =
            |part: &str| part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse::<u16>().ok()).flatten();
        text.split_once(':')
            .and_then(|(high, low)| Some((half(high)?, half(low)?)))
            .map(|(high, low)| Self(u32::from(high) << 16 | u32::from(low)))
            .ok_or_else(|| CommunityError(text.to_owned()))
    }
}

impl fmt::Display for Community {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.0 >> 16, self.0 & 0xffff)
    }
}

serde_as_text!(Community, AnyCommunity);

/// A community of the configuration, standard or large. Text and JSON are `65535:666` and `4200000000:1:2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AnyCommunity {
    /// Four octets (RFC 1997).
    Standard(Community),
    /// Three numbers of four octets, for networks whose number has four octets itself (RFC 8092).
    Large(LargeCommunity),
}

impl AnyCommunity {
    /// The standard ones and the large ones among these, each sorted and once.
    pub(crate) fn split(all: impl IntoIterator<Item = Self>) -> (Vec<Community>, Vec<LargeCommunity>) {
        let (mut standard, mut large) = (Vec::new(), Vec::new());
        for community in all {
            match community {
                Self::Standard(community) => standard.push(community),
                Self::Large(community) => large.push(community),
            }
        }
        standard.sort_unstable();
        standard.dedup();
        large.sort_unstable();
        large.dedup();
        (standard, large)
    }
}

impl From<Community> for AnyCommunity {
    fn from(community: Community) -> Self {
        Self::Standard(community)
    }
}

impl FromStr for AnyCommunity {
    type Err = CommunityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts: Vec<&str> = text.split(':').collect();
        let [global, local_1, local_2] = parts[..] else { return text.parse().map(Self::Standard) };
        let number =
            |part: &str| part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse::<u32>().ok()).flatten();
        let large = number(global).zip(number(local_1)).zip(number(local_2));
        large
            .map(|((global, local_1), local_2)| Self::Large(LargeCommunity { global, local_1, local_2 }))
            .ok_or_else(|| CommunityError(text.to_owned()))
    }
}

impl fmt::Display for AnyCommunity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Standard(community) => community.fmt(f),
            Self::Large(community) => community.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_are_the_same_community() {
        for (text, number) in [
            ("65535:666", 0xffff_029a),
            ("BLACKHOLE", 0xffff_029a),
            ("no-export", 0xffff_ff01),
            ("NO_ADVERTISE", 0xffff_ff02),
            ("0:0", 0),
            ("65010:1", 0xfdf2_0001),
        ] {
            assert_eq!(text.parse::<Community>().unwrap().get(), number, "{text}");
        }
        assert_eq!("NO_EXPORT".parse::<Community>().unwrap().to_string(), "65535:65281");
    }

    #[test]
    fn three_numbers_are_a_large_community() {
        let large: AnyCommunity = "4200000000:1:4294967295".parse().unwrap();
        assert_eq!(
            large,
            AnyCommunity::Large(LargeCommunity { global: 4_200_000_000, local_1: 1, local_2: u32::MAX })
        );
        assert_eq!(large.to_string(), "4200000000:1:4294967295");
        assert_eq!("no-export".parse(), Ok(AnyCommunity::from(Community::NO_EXPORT)));
        for text in ["", "1:2:3:4", "4294967296:1:1", "1::2", "-1:1:1", "+1:1:1", "70000:1", "a:b:c"] {
            let message = text.parse::<AnyCommunity>().unwrap_err().to_string();
            assert!(
                message.contains(&format!("{text:?}")) && message.contains("4200000000:1:2"),
                "{message}"
            );
        }
    }

    #[test]
    fn anything_else_is_refused_with_advice() {
        for text in ["", ":", "1", "1:", "1:2:3", "65536:1", "1:65536", "-1:1", "+1:1", "1: 2", "NOEXPORT"] {
            let message = text.parse::<Community>().unwrap_err().to_string();
            assert!(message.contains("65535:666"), "{message}");
        }
    }
}
