//! If the new document cannot be put in force, its file is the former one again.

use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;

use prefix_api::{ConfigControl, ConfigDocument, EditError};
use prefix_config::Environment;
use prefix_config::folder::{ConfigSource, Files};
use prefix_core::Announcer;
use prefix_core::clock::SystemClock;
use prefix_core::id::InstanceId;
use prefix_engine::{Caller, Engine, EngineParts};
use prefix_runtime::compose;
use prefix_runtime::running::RunningConfig;
use prefix_testkit::fakes::store::Fault;
use prefix_testkit::fakes::{MemoryAnnouncer, MemoryStore};
use serde_json::json;

use super::files::{files, folder, playbook};

/// What a daemon has of its configuration, over a store in memory.
async fn running(folder: &Path) -> (RunningConfig, Engine, Arc<MemoryStore>) {
    let source = ConfigSource::new(Files::Folder(folder.to_owned()), Environment::new());
    let configuration = source.load().value.unwrap();
    let (settings, correlation) = (configuration.settings, configuration.correlation);
    let store = Arc::new(MemoryStore::new());
    let engine = Engine::start(EngineParts {
        store: store.clone(),
        speakers: vec![(Arc::new(MemoryAnnouncer::new()) as Arc<dyn Announcer>).into()],
        clock: Arc::new(SystemClock),
        anchor: None,
        policy: compose::policy(&settings, configuration.inventory, configuration.playbooks, &correlation),
        settings: compose::engine_settings(&settings, String::new()),
        instance: InstanceId::generate(),
        guard: None,
        frozen: Vec::new(),
    });
    let engine = engine.await.unwrap();
    let adapters = Arc::new(ArcSwap::from_pointee(configuration.adapters));
    let clock = Arc::new(SystemClock);
    (RunningConfig::new(source, settings, correlation, adapters, None, engine.clone(), clock), engine, store)
}

#[tokio::test]
async fn a_document_that_storage_does_not_let_in_force_leaves_file_backup_and_policy_as_they_were() {
    let folder = folder("", &[("playbooks.yaml.bak", "an older one")]);
    let (config, engine, store) = running(folder.path()).await;
    let (before, shown) = (files(folder.path()), config.playbooks_view());
    let document = || json!({"playbooks": [playbook("two", 2)]});
    let caller = Caller::system();
    store.fail_next(1_000, Fault::BeforeCommit);
    let edit = config.edit(ConfigDocument::Playbooks, document(), false, &caller);
    let error = edit.await.unwrap_err();
    assert!(matches!(error, EditError::Engine(_)), "{error:?}");
    assert_eq!(files(folder.path()), before);
    assert_eq!(config.playbooks_view(), shown);
    assert_eq!(engine.policy().parts().playbooks.document().playbooks[0].name.as_str(), "one");

    store.heal();
    let edit = config.edit(ConfigDocument::Playbooks, document(), false, &caller);
    assert_eq!(edit.await.unwrap().view["playbooks"][0]["name"], "two");
    assert_ne!(files(folder.path()), before);
    engine.shutdown().await;
}

#[tokio::test]
async fn a_repeated_document_keeps_the_backup_of_the_first() {
    let folder = folder("", &[]);
    let (config, engine, _store) = running(folder.path()).await;
    let original = std::fs::read_to_string(folder.path().join("playbooks.yaml")).unwrap();
    for _ in 0..2 {
        let document = json!({"playbooks": [playbook("two", 2)]});
        config.edit(ConfigDocument::Playbooks, document, false, &Caller::system()).await.unwrap();
    }
    assert_eq!(std::fs::read_to_string(folder.path().join("playbooks.yaml.bak")).unwrap(), original);
    engine.shutdown().await;
}
