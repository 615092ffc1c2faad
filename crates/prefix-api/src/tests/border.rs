//! What every request and answer has in common.

use actix_web::http::Method;
use actix_web::test::TestRequest;
use actix_web::{HttpResponse, web};
use serde_json::json;
use uuid::Uuid;

use super::lab::{Lab, flood, posting, settings};

#[actix_web::test]
async fn every_answer_has_its_headers() {
    let lab = Lab::usual().await;
    for uri in ["/v1/health", "/v1/nothing", "/v1/mitigations?limit=0", "/openapi.json"] {
        let seen = lab.send(TestRequest::get().uri(uri).insert_header(("x-request-id", "my-id_1.0"))).await;
        assert_eq!(seen.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(seen.header("x-frame-options"), Some("DENY"));
        assert_eq!(seen.header("cache-control"), Some("no-store"));
        assert_eq!(seen.header("x-request-id"), Some("my-id_1.0"));
        assert_eq!(seen.header("access-control-allow-origin"), None);
    }
    let seen =
        lab.send(TestRequest::get().uri("/v1/health").insert_header(("x-request-id", "no spaces"))).await;
    assert!(Uuid::try_parse(seen.header("x-request-id").unwrap()).is_ok());
}

#[actix_web::test]
async fn unknown_paths_and_methods_are_problems() {
    let lab = Lab::usual().await;
    for uri in ["/", "/v1", "/v1/panics", "/v1/events/", "/metrics", "/v1/auth", "/v1/..%2Fhealth"] {
        let seen = lab.get(uri).await;
        assert_eq!((seen.status, seen.problem()), (404, "not-found"), "{uri}");
    }
    for (method, uri, allow) in [
        (Method::DELETE, "/v1/events", "POST, GET"),
        (Method::PUT, "/v1/mitigations/withdraw", "POST"),
        (Method::OPTIONS, "/v1/events", "POST, GET"),
        (Method::HEAD, "/v1/health", "GET"),
        (Method::from_bytes(b"BREW").unwrap(), "/v1/health", "GET"),
    ] {
        let seen = lab.send(TestRequest::with_uri(uri).method(method)).await;
        assert_eq!((seen.status, seen.header("allow")), (405, Some(allow)), "{uri}");
    }
}

#[actix_web::test]
async fn ids_in_paths_are_checked() {
    let lab = Lab::usual().await;
    let unknown = "7d6f2b3e-8f0a-4a55-9a0e-2a4f5f0c7a11";
    for path in ["events", "mitigations"] {
        let seen = lab.get(&format!("/v1/{path}/{unknown}")).await;
        assert_eq!((seen.status, seen.problem()), (404, "not-found"));
        for bad in ["x", "7D6F2B3E8F0A4A559A0E2A4F5F0C7A11", "%00", "%ff"] {
            let seen = lab.get(&format!("/v1/{path}/{bad}")).await;
            assert_eq!(seen.status, 400, "{bad} {}", seen.text);
            assert_eq!(seen.problem(), "bad-request");
        }
    }
}

#[actix_web::test]
async fn bodies_must_say_that_they_are_json() {
    let lab = Lab::usual().await;
    for content_type in
        [None, Some("text/plain"), Some("application/x-www-form-urlencoded"), Some("application/")]
    {
        let request = TestRequest::post().uri("/v1/events").set_payload(flood(1).to_string());
        let request = match content_type {
            Some(content_type) => request.insert_header(("content-type", content_type)),
            None => request,
        };
        let seen = lab.send(request).await;
        assert_eq!((seen.status, seen.problem()), (415, "unsupported-media-type"), "{content_type:?}");
    }
    let request = posting("/v1/events", &flood(1)).insert_header(("content-encoding", "gzip"));
    assert_eq!(lab.send(request).await.status, 415);
    let request = posting("/v1/events", &flood(1))
        .insert_header(("content-type", "application/cloudevents+json; charset=utf-8"));
    assert_eq!(lab.send(request).await.status, 202);
}

#[actix_web::test]
async fn bodies_have_at_most_a_mebibyte() {
    let lab = Lab::usual().await;
    let padded = |size: usize| {
        let mut event = flood(1).to_string();
        event.push_str(&" ".repeat(size - event.len()));
        super::lab::raw(Method::POST, "/v1/events", event)
    };
    assert_eq!(lab.send(padded(1024 * 1024)).await.status, 202);
    for size in [1024 * 1024 + 1, 2 * 1024 * 1024, 20 * 1024 * 1024] {
        let seen = lab.send(padded(size)).await;
        assert_eq!((seen.status, seen.problem()), (413, "too-large"), "{size}");
    }
}

#[actix_web::test]
async fn browsers_may_call_from_the_configured_origin_only() {
    let mut settings = settings();
    settings.cors_origin = Some("https://noc.example.net".into());
    let lab = Lab::with(&settings, |_| ()).await;
    let get = |origin: &'static str| {
        lab.send(TestRequest::get().uri("/v1/nothing").insert_header(("origin", origin)))
    };
    let seen = get("https://noc.example.net").await;
    assert_eq!(seen.header("access-control-allow-origin"), Some("https://noc.example.net"));
    assert_eq!(seen.header("access-control-allow-credentials"), Some("true"));
    assert_eq!(get("https://evil.example.net").await.header("access-control-allow-origin"), None);

    let preflight = TestRequest::default()
        .method(Method::OPTIONS)
        .uri("/v1/events")
        .insert_header(("origin", "https://noc.example.net"))
        .insert_header(("access-control-request-method", "POST"));
    let seen = lab.send(preflight).await;
    assert_eq!(seen.status, 204);
    assert_eq!(seen.header("access-control-allow-methods"), Some("GET, POST, PUT, DELETE, OPTIONS"));
    assert!(seen.header("access-control-allow-headers").unwrap().contains("idempotency-key"));
}

#[actix_web::test]
async fn a_panic_is_an_answer() {
    async fn explodes() -> HttpResponse {
        panic!("a handler that fails")
    }
    let lab = Lab::usual().await;
    let app = actix_web::App::new()
        .app_data(lab.api.clone())
        .service(
            web::resource("/v1/health")
                .route(web::get().to(explodes))
                .wrap(actix_web::middleware::from_fn(crate::gate::gate)),
        )
        .wrap(actix_web::middleware::from_fn(crate::envelope::envelope));
    let app = actix_web::test::init_service(app).await;
    let response =
        actix_web::test::call_service(&app, TestRequest::get().uri("/v1/health").to_request()).await;
    assert_eq!(response.status(), 500);
    let body: serde_json::Value = actix_web::test::read_body_json(response).await;
    assert_eq!(body["type"], "urn:prefixd:problem:internal");
    assert!(!body.to_string().contains("a handler that fails"));
}

#[actix_web::test]
async fn who_goes_down_takes_no_more() {
    let lab = Lab::usual().await;
    lab.api.drain();
    let seen = lab.post("/v1/events", &flood(1)).await;
    assert_eq!((seen.status, seen.problem()), (503, "shutting-down"));
    assert_eq!(seen.header("retry-after"), Some("5"));
    assert_eq!(lab.get("/v1/health").await.body["ready"], json!(false));
    assert_eq!(lab.get("/v1/health/ready").await.status, 503);
    assert_eq!(lab.get("/v1/health/detail").await.status, 200);
}
