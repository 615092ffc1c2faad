//! What happens to a daemon: its speaker and its storage fail in every way that they can, and strangers meddle.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use prefix_core::announcer::RibPath;
use prefix_core::flowspec::{Action, RouteKey};
use prefix_core::ownership::Ownership;
use prefix_testkit::fakes::MemoryAnnouncer;
use prefix_testkit::fakes::announcer::AnnounceFault;
use prefix_testkit::fakes::store::Fault;

use crate::testbed::{FOREIGN, Testbed, foreign, route};
use crate::trace::speaker_name;

impl Testbed {
    /// One of the speakers.
    fn any_speaker(&mut self) -> (usize, Arc<MemoryAnnouncer>) {
        let which = if self.speakers.len() > 1 { self.random.index(self.speakers.len()) } else { 0 };
        (which, self.speakers[which].clone())
    }

    /// The next changes or reads of a speaker fail.
    pub(crate) fn speaker_fault(&mut self) {
        let (which, speaker) = self.any_speaker();
        let fault = self.random.pick(&[
            AnnounceFault::Refused,
            AnnounceFault::Unreachable,
            AnnounceFault::Lost,
            AnnounceFault::AnswerLost,
        ]);
        let times = 1 + self.random.index(4);
        let words = match fault {
            AnnounceFault::Refused => "refused",
            AnnounceFault::Unreachable => "not sent at all",
            AnnounceFault::Lost => "lost on the way",
            _ => "carried out, but the answer is lost",
        };
        let what = match self.random.below(4) {
            0 => {
                speaker.fail_withdraws(times, fault);
                format!("the next {times} withdrawals will be {words}")
            }
            1 => {
                speaker.fail_reads(times);
                format!("the next {times} reads will get no answer")
            }
            2 => {
                speaker.break_table_after(self.random.index(3));
                "the next reading of the table will break off".to_owned()
            }
            _ => {
                speaker.fail_announces(times, fault);
                format!("the next {times} announcements will be {words}")
            }
        };
        self.trouble_speaker(which, what);
    }

    /// Effects that come late, in another order, or twice; a speaker that hangs.
    pub(crate) fn speaker_late(&mut self) {
        let (which, speaker) = self.any_speaker();
        let times = 1 + self.random.index(3);
        let fault = self.random.pick(&[AnnounceFault::Late, AnnounceFault::Repeated]);
        let words = if fault == AnnounceFault::Late { "come late" } else { "happen again later" };
        match self.random.below(4) {
            0 => {
                speaker.fail_withdraws(times, fault);
                self.trouble_speaker(
                    which,
                    format!("the next {times} withdrawals will {words}, without an answer"),
                );
            }
            1 => {
                speaker.stall();
                self.observer.speaker_hangs(which);
                self.speaker_hangs = true;
                self.trouble_speaker(which, "stops, as by SIGSTOP".to_owned());
            }
            _ => {
                speaker.fail_announces(times, fault);
                self.trouble_speaker(
                    which,
                    format!("the next {times} announcements will {words}, without an answer"),
                );
            }
        }
        self.schedule_late_effects(which);
    }

    /// Minutes later, long after everybody has given up, what was sent takes effect.
    fn schedule_late_effects(&mut self, which: usize) {
        let after = Duration::from_millis(self.random.pick(&[300, 3_000, 9_000, 40_000, 180_000]));
        let reverse = self.random.once_in(2);
        let (speaker, observer) = (self.speakers[which].clone(), self.observer.clone());
        tokio::spawn(async move {
            tokio::time::sleep(after).await;
            let happened = speaker.let_late_changes_happen_as(|late| {
                if reverse {
                    late.reverse();
                }
            });
            if !happened.is_empty() {
                observer.disturb();
                let words: Vec<String> = happened.iter().map(ToString::to_string).collect();
                let order = if reverse { ", in reverse order" } else { "" };
                observer
                    .trace
                    .tell(speaker_name(which), format!("carries out late{order}: {}", words.join(", ")));
            }
        });
    }

    /// The speaker is away, comes back, or comes back empty.
    pub(crate) fn speaker_outage(&mut self) {
        let (which, speaker) = self.any_speaker();
        match self.random.below(4) {
            0 => {
                speaker.disconnect("the cable is out");
                self.trouble_speaker(which, "cannot be reached".to_owned());
            }
            1 => {
                speaker.set_delay(Duration::from_millis(self.random.pick(&[20, 300, 2_000])));
                self.trouble_speaker(which, "is slow from now on".to_owned());
            }
            _ => {
                speaker.restart();
                speaker.put(foreign(route(FOREIGN), Ownership::Foreign));
                self.tell(
                    speaker_name(which),
                    "restarts with an empty table; its operator puts the foreign rule back",
                );
                self.observer.disturb();
            }
        }
    }

