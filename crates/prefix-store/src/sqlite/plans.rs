//! Every question is answered from an index: no table is read through, and nothing is sorted.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use diesel::connection::{Connection, InstrumentationEvent};
use diesel::prelude::*;
use diesel::sql_types::Text;
use diesel::sqlite::SqliteConnection;
use futures::executor::block_on;
use prefix_core::flowspec::ActionType;
use prefix_core::mitigation::Status;
use prefix_core::page::{Cursor, PageRequest};
use prefix_core::ports::{AuditQuery, EventQuery, GroupQuery, HistoryQuery, MitigationQuery, ReadSet};
use prefix_core::signal::{GroupStatus, SignalGroup};
use prefix_testkit::store_contract::sample::{
    admission, at, audit, corroboration, ended, event, group, mitigation, reply, safe, victim,
};

use super::{connect, fetch_all, fetch_one, migrate, snapshot, write};
use crate::cache::Cache;
use crate::queries;
use crate::queries::mitigations::StatusPartition;
use crate::queries::signals::group_lists;
use crate::queries::{audit as audit_log, events, mitigations, panic, signals};
use crate::sql_type::Id;
use crate::writes::Writes;

type Statements = Arc<Mutex<BTreeSet<String>>>;

fn connection() -> (tempfile::TempDir, SqliteConnection, Statements) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("prefixd.db");
    let mut connection = connect::writer(&file, std::time::Duration::from_secs(1)).unwrap();
    migrate::run(&mut connection, &file).unwrap();
    let statements = Statements::default();
    let seen = Arc::clone(&statements);
    connection.set_instrumentation(move |event: InstrumentationEvent<'_>| {
        if let InstrumentationEvent::StartQuery { query, .. } = event {
            let text = query.to_string();
            let sql = text.split(" -- binds").next().unwrap_or_default();
            seen.lock().unwrap().insert(sql.to_owned());
        }
    });
    (folder, connection, statements)
}

#[derive(QueryableByName)]
struct Step {
    #[diesel(sql_type = Text)]
    detail: String,
}

fn check(connection: &mut SqliteConnection, statements: &Statements, at_least: usize) {
    let statements = std::mem::take(&mut *statements.lock().unwrap());
    assert!(statements.len() >= at_least, "only {} statements", statements.len());
    for sql in statements {
        let plan: Vec<Step> =
            diesel::sql_query(format!("EXPLAIN QUERY PLAN {sql}")).load(connection).unwrap();
        let plan: Vec<String> = plan.into_iter().map(|step| step.detail).collect();
        for step in &plan {
            let is_small = ["safelist", "tallies", "admission"].iter().any(|name| {
                step.ends_with(&format!("SCAN {name}")) || step.starts_with(&format!("SCAN {name} USING"))
            });
            let is_ordered =
                step.starts_with("SCAN") && step.contains("USING INDEX") && sql.contains("LIMIT");
            // the few rows that a recursion made itself
            let is_recursion = ["CO-ROUTINE pops", "SETUP", "RECURSIVE STEP", "SCAN pops"].contains(&&**step);
            // a partial index holds nothing but the few rows that are asked for
            let is_partial = step == "SCAN mitigations USING INDEX mitigations_unfinished"
                || step == "SCAN panic_scopes USING INDEX panic_scopes_frozen";
            // the leases of the document at hand
            let is_document = step.starts_with("SCAN lease") && step.contains("VIRTUAL TABLE");
            let is_constant = step == "SCAN CONSTANT ROW" || step.contains("SCALAR SUBQUERY");
            // of the signals that are not over, the newest are sought among their index entries; people count them
            let is_few = sql.contains("corroborations") && step.contains("TEMP B-TREE");
            assert!(is_few || !step.contains("TEMP B-TREE"), "sorted: {sql}\n{plan:#?}");
            assert!(
                step.starts_with("SEARCH")
                    || is_ordered
                    || is_partial
                    || is_document
                    || is_few
                    || is_recursion
                    || is_small
                    || is_constant
                    || step.starts_with("LIST"),
                "read through: {sql}\n{plan:#?}"
            );
        }
    }
}

fn pages() -> [PageRequest; 3] {
    let cursor = Some(Cursor { at: at(0), id: uuid::Uuid::nil() });
    [
        PageRequest::default(),
        PageRequest { cursor, ..PageRequest::default() },
        PageRequest { cursor, start: Some(at(-9)), end: Some(at(9)), ..PageRequest::default() },
    ]
}

