//! The generic contract of the Announcer port, the one that the fake keeps, kept by `GoBGP` 3 and 4.

mod v3 {
    prefix_testkit::announcer_contract!(async {
        let speaker = prefix_testkit::lab::Gobgpd::v3().start().await.unwrap();
        (crate::support::adapter(&speaker), speaker)
    });
}

mod v4 {
    prefix_testkit::announcer_contract!(async {
        let speaker = prefix_testkit::lab::Gobgpd::v4().start().await.unwrap();
        (crate::support::adapter(&speaker), speaker)
    });
}
