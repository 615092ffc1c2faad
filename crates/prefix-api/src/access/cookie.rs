//! The cookie of a login.

use actix_web::http::header::{COOKIE, HeaderMap};

/// Of a site that is reached by https: browsers accept it from nobody else, not even from a neighbour.
const SECURE: &str = "__Host-session";
/// Of any other.
const PLAIN: &str = "session";
/// Seven days, after which the session is over in any case.
const MAX_AGE: u32 = 7 * 86_400;

/// How the cookie is named, sent and read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LoginCookie {
    is_secure: bool,
}

impl LoginCookie {
    /// By the address under which browsers reach the API.
    pub(crate) fn new(speaks_tls: bool, public_url: Option<&str>) -> Self {
        Self { is_secure: speaks_tls || public_url.is_some_and(|url| url.starts_with("https://")) }
    }

    fn name(self) -> &'static str {
        if self.is_secure { SECURE } else { PLAIN }
    }

    fn values(self, headers: &HeaderMap) -> Vec<&str> {
        let all = headers.get_all(COOKIE).filter_map(|value| value.to_str().ok());
        let pairs = all.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.filter(|(name, _)| *name == self.name()).map(|(_, value)| value).collect()
    }

    /// Whether there is one at all.
    pub(crate) fn is_sent(self, headers: &HeaderMap) -> bool {
        !self.values(headers).is_empty()
    }

    /// The secret; none if there is no cookie, or two that differ: then somebody else has set one of them.
    pub(crate) fn value(self, headers: &HeaderMap) -> Option<&str> {
        let values = self.values(headers);
        let first = *values.first()?;
        values.iter().all(|other| *other == first).then_some(first)
    }

    fn attributes(self) -> &'static str {
        if self.is_secure {
            "Path=/; HttpOnly; SameSite=Lax; Secure"
        } else {
            "Path=/; HttpOnly; SameSite=Lax"
        }
    }

    /// `Set-Cookie` of a new login.
    pub(crate) fn set(self, secret: &str) -> String {
        format!("{}={secret}; {}; Max-Age={MAX_AGE}", self.name(), self.attributes())
    }

    /// `Set-Cookie` that takes it away.
    pub(crate) fn clear(self) -> String {
        format!("{}=; {}; Max-Age=0", self.name(), self.attributes())
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn value(cookie: LoginCookie, text: &'static str) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, HeaderValue::from_static(text));
        cookie.value(&headers).map(str::to_owned)
    }

    #[test]
    fn one_name_counts_and_two_values_are_none() {
        let plain = LoginCookie::new(false, None);
        assert_eq!(value(plain, "a=1; session=x; b=2").as_deref(), Some("x"));
        assert_eq!(value(plain, "session=x; session=y"), None);
        assert_eq!(value(plain, "__Host-session=x"), None);
        let secure = LoginCookie::new(false, Some("https://prefixd.example.net"));
        assert_eq!(value(secure, "session=x; __Host-session=y").as_deref(), Some("y"));
        assert!(secure.set("y").contains("Secure") && secure.set("y").contains("HttpOnly"));
        assert!(!LoginCookie::new(false, Some("http://10.0.0.1")).set("y").contains("Secure"));
        assert!(LoginCookie::new(true, None).set("y").starts_with("__Host-session="), "the API speaks TLS");
    }
}