#[test]
fn every_list_is_read_in_the_order_of_an_index() {
    let (_folder, mut connection, statements) = connection();
    let statuses =
        [vec![], vec![Status::Queued], vec![Status::Active, Status::Pending], vec![Status::Expired]];
    for (page, number) in pages().into_iter().flat_map(|page| (0..32_u32).map(move |number| (page, number))) {
        let is = |bit: u32| number & (1 << bit) != 0;
        for status in &statuses {
            let query = MitigationQuery {
                page,
                status: status.clone(),
                customer_id: is(0).then(|| "acme".parse().unwrap()),
                victim_ip: is(1).then(|| victim(1)),
                vector: is(2).then(|| "udp_flood".parse().unwrap()),
                pop: is(3).then(|| "fra1".parse().unwrap()),
                acknowledged: is(4).then_some(number % 3 == 0),
                source: is(2).then(|| "fastnetmon".parse().unwrap()),
                action_type: is(4).then_some(ActionType::Discard),
                within: is(0).then(|| "203.0.113.0/24".parse().unwrap()),
            };
            for partition in StatusPartition::of(&query) {
                fetch_all(&mut connection, mitigations::page(&query, &partition)).unwrap();
            }
        }
        let query = EventQuery {
            page,
            source: is(0).then(|| "fastnetmon".parse().unwrap()),
            victim_ip: is(1).then(|| victim(1)),
            vector: is(2).then(|| "udp_flood".parse().unwrap()),
        };
        fetch_all(&mut connection, events::page(&query)).unwrap();
        for status in [vec![], vec![GroupStatus::Open], GroupStatus::ALL.to_vec()] {
            let query = GroupQuery {
                page,
                status,
                pop: is(0).then(|| "fra1".parse().unwrap()),
                victim_ip: is(1).then(|| victim(1)),
                vector: is(2).then(|| "udp_flood".parse().unwrap()),
            };
            for status in group_lists(&query) {
                fetch_all(&mut connection, signals::groups(&query, status)).unwrap();
            }
        }
        let names = ["a", "b"].map(|name| name.parse().unwrap());
        let query = HistoryQuery {
            start: at(-9),
            end: at(9),
            sources: names[..number as usize % 3].iter().cloned().collect(),
            victim_ip: is(4).then(|| victim(1)),
            after: None,
            limit: 10,
        };
        let after = is(3).then(|| (at(0).into(), Id(uuid::Uuid::nil())));
        block_on(events::history(&mut connection, &query, after, 10)).unwrap();
        let text = |bit| is(bit).then(|| "x".to_owned());
        let (action, actor_id, target_type, target_id) = (text(0), text(1), text(2), text(3));
        let pop = is(4).then(|| "fra1".parse().unwrap());
        let query = AuditQuery { page, pop, action, actor_id, target_type, target_id };
        block_on(audit_log::page(&mut connection, &query)).unwrap();
    }
    check(&mut connection, &statements, 240);
}

#[test]
fn a_recording_is_read_by_the_index_that_its_filter_names() {
    let (_folder, mut connection, statements) = connection();
    let names = ["a", "b"].map(|name| name.parse().unwrap());
    for (sources, victim_ip, index) in [
        (0, None, "events_received"),
        (1, None, "events_source"),
        (2, None, "events_source"),
        (2, Some(victim(1)), "events_victim"),
    ] {
        for after in [None, Some((at(0).into(), Id(uuid::Uuid::nil())))] {
            let sources = names[..sources].iter().cloned().collect();
            let query =
                HistoryQuery { start: at(-9), end: at(9), sources, victim_ip, after: None, limit: 10 };
            block_on(events::history(&mut connection, &query, after, 10)).unwrap();
            let asked = std::mem::take(&mut *statements.lock().unwrap());
            for sql in asked {
                let explain = format!("EXPLAIN QUERY PLAN {sql}");
                let plan: Vec<Step> = diesel::sql_query(explain).load(&mut connection).unwrap();
                let details: Vec<&str> = plan.iter().map(|step| step.detail.as_str()).collect();
                // the place begins the range of the index, so that a late page costs what the first one costs
                let begin = if after.is_some() { "(ingested_at,event_id)>(?,?)" } else { "ingested_at>?" };
                assert!(details.len() == 1 && details[0].contains(index), "{sql}\n{details:?}");
                assert!(details[0].contains(begin), "{sql}\n{details:?}");
                assert!(details[0].contains("ingested_at<?"), "{sql}\n{details:?}");
                let is_place = sql.starts_with("SELECT events.ingested_at");
                assert_eq!(details[0].contains("COVERING"), is_place, "{sql}\n{details:?}");
            }
            statements.lock().unwrap().clear();
        }
    }
}

