//! Withdrawing and acknowledging (http-api.md §4.3). `operator_id` is accepted and ignored: the identity is the
//! caller's.

use prefix_core::id::MitigationId;
use prefix_diagnostics::{Diagnostic, KeyPath, Members, Node};

use crate::value;

/// The most mitigations of one request.
const MOST_MITIGATIONS: usize = 100;

/// Reads `{reason}`.
pub(crate) fn withdraw(node: &Node) -> Result<String, Vec<Diagnostic>> {
    let mut members = Members::open(node, KeyPath::root())?;
    members.accept("operator_id");
    let reason = members.required("reason", value::free_text);
    members.finish(|| reason)
}

/// Reads `{mitigation_ids, reason}`.
pub(crate) fn withdraw_many(node: &Node) -> Result<(Vec<MitigationId>, String), Vec<Diagnostic>> {
    let mut members = Members::open(node, KeyPath::root())?;
    members.accept("operator_id");
    let ids = ids(&mut members);
    let reason = members.required("reason", value::free_text);
    members.finish(|| Some((ids, reason?)))
}

/// Reads `{mitigation_ids}`.
pub(crate) fn acknowledge(node: &Node) -> Result<Vec<MitigationId>, Vec<Diagnostic>> {
    let mut members = Members::open(node, KeyPath::root())?;
    members.accept("operator_id");
    let ids = ids(&mut members);
    members.finish(|| Some(ids))
}

fn ids(members: &mut Members<'_>) -> Vec<MitigationId> {
    if members.required_items("mitigation_ids", MOST_MITIGATIONS).is_empty() {
        return Vec::new();
    }
    members.list("mitigation_ids", MOST_MITIGATIONS, value::id)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "7d6f2b3e-8f0a-4a55-9a0e-2a4f5f0c7a11";

    fn places(errors: Result<impl std::fmt::Debug, Vec<Diagnostic>>) -> Vec<String> {
        errors.unwrap_err().into_iter().map(|error| error.pointer()).collect()
    }

    #[test]
    fn every_id_must_be_one() {
        let tree =
            Node::from_json_text(&format!(r#"{{"mitigation_ids": ["{ID}", "x", 5, "{}"]}}"#, &ID[1..]))
                .unwrap();
        assert_eq!(
            places(withdraw_many(&tree)),
            ["/mitigation_ids/1", "/mitigation_ids/2", "/mitigation_ids/3", "/reason"]
        );
        let tree =
            Node::from_json_text(&format!(r#"{{"mitigation_ids": ["{ID}"], "operator_id": 5}}"#)).unwrap();
        assert_eq!(acknowledge(&tree).unwrap().len(), 1);
    }

    #[test]
    fn a_list_has_1_to_100_ids() {
        let many = vec![ID; 101];
        for text in [
            r#"{"mitigation_ids": []}"#.to_owned(),
            format!(r#"{{"mitigation_ids": {many:?}}}"#),
            "{}".to_owned(),
        ] {
            assert_eq!(places(acknowledge(&Node::from_json_text(&text).unwrap())), ["/mitigation_ids"]);
        }
    }

    #[test]
    fn a_withdraw_has_a_reason() {
        assert_eq!(
            withdraw(&Node::from_json_text(r#"{"reason": "false alarm"}"#).unwrap()),
            Ok("false alarm".to_owned())
        );
        for text in ["{}", r#"{"reason": ""}"#, r#"{"reason": 5}"#, r#"{"reason": null}"#] {
            assert_eq!(places(withdraw(&Node::from_json_text(text).unwrap())), ["/reason"]);
        }
    }
}
