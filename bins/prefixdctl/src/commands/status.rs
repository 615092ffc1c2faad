//! `status`: everything that matters at three in the morning, worst first, on one screen.

use crate::exit::{Exit, Failure};
use crate::human::{age, span};
use crate::output::{Cell, Column, Eyes, Format, Prose, Shown, Tone, table};
use crate::session::Session;
use crate::views::{MITIGATIONS, PEERS, scope_of};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use prefix_client::{
    ApiError, HealthDetail, Mitigation, MitigationQuery, MitigationStatus, Page, PageQuery, PanicState, Peer,
    PeerState, Reply,
};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// How many rules fit on the screen beside everything else.
const RULES: u32 = 10;

/// Shows the screen; exit 0 also when degraded.
pub(crate) async fn run(session: &Session) -> Result<Exit, Failure> {
    use MitigationStatus::{Active, Escalated, Pending, Withdrawing};
    let client = session.client()?;
    // Queued rules are only counted: hundreds that wait would hide the few that filter.
    let living = MitigationQuery {
        status: vec![Pending, Active, Escalated, Withdrawing],
        page: PageQuery { limit: Some(RULES), ..PageQuery::default() },
        ..MitigationQuery::default()
    };
    let (health, peers, stats, rules, panic) = futures::join!(
        client.health_detail(),
        client.peers(),
        client.stats(),
        client.mitigations(&living),
        client.panic_state()
    );
    // Without the health there is no status; anything else may be missing, and is said to be.
    let health = health?;
    match session.format() {
        Format::Json | Format::Yaml => {
            let bodies = BTreeMap::from([
                ("health", Some(&health.body)),
                ("peers", peers.as_ref().ok().map(|reply| &reply.body)),
                ("panic", panic.as_ref().ok().map(|reply| &reply.body)),
                ("stats", stats.as_ref().ok().map(|reply| &reply.body)),
                ("mitigations", rules.as_ref().ok().map(|reply| &reply.body)),
            ]);
            let part = |body: Option<&Bytes>| serde_json::from_slice::<Box<RawValue>>(body?).ok();
            let parts: BTreeMap<_, _> = bodies.iter().map(|(name, body)| (name, part(*body))).collect();
            session.print_own(&parts)?;
        }
        Format::Csv => session.print_row(FACTS, &health.value)?,
        Format::Table | Format::Wide => {
            let is_frozen = health.value.panic.as_ref().is_some_and(|panic| panic.frozen);
            let unread = PanicState { frozen: is_frozen, scopes: Vec::new() };
            let panic = panic.map_or(unread, |reply| reply.value);
            let total = stats.as_ref().ok().map(|reply| reply.value.total_events);
            session.print(&screen(session.eyes(), &health.value, &panic, &peers, total, &rules))?;
        }
    }
    Ok(Exit::Ok)
}

/// The columns of the one line that CSV shows.
const FACTS: &[Column<HealthDetail>] = &[
    Column::new("status", Shown::Always, |row| Cell::text(&row.status)),
    Column::new("pop", Shown::Always, |row| Cell::text(&row.pop)),
    Column::new("mode", Shown::Always, |row| Cell::text(&row.mode)),
    Column::new("version", Shown::Always, |row| Cell::text(&row.version)),
    Column::new("uptime_seconds", Shown::Always, |row| Cell::text(row.uptime_seconds)),
    Column::new("active", Shown::Always, |row| Cell::text(row.active_mitigations)),
    Column::new("pending", Shown::Always, |row| Cell::text(row.pending_mitigations)),
    Column::new("queued", Shown::Always, |row| Cell::optional(row.queued_mitigations)),
    Column::new("withdraw_stuck", Shown::Always, |row| Cell::text(row.withdraw_stuck)),
    Column::new("foreign_rules", Shown::Always, |row| Cell::text(row.foreign_rules)),
    Column::new("database", Shown::Always, |row| Cell::text(&row.database)),
    Column::new("speaker", Shown::Always, |row| Cell::text(&row.gobgp.status)),
    Column::new("frozen", Shown::Always, |row| {
        Cell::text(row.panic.as_ref().is_some_and(|panic| panic.frozen))
    }),
    Column::new("problems", Shown::Always, |row| Cell::list(&row.problems)),
];

