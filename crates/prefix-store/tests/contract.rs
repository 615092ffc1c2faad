//! Both stores keep the contract of the port.

mod sqlite {
    use prefix_store::{Options, StoreUrl, open};
    use prefix_testkit::store_contract::Fresh;

    pub(crate) async fn fresh() -> Fresh {
        let folder = tempfile::tempdir().unwrap();
        let url = StoreUrl::Sqlite(folder.path().join("prefixd.db"));
        let store = open(&url, Options::default()).await.unwrap();
        // a second handle on the same file, as a command has it that works on the file directly
        let again = move || {
            let url = url.clone();
            async move { open(&url, Options { exclusive: false, ..Options::default() }).await.unwrap() }
        };
        Fresh::with(store, folder).shared_by(again)
    }

    prefix_testkit::store_contract!(fresh);
}

mod postgres {
    use prefix_store::{Options, StoreUrl, open};
    use prefix_testkit::lab::Postgres;
    use prefix_testkit::store_contract::Fresh;

    pub(crate) async fn fresh() -> Fresh {
        let database = Postgres::shared_database().await.unwrap();
        let url: StoreUrl = database.url().parse().unwrap();
        let store = open(&url, Options::default()).await.unwrap();
        let again = move || {
            let url = url.clone();
            async move { open(&url, Options::default()).await.unwrap() }
        };
        Fresh::with(store, database).shared_by(again)
    }

    prefix_testkit::store_contract!(fresh);
}
