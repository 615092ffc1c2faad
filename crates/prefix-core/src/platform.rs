//! What the routers behind the speaker make of a rule: how much of their memory it takes, and what they cannot install.
//!
//! Nothing here changes what is announced. The facts and their sources stand in docs/routers.md; what is unknown there is
//! silent here.

mod entries;
mod limits;

use std::collections::BTreeMap;

use crate::announcer::Route;
use crate::flowspec::Action;

/// So many routers of a platform are named in a warning.
const MOST_NAMED: usize = 3;

words! {
    /// A platform of routers (`bgp.neighbors[].profile`).
    #[derive(Default)]
    pub enum Platform {
        /// Juniper MX and QFX10000.
        JunosMx = "junos-mx",
        /// Juniper PTX.
        JunosPtx = "junos-ptx",
        /// Cisco IOS XR; costs are those of NCS 5500.
        IosXr = "iosxr",
        /// Arista EOS.
        Eos = "eos",
        /// Nokia SR OS.
        SrOs = "sros",
        /// FRR, with a module that installs its rules.
        Frr = "frr",
        /// BIRD.
        Bird = "bird",
        /// Nothing is known of it: ranges are counted as if it expanded them.
        #[default]
        Generic = "generic",
    }
}

impl Platform {
    /// What an operator has to know before any rule is announced to it; `None` where it installs rules as delivered.
    pub const fn caveat(self) -> Option<&'static str> {
        match self {
            Self::JunosPtx => Some(
                "installs no FlowSpec rule as delivered: firewall-install-disable is part of its default configuration",
            ),
            Self::Frr => Some(
                "filters nothing without a module of zebra of your own, and with one it discards only: use rtbh, or filter \
                 elsewhere",
            ),
            Self::Bird => Some("keeps rules in a table and filters nothing: use rtbh, or filter elsewhere"),
            Self::JunosMx | Self::IosXr | Self::Eos | Self::SrOs | Self::Generic => None,
        }
    }
}

/// What the named routers will not do with a rule, one text for each thing: `edge1, edge2 (frr): does not apply ...`.
pub fn warnings<'a>(
    routers: impl IntoIterator<Item = (&'a str, Platform)>,
    route: &Route,
    action: &Action,
) -> Vec<String> {
    let mut names: BTreeMap<Platform, Vec<&str>> = BTreeMap::new();
    for (name, platform) in routers {
        names.entry(platform).or_default().push(name);
    }
    let mut warnings = Vec::new();
    for (platform, mut names) in names {
        let more = names.len().saturating_sub(MOST_NAMED);
        names.truncate(MOST_NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let who = format!("{}{more} ({platform})", names.join(", "));
        warnings.extend(platform.limits(route, action).into_iter().map(|limit| format!("{who}: {limit}")));
    }
    warnings
}
