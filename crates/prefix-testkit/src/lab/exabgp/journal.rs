//! The file of ExaBGP's JSON lines, read as it grows.

use crate::lab::bgp_update::{self, Update};
use crate::lab::{Change, Family, LabError, PathAttributes, RouterUpdate};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;

/// The state of the session and the updates read so far.
#[derive(Debug, Default)]
pub(super) struct Journal {
    path: PathBuf,
    read: u64,
    /// Octets after the last newline: ExaBGP may be writing a line.
    unfinished: Vec<u8>,
    updates: Vec<RouterUpdate>,
    messages: usize,
    state: String,
    times_up: usize,
    /// The index in `updates` of the current announcement of each NLRI.
    living: BTreeMap<(Family, Vec<u8>), usize>,
}

impl Journal {
    pub(super) fn new(path: PathBuf) -> Self {
        let state = "not connected yet".to_owned();
        Self { path, state, ..Self::default() }
    }

    pub(super) fn updates(&self) -> &[RouterUpdate] {
        &self.updates
    }

    pub(super) fn state(&self) -> &str {
        &self.state
    }

    pub(super) fn times_up(&self) -> usize {
        self.times_up
    }

    pub(super) fn rib_size(&self) -> usize {
        self.living.len()
    }

    pub(super) fn rib(&self) -> Vec<RouterUpdate> {
        self.living.values().filter_map(|&index| self.updates.get(index)).cloned().collect()
    }

    /// Reads what was written since the last time.
    pub(super) fn catch_up(&mut self) -> Result<(), LabError> {
        let failed = |source| LabError::file("read", &self.path)(source);
        let mut file = File::open(&self.path).map_err(failed)?;
        file.seek(SeekFrom::Start(self.read)).map_err(failed)?;
        let mut text = std::mem::take(&mut self.unfinished);
        let new = file.read_to_end(&mut text).map_err(failed)?;
        self.read += new as u64;
        let complete = text.iter().rposition(|&byte| byte == b'\n').map_or(0, |newline| newline + 1);
        self.unfinished = text.split_off(complete);
        for line in String::from_utf8_lossy(&text).lines() {
            self.take(line)?;
        }
        Ok(())
    }

    fn take(&mut self, line: &str) -> Result<(), LabError> {
        let unreadable =
            |problem: String| LabError::Unreadable { part: "ExaBGP", problem, text: line.to_owned() };
        let value: Value = serde_json::from_str(line).map_err(|error| unreadable(error.to_string()))?;
        match value["type"].as_str() {
            Some("state") => self.take_state(&value),
            Some("update") => self.take_update(&value).map_err(unreadable)?,
            _ => {}
        }
        Ok(())
    }

    fn take_state(&mut self, value: &Value) {
        value["neighbor"]["state"].as_str().unwrap_or("unknown").clone_into(&mut self.state);
        match self.state.as_str() {
            "up" => self.times_up += 1,
            // a router drops the routes of a session that is lost
            "down" => self.living.clear(),
            _ => {}
        }
    }

    fn take_update(&mut self, value: &Value) -> Result<(), String> {
        let body =
            value["body"].as_str().and_then(|body| body.strip_prefix("0x")).ok_or("no message body")?;
        let body = hex::decode(body).map_err(|error| error.to_string())?;
        let Update { changes, attributes } = bgp_update::parse(&body).map_err(|error| error.to_string())?;
        let message = &value["neighbor"]["message"]["update"];
        let mut counts = BTreeMap::new();
        for (change, family, nlri) in changes {
            let index = counts.entry((change == Change::Announce, family)).or_insert(0);
            let parsed = reading(message, change, family, *index);
            *index += 1;
            let key = (family, nlri.clone());
            let attributes = match change {
                Change::Announce => attributes.clone(),
                Change::Withdraw => PathAttributes::default(),
            };
            let at = value["time"].as_f64().unwrap_or_default();
            match change {
                Change::Announce => self.living.insert(key, self.updates.len()),
                Change::Withdraw => self.living.remove(&key),
            };
            self.updates.push(RouterUpdate {
                message: self.messages,
                at,
                change,
                family,
                nlri,
                attributes,
                parsed,
            });
        }
        self.messages += 1;
        Ok(())
    }
}

/// ExaBGP's decoding of the NLRI at `index` among those with the same change and family.
fn reading(message: &Value, change: Change, family: Family, index: usize) -> Value {
    let family = match family {
        Family::Ipv4Unicast => "ipv4 unicast",
        Family::Ipv6Unicast => "ipv6 unicast",
        Family::Ipv4FlowSpec => "ipv4 flow",
        Family::Ipv6FlowSpec => "ipv6 flow",
    };
    let list = match change {
        Change::Withdraw => message["withdraw"][family].as_array(),
        // by next hop, of which an UPDATE has one
        Change::Announce => message["announce"][family]
            .as_object()
            .and_then(|by_next_hop| by_next_hop.values().next()?.as_array()),
    };
    list.and_then(|list| list.get(index)).cloned().unwrap_or(Value::Null)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    const UP: &str = r#"{"type":"state","neighbor":{"state":"up"}}"#;
    const ANNOUNCED: &str = r#"{"time":2.5,"type":"update","body":"0x0000002D4001010240020602010000FDF2800E1200018500000C0120CB00710A038111058135C010088006000000000000","neighbor":{"message":{"update":{"announce":{"ipv4 flow":{"no-nexthop":[{"destination-ipv4":["203.0.113.10/32"]}]}}}}}}"#;
    const WITHDRAWN: &str = r#"{"time":3.5,"type":"update","body":"0x00000013800F100001850C0120CB00710A038111058135","neighbor":{"message":{"update":{"withdraw":{"ipv4 flow":[{"destination-ipv4":["203.0.113.10/32"]}]}}}}}"#;

    fn write(file: &mut tempfile::NamedTempFile, text: &str) {
        file.write_all(text.as_bytes()).unwrap();
        file.flush().unwrap();
    }

    #[test]
    fn a_line_counts_only_when_it_is_whole() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let mut journal = Journal::new(file.path().to_path_buf());
        let (start, end) = ANNOUNCED.split_at(40);
        write(&mut file, &format!("{UP}\n{start}"));
        journal.catch_up().unwrap();
        assert_eq!((journal.state(), journal.updates().len()), ("up", 0));
        write(&mut file, &format!("{end}\n"));
        journal.catch_up().unwrap();
        assert_eq!(journal.updates()[0].destination(), Some("203.0.113.10/32"));
        assert_eq!(journal.updates()[0].traffic_rate_bytes_per_second(), Some(0.0));
    }

    #[test]
    fn the_rib_forgets_what_is_withdrawn_and_what_a_lost_session_had() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let mut journal = Journal::new(file.path().to_path_buf());
        let mut after = |line: &str| {
            write(&mut file, &format!("{line}\n"));
            journal.catch_up().unwrap();
            journal.rib_size()
        };
        assert_eq!(after(ANNOUNCED), 1);
        assert_eq!(after(WITHDRAWN), 0);
        assert_eq!(after(ANNOUNCED), 1);
        assert_eq!(after(r#"{"type":"state","neighbor":{"state":"down"}}"#), 0);
    }
}
