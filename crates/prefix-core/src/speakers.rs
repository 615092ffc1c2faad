//! The speakers of a pop: one, or several that all announce every own rule (`bgp.speakers[]`).

use crate::name::SpeakerName;

/// One of the configured speakers: its position in `bgp.speakers`. It means something only in the process that gave it;
/// what is stored names a speaker by its name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpeakerId(pub usize);

/// The configured speakers. A single one has no name: nothing tells of it that it could be confused with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Speakers(Vec<SpeakerName>);

static ONE: Speakers = Speakers(Vec::new());

impl Speakers {
    /// A single speaker, for whoever needs no configuration.
    pub fn one() -> &'static Self {
        &ONE
    }

    /// Speakers of these names, in the order of the configuration. Fewer than two are a single one.
    pub fn named(names: Vec<SpeakerName>) -> Self {
        if names.len() < 2 { Self::default() } else { Self(names) }
    }

    /// True if there is more than one.
    pub fn are_several(&self) -> bool {
        !self.0.is_empty()
    }

    /// How many there are, at least 1.
    pub fn count(&self) -> usize {
        self.0.len().max(1)
    }

    /// Every speaker, in the order of the configuration.
    pub fn ids(&self) -> impl Iterator<Item = SpeakerId> + use<> {
        (0..self.count()).map(SpeakerId)
    }

    /// The name of a speaker; `None` if it is the only one.
    pub fn name(&self, id: SpeakerId) -> Option<&SpeakerName> {
        self.0.get(id.0)
    }

    /// The names of all, in the order of the configuration; none if there is only one.
    pub fn names(&self) -> &[SpeakerName] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_speaker_has_no_name() {
        let one = Speakers::named(vec!["rs1".parse().unwrap()]);
        assert_eq!(&one, Speakers::one());
        assert_eq!((one.count(), one.are_several(), one.name(SpeakerId(0))), (1, false, None));
        let two = Speakers::named(vec!["rs1".parse().unwrap(), "rs2".parse().unwrap()]);
        assert_eq!(
            two.ids().filter_map(|id| two.name(id)).map(SpeakerName::as_str).collect::<Vec<_>>(),
            ["rs1", "rs2"]
        );
    }
}
