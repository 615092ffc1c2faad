//! Who may do what: what ends ends at once, on every instance.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::TimeDelta;
use prefix_core::access::{
    ApiToken, Credential, CredentialDigest, CredentialId, HeldCredential, LoginAddress, LoginSession,
    Operator, PasswordHash, Preferences, QuietHours, Role,
};
use prefix_core::id::{OperatorId, SessionId, TokenId};
use prefix_core::ports::{
    AccessChanges, AccessState, ChangeSet, EndedSessions, ReadSet, RowChange, Snapshot, Store, StoreError,
};
use tokio::task::JoinSet;

use super::sample::{admission, at, event, reads, safe};
use super::{change, facts, insert, write};

fn operator(name: &str, role: Role) -> Operator {
    Operator {
        operator_id: OperatorId::generate(),
        revision: 0,
        username: name.parse().unwrap(),
        role,
        password: Some(PasswordHash::new("$argon2id$hash".into())),
        created_at: at(0),
        created_by: Some("ada".into()),
        last_login_at: Some(at(1)),
        addresses: vec![LoginAddress { address: "192.0.2.1".parse().unwrap(), at: at(1) }],
        deleted_at: None,
    }
}

fn token(name: &str) -> ApiToken {
    ApiToken {
        token_id: TokenId::generate(),
        name: name.parse().unwrap(),
        role: Role::Detector,
        sources: BTreeSet::from(["fnm".parse().unwrap()]),
        allowed_cidrs: vec!["192.0.2.0/24".parse().unwrap()],
        digest: CredentialDigest::of(TokenId::generate().to_string().as_bytes()),
        prefix: "pfx_abcd".into(),
        created_at: at(0),
        created_by: "ada".into(),
        creator: Some(OperatorId::generate()),
        expires_at: Some(at(1000)),
        last_used_at: None,
        revoked_at: None,
    }
}

fn session(of: &Operator) -> LoginSession {
    LoginSession {
        session_id: SessionId::generate(),
        operator_id: of.operator_id,
        digest: CredentialDigest::of(SessionId::generate().to_string().as_bytes()),
        created_at: at(0),
        last_seen_at: at(0),
        expires_at: at(0) + LoginSession::LIFETIME,
        address: Some("192.0.2.1".parse().unwrap()),
        user_agent: Some("browser".into()),
    }
}

fn changed(access: AccessChanges) -> ChangeSet {
    ChangeSet { access, ..ChangeSet::default() }
}

fn people() -> ReadSet {
    ReadSet { people: true, ..reads() }
}

async fn put(store: &dyn Store, access: AccessChanges) {
    write(store, &people(), changed(access)).await.unwrap();
}

fn revoked(token: &ApiToken) -> ApiToken {
    ApiToken { revoked_at: Some(at(5)), ..token.clone() }
}

async fn revision(store: &dyn Store) -> i64 {
    store.access_state().await.unwrap().revision
}

/// Every member of every kind.
pub async fn credentials_are_given_back_as_they_came(store: &Arc<dyn Store>, other: &Arc<dyn Store>) {
    let (ada, token) = (operator("Ada", Role::Admin), token("fnm"));
    let session = session(&ada);
    assert_eq!(store.access_state().await.unwrap(), AccessState::default());
    put(
        &**store,
        AccessChanges {
            operators: vec![insert(&ada)],
            tokens: vec![token.clone()],
            sessions: vec![session.clone()],
            ..AccessChanges::default()
        },
    )
    .await;
    assert!(other.access_state().await.unwrap().has_admin);
    assert_eq!(other.operators().await.unwrap(), std::slice::from_ref(&ada));
    assert_eq!(other.operator_named(&"aDA".parse().unwrap()).await.unwrap(), Some(ada.clone()));
    assert_eq!(other.operator_named(&"bob".parse().unwrap()).await.unwrap(), None);
    assert_eq!(other.tokens().await.unwrap(), std::slice::from_ref(&token));
    assert_eq!(other.sessions(Some(ada.operator_id)).await.unwrap(), [(session.clone(), ada.clone())]);
    assert_eq!(other.sessions(Some(OperatorId::generate())).await.unwrap(), []);
    assert_eq!(other.session(session.session_id).await.unwrap(), Some((session.clone(), ada.clone())));
    let digests = [token.digest, session.digest, CredentialDigest::of(b"unknown")];
    let (_, found) = other.credentials(&digests).await.unwrap();
    let login = Credential::Login(Box::new(session), Box::new(ada));
    assert_eq!(found, [Credential::Token(Box::new(token)), login]);
}

