//! A body of the API, shown without a change of content or order.

use crate::exit::Failure;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// Any JSON, members in the order of the text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Ordered {
    Null,
    Bool(bool),
    Number(serde_json::Number),
    Text(String),
    List(Vec<Ordered>),
    Object(IndexMap<String, Ordered>),
}

fn read(body: &[u8]) -> Result<Ordered, Failure> {
    serde_json::from_slice(body).map_err(|error| Failure::General(format!("the answer is no JSON: {error}")))
}

/// The same JSON, one member a line.
pub(crate) fn indented(body: &[u8]) -> Result<String, Failure> {
    if body.is_empty() {
        return Ok(String::new());
    }
    serde_json::to_string_pretty(&read(body)?)
        .map_err(|error| Failure::General(format!("cannot write JSON: {error}")))
}

/// The same content as YAML.
pub(crate) fn yaml(body: &[u8]) -> Result<String, Failure> {
    serde_saphyr::to_string(&read(body)?)
        .map_err(|error| Failure::General(format!("cannot write YAML: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] =
        br#"{"zebra":1,"apple":[true,null,0.5,9223372036854775807],"text":"no","empty":[],"port":"53"}"#;

    #[test]
    fn the_order_of_the_server_is_kept() {
        let text = indented(BODY).unwrap();
        assert!(text.find("zebra").unwrap() < text.find("apple").unwrap(), "{text}");
        assert!(text.contains("9223372036854775807"));
    }

    #[test]
    fn yaml_reads_back_as_the_same_content() {
        let text = yaml(BODY).unwrap();
        let back: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
        assert_eq!(back, serde_json::from_slice::<serde_json::Value>(BODY).unwrap(), "{text}");
        assert!(text.find("zebra").unwrap() < text.find("apple").unwrap());
    }
}
