//! What can be read while storage is away is answered as storage would.

use prefix_core::mitigation::Status;
use prefix_core::page::PageRequest;
use prefix_core::ports::MitigationQuery;
use prefix_engine::EngineError;

use crate::lab::{Lab, alice, at, ban, unban};

fn unfinished() -> MitigationQuery {
    MitigationQuery {
        status: vec![Status::Queued, Status::Pending, Status::Active, Status::Escalated, Status::Withdrawing],
        pop: Some("fra1".parse().unwrap()),
        ..MitigationQuery::default()
    }
}

#[tokio::test(start_paused = true)]
async fn lists_of_unfinished_mitigations_are_the_same_with_and_without_storage() {
    let lab = Lab::with("quotas: {max_active_per_customer: 4}").await;
    for host in 10..16 {
        lab.mitigate(ban(&format!("203.0.113.{host}"), "udp_flood")).await;
        lab.seconds(u64::from(host % 2 == 0)).await;
    }
    lab.mitigate(ban("198.51.100.1", "dns_amplification")).await;
    let seen = lab.mitigate(ban("198.51.100.2", "dns_amplification")).await;
    lab.engine.acknowledge(vec![seen], &alice()).await.unwrap();
    lab.speaker.disconnect("cable");
    lab.hear(unban("198.51.100.1")).await;
    let page = |limit, cursor| PageRequest { limit, cursor, ..PageRequest::default() };
    let first =
        lab.engine.mitigations(&MitigationQuery { page: page(3, None), ..unfinished() }).await.unwrap();
    let queries = [
        unfinished(),
        MitigationQuery { page: page(3, None), ..unfinished() },
        MitigationQuery { page: page(3, first.next_cursor), ..unfinished() },
        MitigationQuery { status: vec![Status::Queued], ..unfinished() },
        MitigationQuery { customer_id: Some("beta".parse().unwrap()), ..unfinished() },
        MitigationQuery { victim_ip: Some("203.0.113.12".parse().unwrap()), ..unfinished() },
        MitigationQuery { vector: Some("dns_amplification".parse().unwrap()), ..unfinished() },
        MitigationQuery { acknowledged: Some(true), ..unfinished() },
        MitigationQuery { acknowledged: Some(false), ..unfinished() },
        MitigationQuery {
            page: PageRequest { start: Some(at(1)), end: Some(at(3)), ..PageRequest::default() },
            ..unfinished()
        },
    ];
    for query in queries {
        lab.store.set_down(false);
        let stored = lab.engine.mitigations(&query).await.unwrap();
        lab.store.set_down(true);
        let remembered = lab.engine.mitigations(&query).await.unwrap();
        let ids = |page: &prefix_core::page::Page<prefix_engine::MitigationView>| {
            let rows = page.items.iter().map(|view| (view.mitigation.mitigation_id, view.mitigation.status));
            rows.collect::<Vec<_>>()
        };
        assert!(!stored.items.is_empty(), "{query:?}");
        assert_eq!(
            (ids(&stored), stored.next_cursor),
            (ids(&remembered), remembered.next_cursor),
            "{query:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_memory_does_not_hold_is_not_answered_and_the_error_says_what_is() {
    let lab = Lab::usual().await;
    let over = lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    lab.hear(unban("203.0.113.10")).await;
    let living = lab.mitigate(ban("203.0.113.11", "udp_flood")).await;
    lab.store.set_down(true);
    let shown = lab.engine.mitigation(living).await.unwrap();
    assert_eq!((shown.mitigation.status, shown.explained), (Status::Active, false));
    assert!(matches!(lab.engine.mitigation(over).await, Err(EngineError::NotInMemory(_))));
    for query in [
        MitigationQuery { status: Vec::new(), ..unfinished() },
        MitigationQuery { status: vec![Status::Active, Status::Expired], ..unfinished() },
        MitigationQuery { pop: None, ..unfinished() },
        MitigationQuery { pop: Some("ams1".parse().unwrap()), ..unfinished() },
    ] {
        match lab.engine.mitigations(&query).await {
            Err(error @ EngineError::NotInMemory(_)) => {
                assert!(error.to_string().contains("status=queued,pending"), "{error}");
            }
            other => panic!("{other:?}"),
        }
    }
}
