//! Many pops on one PostgreSQL, each a stand-in for its daemons: the store, and decisions that let rules in, end them and
//! repeat reports. No count is ever wrong, and what it costs is said.
//!
//! Three pops for a second with every test run; `PREFIXD_SOAK_POPS=20 PREFIXD_SOAK_SECONDS=60` for a soak, best as a release
//! build and with nothing else running.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use prefix_core::mitigation::{Mitigation, Status};
use prefix_core::name::{CustomerId, Pop};
use prefix_core::ports::{ChangeSet, QuotaLimits, ReadSet, Snapshot, Store, StoreError};
use prefix_store::{Options, StoreUrl, open};
use prefix_testkit::lab::{Database, Postgres};
use prefix_testkit::store_contract::sample::{admission, audit, event, mitigation};
use prefix_testkit::store_contract::{change, insert};

/// All rules of all pops: fewer than the pops ask for.
const PER_POP: u64 = 40;
/// So many rules a pop wants to have.
const WANTED: usize = 50;

fn number_of_environment(name: &str) -> Option<u64> {
    std::env::var(name)
        .ok()
        .map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

/// One pop's daemons.
struct StandIn {
    store: Arc<dyn Store>,
    pop: Pop,
    /// Two pops have the same.
    customer: CustomerId,
    limits: QuotaLimits,
    rules: VecDeque<Mitigation>,
    next: u32,
    took: Vec<Duration>,
    refused: u32,
}

impl StandIn {
    /// One transaction: a new rule if there is room and one is wanted, else the end of the oldest one. Every fourth is
    /// only a repeated report, which counts for nothing.
    async fn act(&mut self) -> Result<(), StoreError> {
        let reads = ReadSet { pop: self.pop.clone(), ..admission() };
        let customer_id = Some(self.customer.clone());
        let new = Mitigation { pop: self.pop.clone(), customer_id, ..mitigation(self.next) };
        let repeats = self.next % 4 == 3;
        let oldest = self.rules.front().filter(|_| self.rules.len() >= WANTED).cloned();
        let (limits, mut is_new, began) = (self.limits, false, Instant::now());
        let mut decide = |facts: Snapshot| {
            is_new = false;
            let mut changes = ChangeSet {
                events: vec![event(1)],
                audit: vec![audit("soak")],
                limits,
                ..ChangeSet::default()
            };
            if repeats {
                return changes;
            }
            if let Some(oldest) = &oldest {
                changes.mitigations.push(change(oldest, |row| row.status = Status::Expired));
            } else if facts.quota.global < limits.global {
                is_new = true;
                changes.mitigations.push(insert(&new));
                changes.admitted = 1;
            }
            changes
        };
        self.store.transact(&reads, &mut decide).await?;
        self.took.push(began.elapsed());
        self.next += 1;
        if is_new {
            self.rules.push_back(new);
        } else if oldest.is_some() && !repeats {
            self.rules.pop_front();
        } else if !repeats {
            // the quota is full: somebody has to make room
            self.refused += 1;
            if let Some(oldest) = self.rules.pop_front() {
                let end = ChangeSet {
                    mitigations: vec![change(&oldest, |row| row.status = Status::Withdrawn)],
                    audit: vec![audit("soak")],
                    limits,
                    ..ChangeSet::default()
                };
                self.store.transact(&reads, &mut |_| end.clone()).await?;
            }
        }
        Ok(())
    }
}

async fn count(database: &Database, sql: &str) -> u64 {
    database.psql(sql).await.unwrap().trim().parse().unwrap()
}

const COUNTED: &str = "select count(*) from mitigations where status = 'pending'";

#[tokio::test(flavor = "multi_thread")]
async fn many_pops_share_a_database_and_no_count_is_ever_wrong() {
    let pops = number_of_environment("PREFIXD_SOAK_POPS").unwrap_or(3);
    let seconds = number_of_environment("PREFIXD_SOAK_SECONDS").unwrap_or(1);
    let server = Postgres::start().await.unwrap();
    let database = server.create_database().await.unwrap();
    let url: StoreUrl = database.url().parse().unwrap();
    let global = PER_POP * pops;
    let until = Instant::now() + Duration::from_secs(seconds);
    let mut running = Vec::new();
    for number in 0..pops {
        let store = open(&url, Options { max_connections: 2, ..Options::default() }).await.unwrap();
        let mut stand_in = StandIn {
            store,
            pop: format!("pop{number}").parse().unwrap(),
            customer: format!("customer{}", number / 2).parse().unwrap(),
            limits: QuotaLimits { customer: u64::MAX >> 1, global },
            rules: VecDeque::new(),
            next: 0,
            took: Vec::new(),
            refused: 0,
        };
        running.push(tokio::spawn(async move {
            while Instant::now() < until {
                stand_in.act().await.unwrap();
            }
            stand_in
        }));
    }
    while Instant::now() < until {
        let counted = count(&database, COUNTED).await;
        assert!(counted <= global, "{counted} rules, {global} are allowed");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let (mut took, mut refused, mut living) = (Vec::new(), 0, 0);
    for stand_in in running {
        let stand_in = stand_in.await.unwrap();
        took.extend(stand_in.took);
        refused += stand_in.refused;
        living += stand_in.rules.len() as u64;
    }
    // what is kept beside the rows is what the rows say
    assert_eq!(count(&database, COUNTED).await, living);
    let logged = "select coalesce(sum(active), 0) from (select distinct on (pop) active from pop_log \
                  order by pop, version desc) as newest";
    assert_eq!(count(&database, logged).await, living);
    let customer = "select coalesce(sum(active), 0) from quota_counters where scope = 'customer'";
    assert_eq!(count(&database, customer).await, living);
    assert!(living > 0 && refused > 0, "the quota was never full");
    took.sort();
    let at = |part: usize| took[(took.len() - 1) * part / 100];
    println!(
        "measured: {pops} pops: {} transactions/s, p50 {:.1?}, p99 {:.1?}, max {:.1?}; {refused} times the quota was full",
        took.len() as u64 / seconds.max(1),
        at(50),
        at(99),
        at(100),
    );
}
