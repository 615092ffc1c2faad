//! The client and its options: where the server is, who asks, how long it may take.

use crate::transport::{Attempt, Observer};
use prefix_api_types::Secret;
use reqwest::Url;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

/// The address of a server, without `/v1`; http or https.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl(Url);

/// Why an address cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BaseUrlError {
    /// Not an address at all.
    #[error("`{0}` is no address: write it like http://127.0.0.1:8080")]
    Malformed(String),
    /// Neither http nor https.
    #[error("`{0}` begins with neither http:// nor https://")]
    Scheme(String),
    /// The version belongs to the operations.
    #[error("leave `/v1` out of the address: prefixdctl adds it")]
    Version,
}

impl FromStr for BaseUrl {
    type Err = BaseUrlError;

    fn from_str(text: &str) -> Result<Self, BaseUrlError> {
        let mut url = Url::parse(text.trim()).map_err(|_| BaseUrlError::Malformed(text.to_owned()))?;
        if !matches!(url.scheme(), "http" | "https") {
            // `localhost:8080` parses as the scheme `localhost`, so this also catches a forgotten http://.
            return Err(BaseUrlError::Scheme(text.to_owned()));
        }
        let path = url.path().trim_end_matches('/').to_owned();
        if path.ends_with("/v1") {
            return Err(BaseUrlError::Version);
        }
        url.set_path(&path);
        url.set_query(None);
        url.set_fragment(None);
        Ok(Self(url))
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

impl BaseUrl {
    /// The address of the path made of `segments`, each percent-encoded on its own.
    pub(crate) fn join<'a>(&self, segments: impl Iterator<Item = &'a str>) -> Url {
        let mut url = self.0.clone();
        // An http address always has a path, so the segments can be changed.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }

    fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    fn is_loopback(&self) -> bool {
        let host = self.0.host_str().unwrap_or_default();
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
        host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    }
}

/// How to reach a server.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// The address, without `/v1`.
    pub base: BaseUrl,
    /// An API token or the shared secret, sent as `Authorization: Bearer`.
    pub token: Option<Secret>,
    /// The cookie of a login, as `name=value`; sent if there is no token.
    pub cookie: Option<Secret>,
    /// Longest time of one call, retries and their pauses included.
    pub timeout: Duration,
    /// PEM certificates to trust instead of the system's.
    pub ca: Option<Vec<u8>>,
    /// PEM of the client certificate with its chain, followed by its private key.
    pub identity: Option<Vec<u8>>,
    /// The `User-Agent`.
    pub user_agent: String,
}

impl ClientOptions {
    /// Options for `base` with a timeout of 30 s and no credentials.
    pub fn for_base(base: &str) -> Result<Self, BaseUrlError> {
        Ok(Self::new(base.parse()?))
    }

