//! Rules of `bgp`: the marks of own paths must be possible, and the pace bearable.

use std::collections::BTreeSet;

use prefix_core::ownership::Owner;
use prefix_diagnostics::Diagnostics;
use prefix_gobgp::{AnyCommunity, Endpoint};

use crate::settings::Keys;
use crate::settings::bgp::{BgpKeys, NeighborKeys, OldMode, SpeakerTlsKeys};

/// Above it speakers pack withdrawals into messages that routers refuse.
const SAFE_PACE: u32 = 10_000;

pub(super) fn check(keys: &Keys, found: &mut Diagnostics) {
    let bgp = &keys.bgp;
    identity(bgp, found);
    if let (Some(_), Some(_)) = (bgp.backend_key, bgp.mode) {
        found.error_of("bgp.mode", "is the old name of bgp.backend: keep only bgp.backend");
    } else if let Some(mode) = bgp.mode {
        let word = if mode == OldMode::Mock { "mock" } else { "gobgp" };
        found.warning_of("bgp.mode", format!("is now called bgp.backend: write \"backend: {word}\""));
    }
    if let Some(keys) = &bgp.gobgp_tls {
        let is_unix = matches!(bgp.gobgp_grpc, Some(Endpoint::Unix(_)));
        tls("bgp.gobgp_tls", "bgp.gobgp_tls", keys, is_unix, found);
    }
    speakers(bgp, found);
    found.range("bgp.owner_tag", bgp.owner_tag, 1..=Owner::MAX_TAG);
    found.range("bgp.max_changes_per_second", bgp.max_changes_per_second, 1..=1_000_000);
    if bgp.max_changes_per_second > SAFE_PACE {
        found.warning_of(
            "bgp.max_changes_per_second",
            format!("above {SAFE_PACE} makes speakers send messages that routers refuse"),
        );
    }
    found.range("bgp.announce_timeout_ms", bgp.announce_timeout_ms, 0..=60_000);
    found.range("bgp.connect_timeout_seconds", bgp.connect_timeout_seconds, 1..=300);
    found.range("bgp.request_timeout_seconds", bgp.request_timeout_seconds, 1..=300);
    found.range("bgp.withdraw_alarm_seconds", bgp.withdraw_alarm_seconds, 1..=super::DAY);
    found.range("bgp.guard.grace_seconds", bgp.guard.grace_seconds, 0..=3600);
    communities(bgp, found);
    neighbors(&bgp.neighbors, found);
    routers(keys, found);
}

/// A configured community that reads like one of the marks of own paths would make paths look like another's.
fn communities(bgp: &BgpKeys, found: &mut Diagnostics) {
    let marks = bgp.owner_tag..=bgp.owner_tag.saturating_add(2);
    let lists = [("communities", &bgp.communities), ("rtbh_communities", &bgp.rtbh_communities)];
    let mut lists: Vec<_> = lists.into_iter().map(|(key, list)| (key.to_owned(), list)).collect();
    for (name, target) in &bgp.rtbh_targets {
        lists.push((format!("rtbh_targets.{name}.communities"), &target.communities));
        if target.communities.is_empty() {
            let text = format!(
                "rtbh_targets.{name}: communities must not be empty: by them an upstream knows what to drop"
            );
            found.error(format!("bgp.rtbh_targets.{name}"), text);
        }
        for (key, unspecified) in [
            ("next_hop_v4", target.next_hop_v4.is_some_and(|hop| hop.is_unspecified())),
            ("next_hop_v6", target.next_hop_v6.is_some_and(|hop| hop.is_unspecified())),
        ] {
            if unspecified {
                let text = format!(
                    "rtbh_targets.{name}.{key} must be an address that routers discard, not the unspecified one"
                );
                found.error(format!("bgp.rtbh_targets.{name}.{key}"), text);
            }
        }
    }
    for (key, list) in lists {
        for (index, community) in list.iter().enumerate() {
            let AnyCommunity::Large(large) = community else { continue };
            if Some(large.global) == bgp.local_asn && marks.contains(&large.local_1) {
                let text = format!(
                    "{key}[{index}]: {large} is a mark of own paths (bgp.owner_tag {}): choose another second number",
                    bgp.owner_tag
                );
                found.error(format!("bgp.{key}.{index}"), text);
            }
        }
    }
}

fn identity(bgp: &BgpKeys, found: &mut Diagnostics) {
    match bgp.local_asn {
        None => found
            .error("bgp.local_asn", "missing key \"local_asn\" in bgp: the autonomous system of this site"),
        Some(0) => found.error_of("bgp.local_asn", "must be 1..4294967295, not 0"),
        Some(_) => {}
    }
    match bgp.router_id {
        None => found.error(
            "bgp.router_id",
            "missing key \"router_id\" in bgp: the BGP identifier, like \"10.0.0.1\"",
        ),
        Some(id) if id.is_unspecified() => {
            found.error_of("bgp.router_id", "must not be 0.0.0.0");
        }
        Some(_) => {}
    }
}

