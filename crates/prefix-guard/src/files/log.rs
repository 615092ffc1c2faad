//! The guard's log: a line of JSON for each path that it withdrew, read by the daemon once and in order. Its files
//! rotate, so that it stays bounded.

use std::fs::OpenOptions;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};

use chrono::{DateTime, Utc};
use prefix_core::flowspec::RouteKey;
use prefix_core::guard::GuardWithdrawal;
use prefix_core::name::SpeakerName;
use prefix_core::ownership::{MitigationTag, NotAfter};
use serde::{Deserialize, Serialize};

use super::StateDir;

/// A file of this size, in octets, is rotated.
const LARGEST: u64 = 4 << 20;
/// How many rotated files are kept: at least 60,000 lines in all.
const KEPT: usize = 3;
/// The most lines in one read of the daemon.
const LINES_AT_ONCE: usize = 1000;

/// One line of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When the path was read to be gone.
    pub time: DateTime<Utc>,
    /// What the guard did.
    pub action: Action,
    /// The rule in its text form.
    pub flow: String,
    /// The identity of the route.
    pub route: RouteKey,
    /// From which of several speakers; `None` = from the only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speaker: Option<SpeakerName>,
    /// The not-after time that was over.
    pub not_after: DateTime<Utc>,
    /// The last 32 bits of its mitigation's id as eight hexadecimal digits, if the path carried them.
    pub mitigation: Option<String>,
}

/// What a guard can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It withdrew an overdue path.
    Withdraw,
}

impl From<&GuardWithdrawal> for Entry {
    fn from(gone: &GuardWithdrawal) -> Self {
        Self {
            time: gone.at,
            action: Action::Withdraw,
            flow: gone.key.flow(),
            route: gone.key.clone(),
            speaker: gone.speaker.clone(),
            not_after: gone.not_after.time(),
            mitigation: gone.mitigation.map(|MitigationTag(tag)| format!("{tag:08x}")),
        }
    }
}

impl From<Entry> for GuardWithdrawal {
    fn from(entry: Entry) -> Self {
        let tag = entry.mitigation.and_then(|tag| u32::from_str_radix(&tag, 16).ok());
        Self {
            at: entry.time,
            key: entry.route,
            speaker: entry.speaker,
            not_after: NotAfter::at_or_after(entry.not_after),
            mitigation: tag.map(MitigationTag),
        }
    }
}

/// How far a reader has read: the file by its inode, and the octets of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    inode: u64,
    offset: u64,
}

/// Appends a line for each withdrawal, and waits until they are on the disk.
///
/// # Errors
/// They cannot be written.
pub fn append(state: &StateDir, gone: &[GuardWithdrawal]) -> io::Result<()> {
    append_within(state, gone, LARGEST)
}