/// The whole screen.
fn screen(
    eyes: Eyes,
    health: &HealthDetail,
    panic: &PanicState,
    peers: &Result<Reply<Vec<Peer>>, ApiError>,
    events: Option<u64>,
    rules: &Result<Reply<Page<Mitigation>>, ApiError>,
) -> String {
    let mut prose = Prose::new(eyes);
    headline(&mut prose, health);
    alarms(&mut prose, health, panic);
    prose.line("");
    parts(&mut prose, health);
    counts(&mut prose, health, events);
    prose.heading("BGP");
    match peers {
        Ok(reply) if reply.value.is_empty() => prose.line("  no neighbors configured"),
        Ok(reply) => prose.block(&table(PEERS, &reply.value, Shown::Table, eyes, 2)),
        Err(error) => prose.item(Tone::Bad, "✗", &format!("cannot be read: {error}")),
    }
    prose.heading("Rules");
    match rules {
        Ok(reply) if reply.value.items.is_empty() => prose.line("  none: nothing is filtered"),
        Ok(reply) => {
            prose.block(&table(MITIGATIONS, &reply.value.items, Shown::Table, eyes, 2));
            if reply.value.next_cursor.is_some() {
                prose.line(format!("  the newest {RULES}; more with `prefixdctl mitigations list`"));
            }
        }
        Err(error) => prose.item(Tone::Bad, "✗", &format!("cannot be read: {error}")),
    }
    prose.finish()
}

fn headline(prose: &mut Prose, health: &HealthDetail) {
    let paint = prose.eyes.paint;
    let tone = if health.is_healthy() { Tone::Good } else { Tone::Bad };
    let mode = if health.is_enforced() {
        paint.paint(Tone::Plain, "enforced")
    } else {
        paint.paint(Tone::Warn, &format!("{}: nothing is announced", health.mode))
    };
    prose.line(format!(
        "{}  {}  {}  {mode}  up {}",
        paint.paint(tone, &format!("● {}", health.status)),
        paint.paint(Tone::Strong, &health.pop),
        paint.paint(Tone::Dim, &format!("prefixd {}", health.version)),
        span(health.uptime_seconds),
    ));
}

/// What somebody has to do something about.
fn alarms(prose: &mut Prose, health: &HealthDetail, panic: &PanicState) {
    let now = prose.eyes.now;
    let mut lines = frozen(panic, now);
    lines.extend(health.problems.iter().cloned());
    if lines.is_empty() && !health.is_healthy() {
        lines.push("the server names no problem".to_owned());
    }
    if !lines.is_empty() {
        prose.line("");
    }
    for line in lines {
        prose.toned(Tone::Bad, &format!("  ✗ {line}"));
    }
}

/// What the kill switch holds, one line for each time it was pulled.
fn frozen(panic: &PanicState, now: DateTime<Utc>) -> Vec<String> {
    let mut lines: Vec<_> = panic
        .scopes
        .iter()
        .map(|scope| {
            let place = scope_of(scope.pop.as_deref(), scope.customer_id.as_deref());
            let since = scope.started_at.map(|time| format!(", {}", age(time, now))).unwrap_or_default();
            format!("FROZEN: {place}: {} ({}{since})", scope.reason, scope.started_by)
        })
        .collect();
    if panic.frozen {
        if lines.is_empty() {
            lines.push("FROZEN: the kill switch is on".to_owned());
        }
        lines.push("nothing new is announced there until `prefixdctl thaw`".to_owned());
    }
    lines
}

/// The parts that prefixd is made of, each with a light.
fn parts(prose: &mut Prose, health: &HealthDetail) {
    let now = prose.eyes.now;
    match (health.gobgp.status.as_str(), &health.gobgp.error) {
        // Dry-run needs no speaker, so nobody asked it.
        ("unknown", None) => prose.item(Tone::Dim, "○", "speaker   not asked"),
        (status, Some(error)) => prose.item(Tone::Bad, "●", &format!("speaker   {status}: {error}")),
        (status, None) => prose.item(Tone::Good, "●", &format!("speaker   {status}")),
    }
    light(prose, health.database == "connected", "storage", &health.database);
    let sessions = health.bgp_sessions.len();
    let up = health.bgp_sessions.values().filter(|state| **state == PeerState::Established).count();
    if sessions > 0 {
        light(prose, up > 0, "sessions", &format!("{up} of {sessions} established"));
    }
    if let Some(guard) = &health.guard {
        let seen = guard.last_seen.map(|time| format!(", seen {}", age(time, now))).unwrap_or_default();
        let state = if guard.alive { "alive" } else { "silent" };
        match (guard.mode.as_str(), guard.alive) {
            // a guard that somebody runs by hand still guards
            ("off", false) if health.is_enforced() => {
                prose.item(Tone::Warn, "○", "guard     off: rules outlive a daemon that dies");
            }
            // in dry-run there is nothing to guard
            (_, false) if !health.is_enforced() => prose.item(Tone::Dim, "○", "guard     not needed"),
            (mode, alive) => light(prose, alive, "guard", &format!("{state} ({mode}{seen})")),
        }
    }
    if let Some(leader) = &health.leader {
        let instance = leader.instance.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
        match (leader.is_leader, &leader.instance) {
            (true, _) => light(prose, true, "leader", &format!("this instance announces{instance}")),
            (false, Some(_)) => {
                light(prose, true, "leader", &format!("another instance announces{instance}"));
            }
            (false, None) => light(prose, false, "leader", "nobody announces at this site"),
        }
    }
    if let Some(loaded) = health.config_loaded_at {
        light(prose, true, "config", &format!("read {}", age(loaded, now)));
    }
}

