//! A past that would take too long to live through: copies of one stored event, written straight into the database.

use super::Network;
use prefix_client::EventId;
use std::process::Command;

/// Time of day is kept in microseconds.
const DAY: u64 = 86_400_000_000;

impl Network {
    /// Copies the event `count` times into a past that ended `days` ago, a second apart. For SQLite the daemon must not
    /// run. The daemon keeps tallies of its rows, so they are told too.
    pub(crate) async fn has_a_past(&self, event: EventId, count: u32, days: u32) {
        match &self.database {
            Some(database) => {
                let sql = format!(
                    "insert into events (event_id, ingested_at, source, source_key, external_event_id, episode_key,
                        sighting_key, victim_ip, vector, mitigation_id, doc, raw_details)
                     select gen_random_uuid(), now() - interval '{days} days' - number * interval '1 second', source,
                        source_key, external_event_id, episode_key, sighting_key, victim_ip, vector, null, doc,
                        raw_details
                     from events, generate_series(1, {count}) as number where event_id = '{event}';
                     insert into tally_log (kind, name, total) values ('events', '', {count});
                     analyze events;"
                );
                database.psql(&sql).await.unwrap();
            }
            None => self.sqlite(&format!(
                "with recursive numbers(number) as (select 1 union all select number + 1 from numbers where number < {count})
                 insert into events (event_id, ingested_at, source, source_key, external_event_id, episode_key,
                    sighting_key, victim_ip, vector, mitigation_id, doc, raw_details)
                 select randomblob(16), cast(strftime('%s') as integer) * 1000000 - {past} - number * 1000000, source,
                    source_key, external_event_id, episode_key, sighting_key, victim_ip, vector, null, doc, raw_details
                 from numbers, events where event_id = x'{event}';
                 update tallies set total = total + {count} where kind = 'events';",
                past = u64::from(days) * DAY,
                event = event.0.simple(),
            )),
        }
    }

    fn sqlite(&self, sql: &str) {
        const PROGRAM: &str = "import sqlite3, sys
base = sqlite3.connect(sys.argv[1])
base.execute('pragma synchronous = off')
base.execute('pragma cache_size = -400000')
base.executescript('begin;' + sys.argv[2] + 'commit;')
";
        let mut python = Command::new("python3");
        let output = python.args(["-c", PROGRAM]).arg(self.sqlite_file()).arg(sql).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}
