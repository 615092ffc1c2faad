//! Rules of several sets against one victim: which of them routers apply first (RFC 8955 §5.1).
//!
//! Within a set no packet matches two rules. Between sets one may, and then the rule that the RFC puts first is applied,
//! even if it is the weaker one.

use prefix_core::announcer::Route;
use prefix_core::flowspec::Rule;
use prefix_core::id::MitigationId;
use prefix_core::mitigation::Mitigation;

/// What routers apply before the rule of a mitigation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shadow {
    /// The rule that is applied first to packets that both match: a weaker one if there is such.
    pub by: Option<MitigationId>,
    /// Each weaker rule that is applied first, one sentence each.
    pub warnings: Vec<String>,
}

impl Shadow {
    /// Of a mitigation, among the living ones of its victim.
    pub fn of<'a>(row: &Mitigation, living: impl IntoIterator<Item = &'a Mitigation>) -> Self {
        let Some(rule) = rule_of(row).filter(|_| row.lives()) else { return Self::default() };
        let head = row.parent_id.unwrap_or(row.mitigation_id);
        let mut first: Vec<(&Mitigation, &Rule)> = living
            .into_iter()
            .filter(|other| other.lives() && other.parent_id.unwrap_or(other.mitigation_id) != head)
            .filter_map(|other| Some((other, rule_of(other)?)))
            .filter(|(_, theirs)| theirs.precedes(rule) && theirs.overlaps(rule))
            .collect();
        first.sort_by(|(_, one), (_, other)| match one.precedes(other) {
            true => std::cmp::Ordering::Less,
            false if other.precedes(one) => std::cmp::Ordering::Greater,
            false => std::cmp::Ordering::Equal,
        });
        let is_weaker = |other: &Mitigation| !other.action.strength_at_least(&row.action);
        let weaker = || first.iter().filter(|(other, _)| is_weaker(other));
        let by = weaker().chain(&first).next().map(|(other, _)| other.mitigation_id);
        let warning = |(other, theirs): &(&Mitigation, &Rule)| {
            format!(
                "routers that follow RFC 8955 §5.1 apply {theirs} ({}) of mitigation {} first to packets that both match, \
                 and it is weaker",
                crate::compose::describe(&other.action),
                other.mitigation_id
            )
        };
        Self { by, warnings: weaker().map(warning).collect() }
    }
}

fn rule_of(row: &Mitigation) -> Option<&Rule> {
    row.route.as_ref().and_then(Route::rule)
}