fn light(prose: &mut Prose, good: bool, label: &str, text: &str) {
    let tone = if good { Tone::Good } else { Tone::Bad };
    prose.item(tone, "●", &format!("{label:<9} {text}"));
}

fn counts(prose: &mut Prose, health: &HealthDetail, events: Option<u64>) {
    let paint = prose.eyes.paint;
    let stuck = if health.withdraw_stuck > 0 { Tone::Bad } else { Tone::Dim };
    let mut counts = vec![
        paint.paint(Tone::Strong, &format!("{} active", health.active_mitigations)),
        format!("{} pending", health.pending_mitigations),
    ];
    counts.extend(health.queued_mitigations.map(|count| {
        let tone = if count > 0 { Tone::Warn } else { Tone::Plain };
        paint.paint(tone, &format!("{count} queued"))
    }));
    counts.extend([
        paint.paint(stuck, &format!("{} stuck", health.withdraw_stuck)),
        paint.paint(Tone::Dim, &format!("{} foreign", health.foreign_rules)),
    ]);
    counts.extend(events.map(|count| paint.paint(Tone::Dim, &format!("{count} events stored"))));
    prose.line("");
    prose.line(format!("  {}", counts.join("   ")));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Paint;
    use chrono::TimeZone;

    fn reply<T: serde::de::DeserializeOwned>(value: serde_json::Value) -> Reply<T> {
        let body = value.to_string().into();
        let value = serde_json::from_value(value).unwrap();
        Reply { value, body, status: 200, request_id: None, replayed: false, set_cookie: None }
    }

    fn fixture(text: &str) -> serde_json::Value {
        serde_json::from_str(text).unwrap()
    }

    fn shown(health: &HealthDetail, rules: serde_json::Value) -> String {
        shown_frozen(health, rules, &PanicState::default())
    }

    fn shown_frozen(health: &HealthDetail, rules: serde_json::Value, panic: &PanicState) -> String {
        let eyes =
            Eyes { now: Utc.with_ymd_and_hms(2026, 11, 22, 10, 0, 0).unwrap(), paint: Paint { on: false } };
        let peers = fixture(include_str!("../../tests/fixtures/peers.json"))["peers"].take();
        screen(eyes, health, panic, &Ok(reply(peers)), Some(51_234), &Ok(reply(rules)))
    }

    #[test]
    fn the_screen_of_a_bad_night() {
        let health = serde_json::from_str(include_str!("../../tests/fixtures/health.json")).unwrap();
        insta::assert_snapshot!(shown(
            &health,
            fixture(include_str!("../../tests/fixtures/mitigations.json"))
        ));
    }

    #[test]
    fn the_screen_of_a_quiet_night() {
        let mut health: HealthDetail =
            serde_json::from_str(include_str!("../../tests/fixtures/health.json")).unwrap();
        health.status = "healthy".to_owned();
        health.mode = "dry-run".to_owned();
        health.problems.clear();
        (health.active_mitigations, health.pending_mitigations, health.withdraw_stuck) = (0, 0, 0);
        insta::assert_snapshot!(shown(&health, serde_json::json!({"mitigations": [], "next_cursor": null})));
    }

    #[test]
    fn a_frozen_daemon_says_so_first() {
        let health: HealthDetail =
            serde_json::from_str(include_str!("../../tests/fixtures/health.json")).unwrap();
        let rules = serde_json::json!({"mitigations": []});
        let panic = PanicState { frozen: true, scopes: Vec::new() };
        let text = shown_frozen(&health, rules.clone(), &panic);
        assert!(text.lines().nth(2).unwrap().contains("FROZEN"), "{text}");
        let panic = serde_json::from_str(include_str!("../../tests/fixtures/panic.json")).unwrap();
        insta::assert_snapshot!(shown_frozen(&health, rules, &panic));
    }

    #[test]
    fn what_nobody_guards_and_nobody_leads_is_said() {
        let mut health: HealthDetail =
            serde_json::from_str(include_str!("../../tests/fixtures/health.json")).unwrap();
        let (guard, leader) = (health.guard.as_mut().unwrap(), health.leader.as_mut().unwrap());
        guard.alive = false;
        (leader.is_leader, leader.instance) = (false, None);
        let none = serde_json::json!({"mitigations": []});
        let text = shown(&health, none.clone());
        assert!(text.contains("● guard     silent (spawn, seen 2s ago)"), "{text}");
        assert!(text.contains("● leader    nobody announces at this site"), "{text}");
        "off".clone_into(&mut health.guard.as_mut().unwrap().mode);
        health.leader.as_mut().unwrap().instance = Some("fra1-b".to_owned());
        let text = shown(&health, none.clone());
        assert!(text.contains("○ guard     off: rules outlive a daemon that dies"), "{text}");
        assert!(text.contains("● leader    another instance announces (fra1-b)"), "{text}");
        "dry-run".clone_into(&mut health.mode);
        assert!(shown(&health, none).contains("○ guard     not needed"));
    }
}
