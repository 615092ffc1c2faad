//! Browsers that another site sends, names that are not ours, and strangers behind the same address.

use std::num::NonZeroU32;

use actix_web::http::Method;
use actix_web::test::TestRequest;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use super::lab::{Lab, Seen, flood, posting, raw, settings, wide};
use crate::AuthMode;
use crate::limits::RateLimits;

#[actix_web::test]
async fn no_web_page_changes_anything_in_mode_none() {
    let lab = Lab::usual().await;
    let with = |headers: &[(&'static str, &'static str)]| {
        let request = raw(Method::POST, "/v1/config/reload?force=true", "");
        headers.iter().fold(request, |request, header| request.insert_header(*header))
    };
    let host = ("host", "127.0.0.1:8080");
    for headers in [
        &[host, ("origin", "https://evil.example.org")][..],
        &[host, ("origin", "null")],
        &[host, ("sec-fetch-site", "cross-site")],
        &[("host", "evil.example.org:8080"), ("origin", "http://evil.example.org:8080")],
        &[("host", "evil.example.org:8080"), ("sec-fetch-site", "same-origin")],
        // in this mode the header proves nothing
        &[host, ("origin", "https://evil.example.org"), ("authorization", "Bearer x")],
    ] {
        let seen = lab.send(with(headers)).await;
        assert_eq!((seen.status, seen.problem()), (403, "forbidden"), "{headers:?}");
    }
    assert!(lab.config.asked.lock().unwrap().is_empty(), "nothing was reloaded");
    for headers in
        [&[host][..], &[host, ("origin", "http://127.0.0.1:8080")], &[host, ("sec-fetch-site", "none")]]
    {
        assert_eq!(lab.send(with(headers)).await.status, 200, "{headers:?}");
    }
    let rebound = TestRequest::get().uri("/v1/audit").insert_header(("host", "evil.example.org"));
    assert_eq!(lab.send(rebound).await.status, 403, "and nothing is read under another name");
}

#[actix_web::test]
async fn a_secret_is_proof_enough_for_any_site() {
    let mut settings = settings();
    settings.auth = AuthMode::Bearer { secret: "s3cret".into() };
    let lab = Lab::with(&settings, |_| ()).await;
    let request = posting("/v1/events", &flood(1))
        .insert_header(("host", "prefixd.example.net"))
        .insert_header(("origin", "https://noc.example.org"))
        .insert_header(("authorization", "Bearer s3cret"));
    assert_eq!(lab.send(request).await.status, 202);
}

fn signed(body: &str, secret: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body.as_bytes());
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

fn alert() -> Value {
    json!({"alerts": [{"ip": "203.0.113.10", "kind": "udp_flood"}]})
}

async fn posts(lab: &Lab, secret: &str, peer: &str, forwarded: Option<&'static str>) -> Seen {
    let body = alert().to_string();
    let mut request = raw(Method::POST, "/v1/signals/webhook/signed", body.clone())
        .insert_header((SIGNATURE, signed(&body, secret)))
        .peer_addr(peer.parse().unwrap());
    if let Some(forwarded) = forwarded {
        request = request.insert_header(("x-forwarded-for", forwarded));
    }
    lab.send(request).await
}

const SIGNATURE: &str = "X-Signature-SHA256";

#[actix_web::test]
async fn a_stranger_with_bad_signatures_takes_nothing_from_the_honest_sender_of_the_same_address() {
    let few = NonZeroU32::new(3).unwrap();
    let lab =
        Lab::limited(RateLimits { events_per_second: NonZeroU32::MIN, events_burst: few, ..wide() }).await;
    let mut seen = Vec::new();
    for _ in 0..100 {
        seen.push(posts(&lab, "guessed", "192.0.2.1:1000", None).await.status);
    }
    assert!(seen[..60].iter().all(|status| *status == 401), "{seen:?}");
    assert!(seen[70..].contains(&429), "who guesses is slowed down: {seen:?}");
    for _ in 0..3 {
        let honest = posts(&lab, "secret", "192.0.2.1:2000", None).await;
        assert_eq!(honest.status, 200, "{}", honest.text);
    }
    assert_eq!(posts(&lab, "secret", "192.0.2.1:2000", None).await.status, 503, "its own bucket");
}

#[actix_web::test]
async fn who_guesses_a_secret_takes_nothing_from_whoever_has_it() {
    let mut settings = settings();
    settings.auth = AuthMode::Bearer { secret: "s3cret".into() };
    let lab = Lab::with(&settings, |_| ()).await;
    let with = |secret: &str| {
        posting("/v1/events", &flood(1))
            .insert_header(("authorization", format!("Bearer {secret}")))
            .peer_addr("192.0.2.1:1".parse().unwrap())
    };
    let mut refused = Vec::new();
    for _ in 0..100 {
        refused.push(lab.send(with("guess")).await.status);
    }
    assert!(refused.contains(&401) && refused.contains(&429), "{refused:?}");
    assert_eq!(lab.send(with("s3cret")).await.status, 202);
}

#[actix_web::test]
async fn behind_a_trusted_proxy_each_client_has_its_own_bucket() {
    let mut settings = settings();
    settings.trusted_proxies = vec!["192.0.2.0/24".parse().unwrap()];
    settings.rate_limits =
        RateLimits { events_per_second: NonZeroU32::MIN, events_burst: NonZeroU32::MIN, ..wide() };
    let lab = Lab::with(&settings, |_| ()).await;
    let send = |forwarded: &'static str, peer: &'static str| {
        lab.send(
            posting("/v1/events", &flood(1))
                .peer_addr(peer.parse().unwrap())
                .insert_header(("x-forwarded-for", forwarded)),
        )
    };
    assert_eq!(send("203.0.113.1", "192.0.2.1:1").await.status, 202);
    assert_eq!(send("203.0.113.1", "192.0.2.1:1").await.status, 429);
    assert_eq!(send("203.0.113.2", "192.0.2.1:1").await.status, 202);
    assert_eq!(send("203.0.113.3", "198.51.100.1:1").await.status, 202);
    assert_eq!(send("203.0.113.4", "198.51.100.1:1").await.status, 429, "no proxy of ours: not believed");
}

#[actix_web::test]
async fn the_shared_secret_panics_and_thaws_while_there_is_no_admin() {
    let mut settings = settings();
    settings.auth = AuthMode::Bearer { secret: "s3cret".into() };
    let lab = Lab::with(&settings, |_| ()).await;
    let send = |uri: &'static str, body: Value| {
        lab.send(posting(uri, &body).insert_header(("authorization", "Bearer s3cret")))
    };
    assert_eq!(send("/v1/panic", json!({"reason": "a wrong rule"})).await.status, 200);
    let thawed = send("/v1/panic/thaw", json!({"reason": "over"})).await;
    assert_eq!((thawed.status, &thawed.body["frozen"]), (200, &json!(false)), "{}", thawed.text);
    assert_eq!(
        send("/v1/safelist", json!({"prefix": "203.0.113.0/28"})).await.status,
        403,
        "and nothing else"
    );
}
