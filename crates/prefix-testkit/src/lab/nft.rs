//! nftables inside a namespace.

use super::folder::Folder;
use super::{LabError, Namespace, process};
use serde_json::Value;
use std::collections::BTreeMap;
use std::process::Command;

/// Loads a ruleset, as one change.
pub(super) async fn load(namespace: &Namespace, folder: &Folder, text: &str) -> Result<(), LabError> {
    let file = folder.write("rules.nft", text)?;
    let mut nft = Command::new("nft");
    nft.arg("-f").arg(file);
    process::run(namespace.wrap(&nft)).await.map(drop)
}

/// The packets of each named counter of a table, like `inet filter`.
pub(super) async fn counters(namespace: &Namespace, table: &str) -> Result<BTreeMap<String, u64>, LabError> {
    let (family, name) = table.split_once(' ').unwrap_or(("inet", table));
    let said = namespace.run(&["nft", "-j", "list", "counters", "table", family, name]).await?;
    let unreadable = |problem: String| LabError::Unreadable { part: "nft", problem, text: said.clone() };
    let listed: Value = serde_json::from_str(&said).map_err(|error| unreadable(error.to_string()))?;
    let listed = listed["nftables"].as_array().ok_or_else(|| unreadable("no list".to_owned()))?;
    let counter = |object: &Value| {
        let counter = object.get("counter")?;
        Some((counter["name"].as_str()?.to_owned(), counter["packets"].as_u64()?))
    };
    Ok(listed.iter().filter_map(counter).collect())
}
