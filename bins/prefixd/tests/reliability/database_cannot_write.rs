//! The disk is full, or the database is read-only: nothing is acknowledged, rules leave on time, and when there is room
//! again the daemon goes on by itself.

use crate::reliability::intent::by_hand;
use crate::reliability::outage::{
    more_acknowledged, network, refuses, rules_leave, some_acknowledged, whole_again,
};
use crate::reliability::posters::Posters;
use crate::reliability::random::Random;
use crate::test_network::Network;
use prefix_testkit::lab::{Postgres, Volume, wait};
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_on_a_full_disk_gives_503_rules_leave_on_time_and_room_is_enough_to_go_on() {
    let volume = Volume::of_mebibytes(16).await.unwrap();
    let url = format!("sqlite://{}/prefixd.db", volume.path().display());
    let mut net = network(Network::with_gobgp_4().setting("storage.url", url)).await;
    let fill = async |_: &mut Network| volume.fill().unwrap();
    let free = async |_: &mut Network| volume.free().unwrap();
    cannot_write(&mut net, "SQLite on a full disk", fill, free).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_on_a_full_disk_gives_503_rules_leave_on_time_and_room_is_enough_to_go_on() {
    let volume = Volume::of_mebibytes(128).await.unwrap();
    let postgres = Postgres::builder().data_on(&volume);
    let mut net = network(Network::with_gobgp_4().own_postgres_like(postgres)).await;
    let fill = async |_: &mut Network| volume.fill().unwrap();
    let free = async |net: &mut Network| {
        volume.free().unwrap();
        // A PostgreSQL that could not write its log gives up, and an operator starts it again; the daemon stays.
        let postgres = net.postgres.as_mut().unwrap();
        if !postgres.is_running() {
            postgres.start_again().await.unwrap();
        }
    };
    cannot_write(&mut net, "PostgreSQL on a full disk", fill, free).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_that_may_not_be_written_gives_503_rules_leave_on_time_and_permission_is_enough_to_go_on() {
    let mut net = network(Network::with_gobgp_4()).await;
    let files = [net.sqlite_file(), wal_of(&net.sqlite_file())];
    let forbid = async |_: &mut Network| files.iter().for_each(|file| immutable(file, true));
    let allow = async |_: &mut Network| files.iter().for_each(|file| immutable(file, false));
    cannot_write(&mut net, "SQLite whose files are immutable", forbid, allow).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_that_is_read_only_gives_503_rules_leave_on_time_and_permission_is_enough_to_go_on() {
    let mut net = network(Network::with_gobgp_4().own_postgres()).await;
    let forbid = async |net: &mut Network| read_only(net, "on").await;
    let allow = async |net: &mut Network| read_only(net, "off").await;
    cannot_write(&mut net, "PostgreSQL that is read-only", forbid, allow).await;
}

/// Detectors post, the database becomes unable to write, later able again.
async fn cannot_write(
    net: &mut Network,
    what: &str,
    breaks: impl AsyncFn(&mut Network),
    mend: impl AsyncFn(&mut Network),
) {
    let mut random = Random::of_this_run(4);
    let pid = net.daemon.pid();
    let outlasts = by_hand(net, "203.0.113.1", Duration::from_mins(10)).await;
    let posters = Posters::start(net.raw, 4, &mut random);
    some_acknowledged(&posters).await;

    // Again and again: room that was set aside before may still be written to, and what fits is durable.
    let mut before = posters.acknowledged();
    breaks(net).await;
    let began = Instant::now();
    let mut quiet_since = Instant::now();
    while quiet_since.elapsed() < Duration::from_secs(1) {
        assert!(began.elapsed() < wait::PATIENCE, "events are acknowledged all the time");
        tokio::time::sleep(Duration::from_millis(50)).await;
        if posters.acknowledged() != before {
            before = posters.acknowledged();
            quiet_since = Instant::now();
            breaks(net).await;
        }
    }
    rules_leave(net).await;
    refuses(net).await;
    let health = net.client.health_detail().await.unwrap().value;
    assert_eq!(health.status, "degraded", "{health:?}");
    assert!(!health.problems.is_empty(), "{health:?}");
    assert_eq!(posters.acknowledged(), before, "2xx while nothing could be written");
    let lasted = began.elapsed();

    mend(net).await;
    let mended = Instant::now();
    more_acknowledged(&posters, before).await;
    let recovered = mended.elapsed();
    let ledger = posters.end().await;
    assert_eq!(net.daemon.pid(), pid, "nobody restarted the daemon");
    whole_again(net, &ledger, outlasts).await;
    println!(
        "measured: {what} for {lasted:.1?}: {} events acknowledged, 0 lost, 0 stored twice, {} answered with 503; first \
         2xx {recovered:.1?} after it was mended; \"{}\"",
        ledger.acknowledged.len(),
        ledger.refused,
        health.problems.join("; ")
    );
}

async fn read_only(net: &Network, value: &str) {
    let postgres = net.postgres.as_ref().unwrap();
    postgres.psql(&format!("alter system set default_transaction_read_only = {value}")).await.unwrap();
    postgres.psql("select pg_reload_conf()").await.unwrap();
}

fn wal_of(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

/// Takes the right to write away even from those who have the file open, as a file system that went read-only does.
fn immutable(file: &Path, is: bool) {
    let open = OpenOptions::new().append(true).open(file);
    let status = Command::new("chattr").arg(if is { "+i" } else { "-i" }).arg(file).status().unwrap();
    assert!(status.success(), "chattr {}", file.display());
    if is && let Ok(mut open) = open {
        let written = open.write(b"must not be written");
        assert!(written.is_err(), "the file system of {} lets open files be written", file.display());
    }
}
