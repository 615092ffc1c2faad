//! Which database is meant is read whatever is wrong with the rest of prefixd.yaml.

use std::path::Path;

use prefix_store::StoreUrl;

use crate::Environment;
use crate::folder::{ConfigSource, Files};
use crate::loaded::Loaded;

fn load(folder: &Path, environment: &[(&str, &str)]) -> Loaded<StoreUrl> {
    let environment: Environment =
        environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    ConfigSource::new(Files::Folder(folder.to_path_buf()), environment).load_storage()
}

fn folder(text: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("prefixd.yaml"), text).unwrap();
    folder
}

#[test]
fn mistakes_anywhere_else_change_nothing() {
    let folder = folder("mode: enforce\nhttp: 5\nbgp: {local_asn: x}\nstorage: {url: 'sqlite://x.db'}\n");
    let loaded = load(folder.path(), &[("PREFIXD__HTTP__LISTN", "x")]);
    assert_eq!(loaded.diagnostics, []);
    assert_eq!(loaded.value, Some(StoreUrl::Sqlite(folder.path().join("x.db"))));
}

#[test]
fn without_the_key_it_is_the_default_and_the_old_key_is_heeded() {
    let plain = folder("pop: fra1\n");
    let expected = StoreUrl::Sqlite(plain.path().join("data/prefixd.db"));
    assert_eq!(load(plain.path(), &[]).value, Some(expected));
    let old = folder("storage: {connection_string: 'sqlite:///x/y.db'}\n");
    let loaded = load(old.path(), &[]);
    assert_eq!(loaded.value, Some(StoreUrl::Sqlite("/x/y.db".into())));
    assert!(loaded.diagnostics[0].to_string().contains("is now called storage.url"));
}

#[test]
fn the_environment_wins_and_needs_no_file() {
    let folder = folder("storage: {url: 5}\n");
    for place in [folder.path(), Path::new("/no/such/folder")] {
        let loaded = load(place, &[("DATABASE_URL", "sqlite://other.db")]);
        assert_eq!(loaded.diagnostics, []);
        assert_eq!(loaded.value, Some(StoreUrl::Sqlite(place.join("other.db"))));
    }
}

#[test]
fn mistakes_in_what_is_read_are_said() {
    let said = |folder: &Path, environment: &[(&str, &str)]| {
        let loaded = load(folder, environment);
        assert!(loaded.value.is_none());
        loaded.diagnostics.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    let wrong = folder("pop: fra1\nstorage:\n  uri: x\n");
    let unknown = said(wrong.path(), &[]);
    assert!(unknown.contains("prefixd.yaml:3: unknown key \"uri\" in storage"), "{unknown}");
    assert!(said(Path::new("/no/such/folder"), &[]).contains("/no/such/folder does not exist"));
    let database = said(wrong.path(), &[("DATABASE_URL", "mysql://root:hunter2@db")]);
    assert!(database.contains("DATABASE_URL") && !database.contains("hunter2"), "{database}");
}