/// What grows raises nothing.
pub async fn the_revision_rises_when_something_ends_or_shrinks(
    store: &Arc<dyn Store>,
    other: &Arc<dyn Store>,
) {
    let (ada, token) = (operator("ada", Role::Admin), token("fnm"));
    let session = session(&ada);
    let new = AccessChanges {
        operators: vec![insert(&ada)],
        tokens: vec![token.clone()],
        sessions: vec![session.clone()],
        ..AccessChanges::default()
    };
    put(&**store, new).await;
    let seen = change(&ada, |ada| ada.last_login_at = Some(at(9)));
    put(&**store, AccessChanges { operators: vec![seen], ..AccessChanges::default() }).await;
    assert_eq!(revision(&**other).await, 0);
    let ada = store.operators().await.unwrap().remove(0);
    assert_eq!(ada.revision, 1);
    let end = AccessChanges {
        ended_sessions: vec![EndedSessions::One(session.session_id)],
        ..AccessChanges::default()
    };
    put(&**store, end).await;
    assert_eq!(revision(&**other).await, 1);
    put(&**other, AccessChanges { tokens: vec![revoked(&token)], ..AccessChanges::default() }).await;
    assert_eq!(revision(&**store).await, 2);
    let shrunk = change(&ada, |ada| ada.role = Role::Viewer);
    put(&**store, AccessChanges { operators: vec![shrunk], ..AccessChanges::default() }).await;
    assert_eq!(other.access_state().await.unwrap(), AccessState { revision: 3, has_admin: false });
    assert_eq!(other.credentials(&[token.digest, session.digest]).await.unwrap(), (3, Vec::new()));
    assert_eq!(other.tokens().await.unwrap(), [revoked(&token)], "it is kept, for people");
}

/// A changed row is not overwritten, and a deleted operator keeps its name.
pub async fn operators_are_changed_once_and_their_names_are_theirs_for_ever(
    store: &Arc<dyn Store>,
    other: &Arc<dyn Store>,
) {
    let ada = operator("ada", Role::Admin);
    put(&**store, AccessChanges { operators: vec![insert(&ada)], ..AccessChanges::default() }).await;
    let delete = change(&ada, |ada| {
        ada.deleted_at = Some(at(5));
        ada.password = None;
    });
    let twice: RowChange<Operator> = delete.clone();
    put(&**store, AccessChanges { operators: vec![delete], ..AccessChanges::default() }).await;
    let late = AccessChanges { operators: vec![twice], ..AccessChanges::default() };
    let late = write(&**other, &people(), changed(late)).await;
    assert!(matches!(late, Err(StoreError::Conflict(_))), "{late:?}");
    assert_eq!(other.operators().await.unwrap(), []);
    assert_eq!(other.operator_named(&ada.username).await.unwrap(), None);
    let kept = facts(&**other, &people()).await.people.operators;
    assert_eq!(kept.iter().map(|one| one.deleted_at).collect::<Vec<_>>(), [Some(at(5))]);
    let again =
        AccessChanges { operators: vec![insert(&operator("ADA", Role::Viewer))], ..AccessChanges::default() };
    write(&**store, &people(), changed(again)).await.unwrap_err();
}