fn append_within(state: &StateDir, gone: &[GuardWithdrawal], largest: u64) -> io::Result<()> {
    let path = state.path(StateDir::GUARD_LOG);
    if std::fs::metadata(&path).is_ok_and(|file| file.len() >= largest) {
        for number in (0..KEPT).rev() {
            match std::fs::rename(state.path(&name(number)), state.path(&name(number + 1))) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
    }
    let mut lines = Vec::new();
    for entry in gone.iter().map(Entry::from) {
        serde_json::to_writer(&mut lines, &entry)?;
        lines.push(b'\n');
    }
    let mut how = OpenOptions::new();
    let mut file = state.open(StateDir::GUARD_LOG, how.append(true).create(true).mode(0o644))?;
    file.write_all(&lines)?;
    file.sync_data()
}

/// The name of a file: 0 is the one that is written, higher ones are older.
fn name(number: usize) -> String {
    match number {
        0 => StateDir::GUARD_LOG.to_owned(),
        number => format!("{}.{number}", StateDir::GUARD_LOG),
    }
}

/// Reads on from `position`, or from the oldest line without one: at most 1,000 entries, and the position behind them.
/// Lines that are no entry are skipped. A position whose file is gone counts as none.
///
/// # Errors
/// A file cannot be read.
pub fn read_on(state: &StateDir, position: Option<Position>) -> io::Result<(Vec<Entry>, Option<Position>)> {
    let mut files = Vec::new();
    for number in (0..=KEPT).rev() {
        match state.open(&name(number), OpenOptions::new().read(true)) {
            Ok(file) => {
                let inode = file.metadata()?.ino();
                files.push((inode, file));
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    // a file that was rotated while the others were opened is there twice
    files.dedup_by_key(|(inode, _)| *inode);
    let begin = position.and_then(|position| files.iter().position(|(inode, _)| *inode == position.inode));
    let (mut entries, mut reached) = (Vec::new(), position);
    for (inode, mut file) in files.into_iter().skip(begin.unwrap_or(0)) {
        let mut offset = position.filter(|position| position.inode == inode).map_or(0, |at| at.offset);
        file.seek(SeekFrom::Start(offset))?;
        let mut lines = BufReader::new(file);
        let mut line = Vec::new();
        while entries.len() < LINES_AT_ONCE
            && lines.read_until(b'\n', &mut line)? > 0
            && line.ends_with(b"\n")
        {
            offset += line.len() as u64;
            match serde_json::from_slice(&line) {
                Ok(entry) => entries.push(entry),
                Err(error) => {
                    tracing::warn!(%error, "a line of the guard's log is no entry: it is skipped");
                }
            }
            line.clear();
        }
        reached = Some(Position { inode, offset });
        if entries.len() >= LINES_AT_ONCE {
            break;
        }
    }
    Ok((entries, reached))
}

/// The newest entry; `None` if the log is empty.
///
/// # Errors
/// A file cannot be read.
pub fn last(state: &StateDir) -> io::Result<Option<Entry>> {
    for number in 0..=KEPT {
        let opened = super::found(state.open(&name(number), OpenOptions::new().read(true)))?;
        let Some(mut file) = opened else { continue };
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        if let Some(entry) = text.lines().rev().find_map(|line| serde_json::from_str(line).ok()) {
            return Ok(Some(entry));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;
    use crate::guard::tests::world::key;

    fn state() -> (tempfile::TempDir, StateDir) {
        let folder = tempfile::tempdir().unwrap();
        let state = StateDir::at(folder.path());
        (folder, state)
    }

    fn gone(number: u32) -> GuardWithdrawal {
        GuardWithdrawal {
            at: DateTime::from_timestamp(1000, 0).unwrap(),
            key: key(number),
            speaker: number.is_multiple_of(2).then(|| "rs2".parse().unwrap()),
            not_after: NotAfter(990),
            mitigation: Some(MitigationTag(number)),
        }
    }

    /// Reads on until nothing is left.
    fn all(state: &StateDir, position: &mut Option<Position>) -> Vec<GuardWithdrawal> {
        let mut all = Vec::new();
        loop {
            let (entries, reached) = read_on(state, *position).unwrap();
            *position = reached;
            if entries.is_empty() {
                return all;
            }
            all.extend(entries.into_iter().map(GuardWithdrawal::from));
        }
    }

    #[test]
    fn every_line_is_read_once_and_in_order_over_rotations() {
        let (_folder, state) = state();
        let mut position = None;
        assert_eq!(all(&state, &mut position), []);
        let mut read = Vec::new();
        for round in 0..30 {
            let lines: Vec<_> = (0..10).map(|number| gone(round * 10 + number)).collect();
            // a file holds about twenty lines, and is read now and then
            append_within(&state, &lines, 4000).unwrap();
            if round % 3 == 0 || round == 29 {
                read.extend(all(&state, &mut position));
            }
        }
        assert_eq!(read, (0..300).map(gone).collect::<Vec<_>>());
        assert!(std::fs::read_dir(state.folder()).unwrap().count() <= KEPT + 1, "it is bounded");
    }

    #[test]
    fn half_a_line_waits_for_its_other_half_and_a_strange_one_is_passed_over() {
        let (_folder, state) = state();
        let line = serde_json::to_string(&Entry::from(&gone(1))).unwrap();
        std::fs::write(state.path(StateDir::GUARD_LOG), format!("nonsense\n{}", &line[..20])).unwrap();
        let mut position = None;
        assert_eq!(all(&state, &mut position), []);
        let mut file = File::options().append(true).open(state.path(StateDir::GUARD_LOG)).unwrap();
        writeln!(file, "{}", &line[20..]).unwrap();
        assert_eq!(all(&state, &mut position), [gone(1)]);
        assert_eq!(all(&state, &mut position), []);
        assert_eq!(last(&state).unwrap().map(GuardWithdrawal::from), Some(gone(1)));
    }
}
