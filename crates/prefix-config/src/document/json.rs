//! From JSON to nodes and back: a body of a request has no lines.

use serde_json::Value;

use super::{Content, Map, Member, NOWHERE, Node};

impl Node {
    /// The same values, without lines.
    pub(crate) fn from_json(value: &Value) -> Self {
        let content = match value {
            Value::Null => Content::Null,
            Value::Bool(value) => Content::Bool(*value),
            Value::String(text) => Content::Text(text.clone()),
            Value::Number(number) => match (number.as_u64(), number.as_i64()) {
                (Some(number), _) => Content::Unsigned(number),
                (None, Some(number)) => Content::Signed(number),
                (None, None) => Content::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            Value::Array(items) => Content::List(items.iter().map(Self::from_json).collect()),
            Value::Object(members) => {
                let members = members.iter().map(|(key, value)| Member {
                    key: key.as_str().into(),
                    line: 0,
                    value: Self::from_json(value),
                });
                Content::Map(Box::new(Map { members: members.collect(), repeated: Vec::new() }))
            }
        };
        Self { line: 0, start: NOWHERE, content }
    }

    /// The values alone; a number that JSON does not know becomes null.
    pub(crate) fn to_json(&self) -> Value {
        match &self.content {
            Content::Null => Value::Null,
            Content::Bool(value) => (*value).into(),
            Content::Unsigned(number) => (*number).into(),
            Content::Signed(number) => (*number).into(),
            Content::Float(number) => (*number).into(),
            Content::Text(text) => text.as_str().into(),
            Content::List(items) => items.iter().map(Self::to_json).collect(),
            Content::Map(map) => {
                let members = map.members.iter();
                Value::Object(
                    members.map(|member| (member.key.to_string(), member.value.to_json())).collect(),
                )
            }
        }
    }
}
