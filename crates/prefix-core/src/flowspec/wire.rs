//! Components as encoded: prefixes, and lists of operator and value.

use super::numeric::{Condition, Relation};
use super::{Bitmask, BitmaskError, BitmaskOperand, Component, NlriError, Numeric, NumericError};
use super::{Rule, RuleError};
use crate::address::{Family, Prefix};

const END_OF_LIST: u8 = 0x80;
const AND: u8 = 0x40;
const LENGTH: u8 = 0x30;
const NOT: u8 = 0x02;
const MATCH: u8 = 0x01;

/// An operator octet and its value (RFC 8955 §4.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WireItem {
    /// The operator octet with all its bits: end of list, AND, length, relation.
    pub op: u8,
    /// The value.
    pub value: u64,
}

/// A component with its type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WireComponent {
    /// Destination or source; an IPv6 offset is always 0.
    Prefix(Component, Prefix),
    /// Any other type.
    Items(Component, Vec<WireItem>),
}

impl WireItem {
    /// The number of octets of the value by the operator's length bits: 1, 2, 4 or 8.
    pub const fn value_len(self) -> usize {
        1 << ((self.op & LENGTH) >> 4)
    }

    /// Whether the end-of-list bit is set.
    pub const fn is_last(self) -> bool {
        self.op & END_OF_LIST != 0
    }

    /// Whether the AND bit is set: the item belongs to the term before it.
    const fn is_and(self) -> bool {
        self.op & AND != 0
    }

    /// An item whose value has the shortest length that holds it. Of `op` the AND bit and the relation or match bits
    /// count; the end-of-list bit is set by `is_last`.
    pub fn new(op: u8, value: u64, is_last: bool) -> Self {
        let length = match value {
            0..=0xff => 0x00,
            0x100..=0xffff => 0x10,
            0x1_0000..=0xffff_ffff => 0x20,
            _ => 0x30,
        };
        let end = if is_last { END_OF_LIST } else { 0 };
        Self { op: op & !(LENGTH | END_OF_LIST) | length | end, value }
    }
}

impl Rule {
    /// The components in the order of the encoding.
    pub fn wire_components(&self) -> Vec<WireComponent> {
        let items = |component| match (self.numeric(component), self.bitmask(component)) {
            (Some(numeric), _) => numeric_items(numeric),
            (_, Some(bitmask)) => bitmask_items(component, bitmask),
            _ => Vec::new(),
        };
        self.components()
            .into_iter()
            .map(|component| match component {
                Component::Destination => WireComponent::Prefix(component, self.destination()),
                Component::Source => {
                    WireComponent::Prefix(component, self.source().unwrap_or(self.destination()))
                }
                _ => WireComponent::Items(component, items(component)),
            })
            .collect()
    }

    /// A rule of these components, in any order; end-of-list and length bits are ignored.
    ///
    /// # Errors
    /// The components are no rule of this family, or none that prefixd can announce.
    pub fn from_wire_components(
        family: Family,
        components: impl IntoIterator<Item = WireComponent>,
    ) -> Result<Self, NlriError> {
        let mut destination = None;
        let mut source = None;
        let mut lists: Vec<(Component, Vec<WireItem>)> = Vec::new();
        for component in components {
            let (duplicate, kind) = match component {
                WireComponent::Prefix(kind @ Component::Destination, prefix) => {
                    (destination.replace(prefix).is_some(), kind)
                }
                WireComponent::Prefix(kind @ Component::Source, prefix) => {
                    (source.replace(prefix).is_some(), kind)
                }
                WireComponent::Prefix(kind, _)
                | WireComponent::Items(kind @ (Component::Destination | Component::Source), _) => {
                    return Err(NlriError::WrongShape(kind));
                }
                WireComponent::Items(kind, items) => {
                    let duplicate = lists.iter().any(|(other, _)| *other == kind);
                    lists.push((kind, items));
                    (duplicate, kind)
                }
            };
            if duplicate {
                return Err(NlriError::Duplicate(kind));
            }
        }
        let destination = destination.ok_or(NlriError::NoDestination)?;
        if destination.family() != family {
            return Err(NlriError::WrongFamily(destination));
        }
        let mut builder = Self::to(destination);
        if let Some(source) = source {
            builder = builder.source(source);
        }
        for (component, items) in lists {
            builder = match component {
                Component::TcpFlags | Component::Fragment => {
                    builder.with_bitmask(component, read_bitmask(component, &items)?)
                }
                _ => builder.with_numeric(component, read_numeric(component, &items)?),
            };
        }
        Ok(builder.build()?)
    }
}

/// The items of an OR of ANDed conditions: the AND bit joins an item to the one before it.
fn items<T>(alternatives: impl Iterator<Item = Vec<T>>, item: impl Fn(T) -> (u8, u64)) -> Vec<WireItem> {
    let conditions = alternatives.flat_map(|term| term.into_iter().enumerate());
    let mut items: Vec<WireItem> = conditions
        .map(|(index, condition)| {
            let (op, value) = item(condition);
            WireItem::new(op | if index > 0 { AND } else { 0 }, value, false)
        })
        .collect();
    if let Some(last) = items.last_mut() {
        last.op |= END_OF_LIST;
    }
    items
}

fn numeric_items(numeric: &Numeric) -> Vec<WireItem> {
    items(numeric.alternatives(), |condition| (condition.relation as u8, condition.value))
}

fn bitmask_items(component: Component, bitmask: &Bitmask) -> Vec<WireItem> {
    items(bitmask.terms().iter().cloned(), |operand| {
        // on one bit MATCH changes nothing; each component is encoded as routers commonly encode it
        let plain = component == Component::Fragment && operand.bits.is_power_of_two();
        let all = if operand.all && !plain { MATCH } else { 0 };
        let not = if operand.not { NOT } else { 0 };
        (all | not, operand.bits.into())
    })
}

/// Alternatives of ANDed items. The AND bit of the first item means nothing (RFC 8955 §4.2.1.1).
fn alternatives(items: &[WireItem]) -> impl Iterator<Item = &[WireItem]> {
    items.chunk_by(|_, next| next.is_and())
}

fn read_numeric(component: Component, items: &[WireItem]) -> Result<Numeric, NlriError> {
    let condition = |item: &WireItem| Condition { relation: Relation::of_bits(item.op), value: item.value };
    let terms = alternatives(items).map(|term| term.iter().map(condition).collect::<Vec<_>>());
    Numeric::from_conditions(terms).map_err(|error| match error {
        NumericError::MatchesNothing => RuleError::MatchesNothing(component).into(),
        other => RuleError::Numeric(other).into(),
    })
}

fn read_bitmask(component: Component, items: &[WireItem]) -> Result<Bitmask, NlriError> {
    let operand = |item: &WireItem| {
        let bits =
            u16::try_from(item.value).map_err(|_| RuleError::OutOfRange { component, value: item.value })?;
        Ok(BitmaskOperand { bits, not: item.op & NOT != 0, all: item.op & MATCH != 0 })
    };
    let terms = alternatives(items)
        .map(|term| term.iter().map(operand).collect())
        .collect::<Result<Vec<_>, RuleError>>()?;
    Bitmask::any_of(terms).map_err(|error| match error {
        BitmaskError::MatchesNothing => RuleError::MatchesNothing(component).into(),
        other => RuleError::Bitmask(other).into(),
    })
}
