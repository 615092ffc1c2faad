//! One request, as handlers see it: who calls, under which id, and whether a repetition is to be recognised.

use std::future::{Ready, ready};
use std::net::IpAddr;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::http::header::HeaderName;
use actix_web::{FromRequest, HttpMessage, HttpRequest, web};
use prefix_diagnostics::{Diagnostic, KeyPath, Place};
use prefix_engine::{Caller, IdempotencyKey};

use crate::access::{AuthMethod, Principal};
use crate::api::Api;
use crate::problem::{Kind, Problem};
use crate::proxies;
use crate::request_id::RequestId;

/// The header that makes a request repeatable.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// A request that passed the gate.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// Who calls.
    pub(crate) principal: Principal,
    /// The id of the request.
    pub(crate) request_id: RequestId,
    /// Method and path template.
    pub(crate) endpoint: String,
    /// The path as it was asked for.
    pub(crate) path: String,
    /// The same with its query: what makes two requests the same.
    path_and_query: String,
    /// The address of the client.
    pub(crate) address: Option<IpAddr>,
    /// Whose tokens it takes: the principal's; or the address's, of those who need not say who they are.
    pub(crate) bucket: String,
    key: Result<Option<String>, Diagnostic>,
}

impl Call {
    /// Of a request, with its principal.
    pub(crate) fn new(request: &HttpRequest, principal: Principal) -> Self {
        let pattern = request.match_pattern().unwrap_or_else(|| request.path().to_owned());
        let bucket = match principal.auth_method {
            AuthMethod::None => address(request),
            _ => principal.id.key(),
        };
        Self {
            principal,
            request_id: RequestId::of_request(request),
            endpoint: format!("{} {pattern}", request.method()),
            path: request.path().to_owned(),
            path_and_query: request.uri().path_and_query().map_or_else(String::new, ToString::to_string),
            address: client(request),
            bucket,
            key: idempotency_key(request),
        }
    }

    /// The caller for the engine.
    pub(crate) fn caller(&self, dry_run: bool) -> Caller {
        Caller {
            // of the shared secret, and where everybody is admin, each source is its own: many detectors share it
            identity: self.principal.id.identity(),
            held: self.principal.held,
            operator: self.principal.id.operator(),
            on_behalf: self.principal.on_behalf,
            address: self.address,
            actor: self.principal.actor(),
            request_id: self.request_id.as_str().to_owned(),
            dry_run,
            idempotency: None,
        }
    }

    /// The mistake in the header `Idempotency-Key`, if there is one.
    pub(crate) fn check_key(&self) -> Result<(), Vec<Diagnostic>> {
        self.key.as_ref().map(|_| ()).map_err(|error| vec![error.clone()])
    }

    /// The caller of a repeatable request, known by its key and the hash of its body. A dry run stores no answer.
    pub(crate) fn repeatable(&self, dry_run: bool, body_hash: [u8; 32]) -> Caller {
        let key = self.key.as_ref().ok().cloned().flatten();
        let idempotency = key.filter(|_| !dry_run).map(|key| IdempotencyKey {
            principal: self.principal.id.key(),
            path: self.path_and_query.clone(),
            key,
            body_hash,
        });
        Caller { idempotency, ..self.caller(dry_run) }
    }
}

/// The address of the client; behind a trusted proxy that is whom the proxy names.
pub(crate) fn client(request: &HttpRequest) -> Option<IpAddr> {
    let proxies = request.app_data::<web::Data<Api>>().map(|api| Arc::clone(&api.trusted_proxies));
    let peer = request.peer_addr()?.ip();
    Some(proxies::client(&proxies.unwrap_or_default(), peer, request.headers()))
}

/// The bucket of the client's address.
pub(crate) fn address(request: &HttpRequest) -> String {
    client(request).map_or_else(|| "address unknown".to_owned(), |client| format!("address {client}"))
}

fn idempotency_key(request: &HttpRequest) -> Result<Option<String>, Diagnostic> {
    let mut values = request.headers().get_all(IDEMPOTENCY_KEY);
    let wrong = |detail: &str| {
        Err(Diagnostic::shape(KeyPath::root(), detail).at(Place::Header("Idempotency-Key".to_owned())))
    };
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(_), Some(_)) => wrong("is given twice; give it once"),
        (Some(value), None) => {
            let printable = |byte: &u8| (0x20..=0x7e).contains(byte);
            let bytes = value.as_bytes();
            match value.to_str() {
                Ok(text) if (1..=255).contains(&bytes.len()) && bytes.iter().all(printable) => {
                    Ok(Some(text.to_owned()))
                }
                _ => wrong("must be 1 to 255 printable ASCII characters"),
            }
        }
    }
}

impl FromRequest for Call {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let principal = request.extensions().get::<Principal>().cloned();
        ready(match principal {
            Some(principal) => Ok(Self::new(request, principal)),
            None => Err(Problem::new(Kind::Unauthenticated, "no credentials were checked")),
        })
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn call(keys: &[&[u8]]) -> Call {
        let mut request = TestRequest::post().uri("/v1/events?explain=true");
        for key in keys {
            let value = actix_web::http::header::HeaderValue::from_bytes(key).unwrap();
            request = request.append_header((IDEMPOTENCY_KEY, value));
        }
        Call::new(&request.to_http_request(), Principal::shared_secret())
    }

    #[test]
    fn a_key_is_1_to_255_printable_characters() {
        assert!(call(&[]).check_key().is_ok());
        assert!(call(&[b"a key ~!"]).check_key().is_ok());
        for bad in [&[&b""[..]][..], &[&[b'x'; 256]], &["ü".as_bytes()], &[b"a\tb"], &[b"a", b"a"]] {
            assert_eq!(call(bad).check_key().unwrap_err()[0].pointer(), "Idempotency-Key");
        }
    }

    #[test]
    fn a_repetition_is_known_by_principal_path_key_and_body() {
        let caller = call(&[b"k"]).repeatable(false, [7; 32]);
        let key = caller.idempotency.unwrap();
        assert_eq!(
            (key.principal.as_str(), key.path.as_str(), key.key.as_str()),
            ("bearer-token", "/v1/events?explain=true", "k")
        );
        assert!(call(&[b"k"]).repeatable(true, [7; 32]).idempotency.is_none());
    }
}
