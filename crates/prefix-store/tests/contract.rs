//! Both stores keep the contract of the port.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod sqlite {
    use prefix_store::{Options, StoreUrl, open};
    use prefix_testkit::store_contract::Fresh;

    pub(crate) async fn fresh() -> Fresh {
        let folder = tempfile::tempdir().unwrap();
        let url = StoreUrl::Sqlite(folder.path().join("prefixd.db"));
        Fresh::with(open(&url, Options::default()).await.unwrap(), folder)
    }

    prefix_testkit::store_contract!(fresh);
}

mod postgres {
    use prefix_store::{Options, open};
    use prefix_testkit::lab::Postgres;
    use prefix_testkit::store_contract::Fresh;

    pub(crate) async fn fresh() -> Fresh {
        let database = Postgres::shared_database().await.unwrap();
        let url = database.url().parse().unwrap();
        Fresh::with(open(&url, Options::default()).await.unwrap(), database)
    }

    prefix_testkit::store_contract!(fresh);
}