#[test]
fn every_fact_is_found_by_an_index() {
    let (_folder, mut connection, statements) = connection();
    let row = mitigation(1);
    let mut reads = ReadSet { queued: 10, ..admission() };
    reads.customers.extend(row.customer_id.clone());
    reads.mitigations.insert(row.mitigation_id);
    reads.victims.insert(row.victim_ip);
    reads.routes.extend(row.key());
    reads.episodes.insert(("a".parse().unwrap(), "b".parse().unwrap()));
    reads.ends.insert(("a".parse().unwrap(), "b".parse().unwrap()));
    reads.sightings.insert(("a".parse().unwrap(), victim(1)));
    reads.replies.insert(reply("k", 0).0);
    reads.groups.insert(group(1).group_id);
    (reads.victim_groups, reads.open_groups, reads.corroborations) = (true, true, true);
    snapshot::read(&mut connection, &reads, &Cache::default()).unwrap();
    fetch_all(&mut connection, mitigations::unfinished("fra1", None, 10)).unwrap();
    fetch_all(&mut connection, mitigations::unfinished_ids(Some("fra1"), Some("acme"))).unwrap();
    fetch_all(&mut connection, mitigations::unfinished_ids(None, None)).unwrap();
    fetch_one(&mut connection, queries::epoch("fra1")).unwrap();
    fetch_all(&mut connection, audit_log::unsealed("fra1", 10)).unwrap();
    fetch_all(&mut connection, audit_log::chain("fra1", 3, 10)).unwrap();
    fetch_one(&mut connection, audit_log::chain_head("fra1")).unwrap();
    fetch_all(&mut connection, panic::active()).unwrap();
    fetch_one(&mut connection, panic::by_id(Id(uuid::Uuid::nil()))).unwrap();
    fetch_all(&mut connection, signals::open_groups("fra1", 10)).unwrap();
    for source in [None, Some("a")] {
        fetch_all(&mut connection, signals::waiting("fra1", at(0).into(), source, 10)).unwrap();
    }
    fetch_all(&mut connection, signals::waiting_counts("fra1", at(0).into())).unwrap();
    fetch_all(&mut connection, signals::activity("fra1", at(0).into())).unwrap();
    block_on(signals::last_heard(&mut connection, "a")).unwrap();
    check(&mut connection, &statements, 29);
}

#[test]
fn every_row_is_changed_by_its_key() {
    use prefix_core::ports::{ChangeSet, GroupChange, MitigationChange};

    let (_folder, mut connection, statements) = connection();
    let rows = [mitigation(1), mitigation(2)];
    let insert = |row: &prefix_core::mitigation::Mitigation| MitigationChange {
        before: None,
        after: Box::new(row.clone()),
    };
    let change = |row: &prefix_core::mitigation::Mitigation, status| {
        let mut after = row.clone();
        after.status = status;
        MitigationChange { before: Some(Box::new(row.clone())), after: Box::new(after) }
    };
    let groups = [group(1), group(2)];
    let change_group = |row: &SignalGroup, status| {
        let after = Box::new(SignalGroup { status, ..row.clone() });
        GroupChange { before: Some(Box::new(row.clone())), after }
    };
    let first = ChangeSet {
        mitigations: rows.iter().chain([&ended(3, Status::Rejected, 0)]).map(insert).collect(),
        events: vec![event(1)],
        audit: vec![audit("x")],
        safelist_put: vec![safe("203.0.113.0/28")],
        replies: vec![reply("k", 0)],
        groups: groups.iter().map(|row| GroupChange { before: None, after: Box::new(row.clone()) }).collect(),
        corroborations: vec![corroboration("a", 0)],
        admitted: 2,
        ..ChangeSet::default()
    };
    let second = ChangeSet {
        mitigations: vec![change(&rows[0], Status::Active), change(&rows[1], Status::Withdrawing)],
        safelist_remove: vec!["203.0.113.0/28".parse().unwrap()],
        groups: vec![
            change_group(&groups[0], GroupStatus::Open),
            change_group(&groups[1], GroupStatus::Expired),
        ],
        ..ChangeSet::default()
    };
    for changes in [first, second] {
        let (reads, delta) = (admission(), changes.quota_delta());
        write::all(&mut connection, &Writes::new(&reads, &changes, &delta).unwrap()).unwrap();
    }
    statements.lock().unwrap().retain(|sql| !sql.starts_with("INSERT"));
    check(&mut connection, &statements, 7);
}
