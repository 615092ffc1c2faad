//! The same promises of both versions.

/// Runs each of these `async fn(GobgpVersion)` with both versions.
macro_rules! with_both_versions {
    ($($promise:ident)*) => {
        mod v3 { $(
            #[tokio::test]
            async fn $promise() {
                super::$promise(prefix_testkit::lab::GobgpVersion::V3).await;
            }
        )* }
        mod v4 { $(
            #[tokio::test]
            async fn $promise() {
                super::$promise(prefix_testkit::lab::GobgpVersion::V4).await;
            }
        )* }
    };
}
pub(crate) use with_both_versions;