    /// Somebody else changes the table.
    pub(crate) fn stranger(&mut self) {
        let (which, speaker) = self.any_speaker();
        let own = speaker.own_paths();
        // one that hangs does nothing for strangers either
        if own.is_empty() || self.speaker_hangs {
            return;
        }
        let path = own[self.random.index(own.len())].clone();
        let flow = path.key.flow();
        match self.random.below(6) {
            0 => {
                speaker.remove(&path.key);
                self.tell("stranger", format!("takes {flow} out of the table"));
            }
            1 => {
                let attributes = "changed by hand".into();
                speaker.put(RibPath { action: Some(Action::Discard), attributes, ..path });
                self.tell("stranger", format!("changes the action of {flow}"));
            }
            2 => self.somebody_puts(which, path.key, Ownership::Foreign, "a path of their own"),
            3 => self.neighbor(&speaker, path),
            4 => {
                speaker.remove_learned(&path.key);
                self.tell("neighbor", format!("withdraws {flow}"));
            }
            _ => {
                self.somebody_puts(
                    which,
                    path.key,
                    Ownership::OtherPop { owner: 7 },
                    "a path of another pop",
                );
            }
        }
        self.observer.disturb();
    }

    /// A BGP neighbor announces the same route: another pop, somebody else, or a router that sends our own path back.
    fn neighbor(&mut self, speaker: &MemoryAnnouncer, path: RibPath) {
        let (ownership, words) = match self.random.below(3) {
            0 => (Ownership::OtherPop { owner: 7 }, "a rule of another pop"),
            1 => (Ownership::Foreign, "a rule of its own"),
            _ => (path.ownership, "our own path"),
        };
        self.tell("neighbor", format!("announces {} too: {words}", path.key.flow()));
        speaker.put(RibPath { ownership, local: false, ..path });
    }

    fn somebody_puts(&mut self, which: usize, key: RouteKey, ownership: Ownership, what: &str) {
        self.tell("stranger", format!("puts {what} in place of {}", key.flow()));
        self.observer.somebody_put(which, &key);
        self.speakers[which].put(foreign(key, ownership));
    }

    /// Storage fails once, for a while, or hangs.
    pub(crate) fn storage_fault(&mut self) {
        self.storage_troubled = true;
        self.observer.storage_is_troubled(true);
        let times = 1 + self.random.index(3);
        let what = match self.random.below(6) {
            0 => {
                self.store.set_down(true);
                "is down".to_owned()
            }
            1 => {
                self.store.pause();
                "hangs".to_owned()
            }
            2 => {
                self.store.fail_next(times, Fault::BeforeCommit);
                format!("will fail {times} units of work")
            }
            3 => {
                self.store.fail_next(1 + times * 2, Fault::Conflict);
                format!("will find {} conflicts", 1 + times * 2)
            }
            _ => {
                self.store.fail_next(times, Fault::AfterCommit);
                format!("will store {times} units of work and lose the answer")
            }
        };
        self.tell("storage", what);
        self.observer.disturb();
    }

    /// What was wrong with speaker and storage is over. What is late stays so.
    pub(crate) fn heal(&mut self) {
        for speaker in &self.speakers {
            speaker.heal();
            speaker.wake();
        }
        self.observer.speaker_goes_on();
        for speaker in &self.speakers {
            speaker.connect();
            speaker.set_delay(Duration::ZERO);
        }
        self.store.heal();
        self.store.set_down(false);
        self.store.resume();
        for daemon in &self.daemons {
            daemon.link().set_asleep(false);
            daemon.link().cut_off.store(false, Ordering::Relaxed);
        }
        if self.speaker_troubled || self.storage_troubled {
            self.tell("testbed", "speaker and storage are well again");
        }
        (self.speaker_troubled, self.speaker_hangs, self.storage_troubled) = (false, false, false);
        self.observer.storage_is_troubled(false);
        self.observer.disturb();
    }

    fn trouble_speaker(&mut self, which: usize, what: String) {
        self.speaker_troubled = true;
        self.tell(speaker_name(which), what);
        self.observer.disturb();
    }
}