    /// Options for `base` with a timeout of 30 s and no credentials.
    pub fn new(base: BaseUrl) -> Self {
        Self {
            base,
            token: None,
            cookie: None,
            timeout: Duration::from_secs(30),
            ca: None,
            identity: None,
            user_agent: concat!("prefix-client/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

/// Why no client can be made of the options.
#[derive(Debug, thiserror::Error)]
pub enum OptionsError {
    /// The trusted certificates cannot be read.
    #[error("the trusted certificates are no PEM: {0}")]
    Ca(String),
    /// The client certificate or its key cannot be read.
    #[error("the client certificate and key are no PEM pair: {0}")]
    Identity(String),
    /// The token holds a character that no header may have.
    #[error("the token holds a character that no HTTP header may carry, such as a line break")]
    Token,
    /// The TLS or HTTP stack does not start.
    #[error("cannot set up TLS: {0}")]
    Setup(String),
}

/// A client of one server. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    pub(crate) http: reqwest::Client,
    pub(crate) base: BaseUrl,
    pub(crate) timeout: Duration,
    pub(crate) observer: Option<Observer>,
}

impl fmt::Debug for Client {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Client")
            .field("base", &self.base)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Makes a client. If the process has no default TLS provider yet, ring becomes it.
    pub fn new(options: ClientOptions) -> Result<Self, OptionsError> {
        use reqwest::header::{AUTHORIZATION, COOKIE, HeaderMap, HeaderValue};

        if rustls::crypto::CryptoProvider::get_default().is_none() {
            // Losing a race against another thread is fine: then there is a provider.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        let mut headers = HeaderMap::new();
        if let Some(token) = &options.token {
            let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
                .map_err(|_| OptionsError::Token)?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        } else if let Some(cookie) = &options.cookie {
            let mut value = HeaderValue::from_str(cookie.expose()).map_err(|_| OptionsError::Token)?;
            value.set_sensitive(true);
            headers.insert(COOKIE, value);
        }
        // no page of another site has told this program to ask
        headers.insert("sec-fetch-site", HeaderValue::from_static("none"));
        let mut builder = reqwest::Client::builder()
            .user_agent(options.user_agent)
            .default_headers(headers)
            .http1_only()
            // A redirect would send the token, and a POST, to somewhere nobody named.
            .redirect(reqwest::redirect::Policy::none());
        if options.base.is_loopback() {
            builder = builder.no_proxy();
        }
        builder = match &options.ca {
            Some(pem) => {
                let certificates = reqwest::Certificate::from_pem_bundle(pem);
                let certificates = certificates.map_err(|error| OptionsError::Ca(chain(&error)))?;
                if certificates.is_empty() {
                    return Err(OptionsError::Ca("no certificate in it".to_owned()));
                }
                builder.tls_certs_only(certificates)
            }
            // Plain HTTP needs no trust, and a host without any certificates can still speak it.
            None if !options.base.is_https() => builder.tls_certs_only([]),
            None => builder,
        };
        if let Some(pem) = &options.identity {
            let identity = reqwest::Identity::from_pem(pem);
            builder = builder.identity(identity.map_err(|error| OptionsError::Identity(chain(&error)))?);
        }
        let http = builder.build().map_err(|error| OptionsError::Setup(chain(&error)))?;
        Ok(Self { http, base: options.base, timeout: options.timeout, observer: None })
    }

    /// The same client that tells `observer` of every attempt.
    #[must_use]
    pub fn observed(mut self, observer: impl Fn(&Attempt<'_>) + Send + Sync + 'static) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// The address of the server.
    pub fn base(&self) -> &BaseUrl {
        &self.base
    }
}

/// An error with all its causes, without the repetitions that layers of libraries produce.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut texts = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !texts.iter().any(|known| known.contains(&text)) {
            texts.push(text);
        }
        cause = error.source();
    }
    texts.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(base: &str, segments: &[&str]) -> String {
        base.parse::<BaseUrl>().unwrap().join(segments.iter().copied()).to_string()
    }

    #[test]
    fn a_prefix_in_a_path_is_one_segment() {
        assert_eq!(
            url("http://127.0.0.1:8080", &["v1", "safelist", "203.0.113.0/28"]),
            "http://127.0.0.1:8080/v1/safelist/203.0.113.0%2F28"
        );
        assert_eq!(
            url("https://host/behind/proxy/", &["v1", "events"]),
            "https://host/behind/proxy/v1/events"
        );
    }

    #[test]
    fn an_address_that_cannot_work_is_refused_with_the_way_out() {
        assert_eq!("http://h/v1/".parse::<BaseUrl>(), Err(BaseUrlError::Version));
        assert_eq!("localhost:8080".parse::<BaseUrl>(), Err(BaseUrlError::Scheme("localhost:8080".into())));
        assert_eq!(
            "127.0.0.1:8080".parse::<BaseUrl>(),
            Err(BaseUrlError::Malformed("127.0.0.1:8080".into()))
        );
    }

    #[test]
    fn a_token_with_a_line_break_is_refused() {
        let mut options = ClientOptions::for_base("http://127.0.0.1:1").unwrap();
        options.token = Some("a\nb".to_owned().into());
        assert!(matches!(Client::new(options), Err(OptionsError::Token)));
    }

    #[test]
    fn trust_without_a_certificate_is_refused() {
        let mut options = ClientOptions::for_base("https://127.0.0.1:1").unwrap();
        options.ca = Some(b"nothing here".to_vec());
        assert!(matches!(Client::new(options), Err(OptionsError::Ca(_))));
    }
}