fn tls(path: &str, shown: &str, tls: &SpeakerTlsKeys, is_unix: bool, found: &mut Diagnostics) {
    if tls.cert.is_some() != tls.key.is_some() {
        found.error(path, format!("{shown}.cert and {shown}.key need each other"));
    }
    if tls.cert.is_some() && tls.ca.is_none() {
        found.error(path, format!("{shown}.cert needs {shown}.ca: who is the speaker?"));
    }
    if tls.ca.is_some() && is_unix {
        found.warning(path, format!("{shown} is not used on a unix socket"));
    }
}

/// Every own rule goes to each, so each must be another one, and be known by another name.
fn speakers(bgp: &BgpKeys, found: &mut Diagnostics) {
    let Some(speakers) = &bgp.speakers_key else { return };
    let single = [
        ("gobgp_grpc", bgp.gobgp_grpc.is_some()),
        ("gobgp_api", bgp.gobgp_api.is_some()),
        ("gobgp_tls", bgp.gobgp_tls.is_some()),
    ];
    for (key, _) in single.into_iter().filter(|(_, given)| *given) {
        found.error_of(
            &format!("bgp.{key}"),
            "and bgp.speakers exclude each other: it belongs into the elements of bgp.speakers",
        );
    }
    if speakers.is_empty() {
        found.error_of(
            "bgp.speakers",
            "must not be empty: name at least one speaker, or leave the key out and use bgp.gobgp_grpc",
        );
    }
    let (mut names, mut addresses) = (BTreeSet::new(), BTreeSet::new());
    for (index, speaker) in speakers.iter().enumerate() {
        let path = format!("bgp.speakers.{index}");
        let mut error = |key: &str, text: String| {
            found.error(format!("{path}.{key}"), format!("speakers[{index}].{key}: {text}"));
        };
        if !names.insert(speaker.name.as_str()) {
            error("name", format!("{:?} is the name of another speaker", speaker.name.as_str()));
        }
        let address = speaker.gobgp_grpc.to_string();
        if !addresses.insert(address.to_ascii_lowercase()) {
            error("gobgp_grpc", format!("{address} is the address of another speaker"));
        }
        let is_unix = matches!(speaker.gobgp_grpc, Endpoint::Unix(_));
        tls(
            &format!("{path}.gobgp_tls"),
            &format!("speakers[{index}].gobgp_tls"),
            &speaker.gobgp_tls,
            is_unix,
            found,
        );
    }
}

fn neighbors(neighbors: &[NeighborKeys], found: &mut Diagnostics) {
    let (mut names, mut addresses) = (BTreeSet::new(), BTreeSet::new());
    for (index, neighbor) in neighbors.iter().enumerate() {
        let mut error = |key: &str, text: String| {
            found.error(format!("bgp.neighbors.{index}.{key}"), format!("neighbors[{index}].{key}{text}"));
        };
        if neighbor.name.trim().is_empty() {
            error("name", " must not be empty".to_owned());
        } else if !names.insert(&neighbor.name) {
            error("name", format!(": {:?} is the name of another neighbor", neighbor.name));
        }
        if !addresses.insert(neighbor.address) {
            error("address", format!(": {} is the address of another neighbor", neighbor.address));
        }
        if neighbor.peer_asn == 0 {
            error("peer_asn", " must be 1..4294967295, not 0".to_owned());
        }
        if neighbor.password_env.is_some() {
            let text = "password_env is ignored: passwords of sessions belong to the speaker";
            found
                .warning(format!("bgp.neighbors.{index}.password_env"), format!("neighbors[{index}].{text}"));
        }
    }
}

/// What the routers will not do: prefixd announces all the same, so somebody has to know.
fn routers(keys: &Keys, found: &mut Diagnostics) {
    let most_rules = keys.quotas.pop_limit();
    for (index, neighbor) in keys.bgp.neighbors.iter().enumerate() {
        let at = |key: &str| format!("bgp.neighbors.{index}.{key}");
        if let Some(caveat) = neighbor.profile.caveat() {
            let text =
                format!("neighbors[{index}].profile: {} ({}) {caveat}", neighbor.name, neighbor.profile);
            found.warning(at("profile"), text);
        }
        match neighbor.max_entries {
            Some(0) => {
                let text = format!(
                    "neighbors[{index}].max_entries must be at least 1, not 0; leave it out if it is not known"
                );
                found.error(at("max_entries"), text);
            }
            Some(most) if most < most_rules => {
                let text = format!(
                    "neighbors[{index}].max_entries: {} holds {most} entries, and the quotas let {most_rules} rules be \
                     announced, each of at least one entry: set quotas.max_announcements_per_peer to what the smallest \
                     router holds",
                    neighbor.name
                );
                found.warning(at("max_entries"), text);
            }
            _ => {}
        }
    }
}