/// Only the sessions that are meant.
pub async fn sessions_end_by_id_and_by_operator(store: &Arc<dyn Store>, other: &Arc<dyn Store>) {
    let (ada, bob) = (operator("ada", Role::Admin), operator("bob", Role::Viewer));
    let sessions = [session(&ada), session(&ada), session(&bob)];
    let new = AccessChanges {
        operators: vec![insert(&ada), insert(&bob)],
        sessions: sessions.to_vec(),
        ..AccessChanges::default()
    };
    put(&**store, new).await;
    let left = async || {
        let left = other.sessions(None).await.unwrap();
        left.into_iter().map(|(session, _)| session.session_id).collect::<BTreeSet<_>>()
    };
    let ids = |of: &[usize]| of.iter().map(|one| sessions[*one].session_id).collect::<BTreeSet<_>>();
    let end = |ended| AccessChanges { ended_sessions: vec![ended], ..AccessChanges::default() };
    let but = Some(sessions[1].session_id);
    put(&**store, end(EndedSessions::OfOperator(ada.operator_id, but))).await;
    assert_eq!(left().await, ids(&[1, 2]));
    put(&**store, end(EndedSessions::OfOperator(ada.operator_id, None))).await;
    assert_eq!(left().await, ids(&[2]));
    let idle = CredentialId::Session(sessions[2].session_id);
    other.note_uses(&[(idle, at(60)), (idle, at(30))]).await.unwrap();
    assert_eq!(store.prune_sessions(at(60), at(60)).await.unwrap(), 0);
    assert_eq!(store.prune_sessions(at(61), at(60)).await.unwrap(), 1);
    assert_eq!(left().await, ids(&[]));
}

/// And a later change of the token keeps it.
pub async fn the_last_use_of_a_token_is_noted(store: &Arc<dyn Store>, other: &Arc<dyn Store>) {
    let token = token("fnm");
    put(&**store, AccessChanges { tokens: vec![token.clone()], ..AccessChanges::default() }).await;
    let id = CredentialId::Token(token.token_id);
    other.note_uses(&[(id, at(60)), (id, at(30))]).await.unwrap();
    put(&**store, AccessChanges { tokens: vec![revoked(&token)], ..AccessChanges::default() }).await;
    let used = other.tokens().await.unwrap().remove(0);
    assert_eq!((used.last_used_at, used.revoked_at), (Some(at(60)), Some(at(5))));
}

/// What a principal prefers.
pub async fn preferences_are_kept_by_principal(store: &Arc<dyn Store>, other: &Arc<dyn Store>) {
    let quiet = |start| Preferences {
        muted_events: vec!["mitigation.created".into()],
        quiet_hours: Some(QuietHours { start, end: 6 }),
    };
    for start in [22, 23] {
        let preferences = vec![("operator:1".to_owned(), quiet(start))];
        put(&**store, AccessChanges { preferences, ..AccessChanges::default() }).await;
    }
    assert_eq!(other.preferences("operator:1").await.unwrap(), Some(quiet(23)));
    assert_eq!(other.preferences("operator:2").await.unwrap(), None);
}

/// A unit of work learns which of its callers are gone, and only those.
pub async fn who_holds_an_ended_credential_is_told_so(store: &Arc<dyn Store>, other: &Arc<dyn Store>) {
    let ada = operator("ada", Role::Admin);
    let (kept, lost, login) = (token("a"), token("b"), session(&ada));
    let new = AccessChanges {
        operators: vec![insert(&ada)],
        tokens: vec![kept.clone(), lost.clone()],
        sessions: vec![login.clone()],
        ..AccessChanges::default()
    };
    put(&**store, new).await;
    let ids = [
        CredentialId::Token(kept.token_id),
        CredentialId::Token(lost.token_id),
        CredentialId::Session(login.session_id),
    ];
    let held = ReadSet { held: ids.map(|id| (id, 0)).into(), ..reads() };
    assert!(facts(&**other, &held).await.ended.is_empty());
    let end = AccessChanges {
        tokens: vec![revoked(&lost)],
        ended_sessions: vec![EndedSessions::One(login.session_id)],
        ..AccessChanges::default()
    };
    put(&**store, end).await;
    let seen = facts(&**other, &held).await;
    assert_eq!(seen.access_revision, 1);
    assert_eq!(seen.ended, ids[1..].iter().copied().collect());
}

