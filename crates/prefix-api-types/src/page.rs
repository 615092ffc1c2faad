//! Pages of lists.

use serde::de::Error as _;
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{AuditEntry, Event, Mitigation, SignalGroup};

/// One page of a list: `{<items>, count, next_cursor, has_more}`, its items below a name of their own.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// The items, newest first.
    pub items: Vec<T>,
    /// Where the next page begins; `None` on the last.
    pub next_cursor: Option<String>,
}

/// An item of a list.
pub trait PageItem {
    /// The member of the page that holds the items.
    const MEMBER: &'static str;
    /// The name of the page's schema.
    const PAGE: &'static str;
    /// What the page is.
    const DESCRIPTION: &'static str;
}

/// A page of events.
pub type EventPage = Page<Event>;
/// A page of mitigations.
pub type MitigationPage = Page<Mitigation>;
/// A page of audit entries.
pub type AuditPage = Page<AuditEntry>;
/// A page of signal groups.
pub type GroupPage = Page<SignalGroup>;

macro_rules! items {
    ($($item:ident in $member:literal: $page:literal, $description:literal;)+) => {$(
        impl PageItem for $item {
            const MEMBER: &'static str = $member;
            const PAGE: &'static str = $page;
            const DESCRIPTION: &'static str = $description;
        }
    )+};
}

items! {
    Event in "events": "EventPage", "A page of events.";
    Mitigation in "mitigations": "MitigationPage", "A page of mitigations.";
    AuditEntry in "entries": "AuditPage", "A page of audit entries.";
    SignalGroup in "groups": "GroupPage", "A page of signal groups.";
}

impl<T: PageItem + Serialize> Serialize for Page<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut page = serializer.serialize_map(Some(4))?;
        page.serialize_entry(T::MEMBER, &self.items)?;
        page.serialize_entry("count", &self.items.len())?;
        page.serialize_entry("next_cursor", &self.next_cursor)?;
        page.serialize_entry("has_more", &self.next_cursor.is_some())?;
        page.end()
    }
}

impl<'de, T: PageItem + for<'item> Deserialize<'item>> Deserialize<'de> for Page<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut members = serde_json::Map::deserialize(deserializer)?;
        let items = members.remove(T::MEMBER).ok_or_else(|| D::Error::missing_field(T::MEMBER))?;
        let items = serde_json::from_value(items).map_err(D::Error::custom)?;
        let next_cursor = match members.remove("next_cursor") {
            Some(serde_json::Value::String(cursor)) => Some(cursor),
            _ => None,
        };
        Ok(Self { items, next_cursor })
    }
}

#[cfg(feature = "openapi")]
mod schema {
    use std::borrow::Cow;

    use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, SchemaType, Type};
    use utoipa::openapi::{Ref, RefOr, Schema};
    use utoipa::{PartialSchema, ToSchema};

    use super::{Page, PageItem};

    impl<T: PageItem + ToSchema> PartialSchema for Page<T> {
        fn schema() -> RefOr<Schema> {
            let items = ArrayBuilder::new().items(Ref::from_schema_name(T::name()));
            let of = |kind: SchemaType, text| ObjectBuilder::new().schema_type(kind).description(Some(text));
            let cursor = SchemaType::from_iter([Type::String, Type::Null]);
            ObjectBuilder::new()
                .property(T::MEMBER, items.description(Some("Newest first.")))
                .required(T::MEMBER)
                .property("count", of(Type::Integer.into(), "How many are on this page.").minimum(Some(0)))
                .required("count")
                .property("next_cursor", of(cursor, "`cursor` of the next page; null on the last."))
                .property("has_more", of(Type::Boolean.into(), "Whether there is a next page."))
                .required("has_more")
                .description(Some(T::DESCRIPTION))
                .into()
        }
    }

    impl<T: PageItem + ToSchema> ToSchema for Page<T> {
        fn name() -> Cow<'static, str> {
            T::PAGE.into()
        }

        fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
            schemas.push((T::name().into_owned(), T::schema()));
            T::schemas(schemas);
        }
    }
}