/// Whoever still writes with it, on whichever instance, however many at once.
pub async fn after_a_revocation_nothing_is_stored_with_the_token(
    store: &Arc<dyn Store>,
    other: &Arc<dyn Store>,
) {
    let token = token("fnm");
    put(&**store, AccessChanges { tokens: vec![token.clone()], ..AccessChanges::default() }).await;
    let held = HeldCredential { id: CredentialId::Token(token.token_id), revision: revision(&**store).await };
    let mut tasks = JoinSet::new();
    for task in 0..6_u32 {
        let store = Arc::clone(if task % 2 == 0 { store } else { other });
        tasks.spawn(async move {
            for number in 0.. {
                let row = event(task * 100_000 + number);
                let mut has_ended = false;
                let mut decide = |facts: Snapshot| {
                    has_ended = facts.ended.contains(&held.id);
                    let events = if has_ended { Vec::new() } else { vec![row.clone()] };
                    ChangeSet { events, ..ChangeSet::default() }
                };
                let reads = ReadSet { held: [(held.id, held.revision)].into(), ..reads() };
                match store.transact(&reads, &mut decide).await {
                    Ok(()) | Err(StoreError::Conflict(_)) => {}
                    Err(error) => panic!("{error}"),
                }
                if has_ended {
                    return;
                }
            }
        });
    }
    while store.totals().await.unwrap().events < 20 {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    put(&**store, AccessChanges { tokens: vec![revoked(&token)], ..AccessChanges::default() }).await;
    let stored = other.totals().await.unwrap().events;
    tasks.join_all().await;
    assert_eq!(store.totals().await.unwrap().events, stored);
}

/// Both change what binds everybody, and neither waits for the other to give up.
pub async fn a_revocation_and_a_change_of_the_safelist_do_not_block_each_other(
    store: &Arc<dyn Store>,
    other: &Arc<dyn Store>,
) {
    let tokens: Vec<ApiToken> = (0..20).map(|number| token(&format!("t{number}"))).collect();
    let holder = token("holder");
    let all = tokens.iter().chain([&holder]).cloned().collect();
    put(&**store, AccessChanges { tokens: all, ..AccessChanges::default() }).await;
    let held = CredentialId::Token(holder.token_id);
    let lists = Arc::clone(other);
    let listing = tokio::spawn(async move {
        for number in 0..20 {
            let entry = safe(&format!("192.0.2.{number}/32"));
            let reads = ReadSet { held: [(held, 0)].into(), ..admission() };
            let changes = ChangeSet { safelist_put: vec![entry], ..ChangeSet::default() };
            while let Err(error) = write(&*lists, &reads, changes.clone()).await {
                assert!(matches!(error, StoreError::Conflict(_)), "{error}");
            }
        }
    });
    let both = async {
        for token in &tokens {
            put(&**store, AccessChanges { tokens: vec![revoked(token)], ..AccessChanges::default() }).await;
        }
        listing.await.unwrap();
    };
    tokio::time::timeout(std::time::Duration::from_secs(15), both).await.expect("they block each other");
    assert_eq!(revision(&**store).await, 20);
    assert_eq!(store.safelist().await.unwrap().entries.len(), 20);
}

/// Of two who each see themselves as the first, one is not.
pub async fn what_is_decided_about_people_is_decided_alone(store: &Arc<dyn Store>, other: &Arc<dyn Store>) {
    let mut tasks = JoinSet::new();
    for number in 0..8 {
        let store = Arc::clone(if number % 2 == 0 { store } else { other });
        tasks.spawn(async move {
            let first = operator(&format!("admin{number}"), Role::Admin);
            let mut decide = |facts: Snapshot| {
                let operators =
                    if facts.people.operators.is_empty() { vec![insert(&first)] } else { Vec::new() };
                changed(AccessChanges { operators, ..AccessChanges::default() })
            };
            store.transact(&people(), &mut decide).await.unwrap();
        });
    }
    tasks.join_all().await;
    assert_eq!(store.operators().await.unwrap().len(), 1);
    let later = at(0) + TimeDelta::days(1);
    assert!(store.operators().await.unwrap()[0].created_at < later);
}
