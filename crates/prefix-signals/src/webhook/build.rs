//! From a document to an adapter that runs, or everything that is wrong with the document.

use std::str::FromStr;

use prefix_core::name::SourceName;
use regex::Regex;

use super::adapter::{Adapter, Vectors};
use super::auth::{Auth, Secret, Signature, Timestamp};
use super::document::{AdapterAuthKind, AdapterDocument, Transform, Transformed};
use super::path::Path;
use super::transform::{Extract, Number, NumberTransform};

/// The header of a signature, unless the document says another.
const SIGNATURE_HEADER: &str = "X-Signature-SHA256";

/// Something that is wrong with a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The key, relative to the document: `fields`, `bps`.
    pub path: Vec<String>,
    /// What is wrong and how to mend it; begins with the key.
    pub text: String,
    /// Whether the adapter works all the same.
    pub is_warning: bool,
}

/// What was found so far.
struct Found(Vec<Mistake>);

impl Found {
    fn error(&mut self, path: &[&str], text: impl std::fmt::Display) {
        self.push(path, text, false);
    }

    fn push(&mut self, path: &[&str], text: impl std::fmt::Display, is_warning: bool) {
        let path: Vec<String> = path.iter().map(|key| (*key).to_owned()).collect();
        self.0.push(Mistake { text: format!("{}: {text}", path.join(".")), path, is_warning });
    }

    fn path(&mut self, at: &[&str], text: Option<&String>) -> Option<Path> {
        Path::compile(text?).map_err(|error| self.error(at, error)).ok()
    }

    fn extract(&mut self, at: &[&str], pattern: &str, group: usize) -> Option<Extract> {
        let pattern = match Regex::new(pattern) {
            Ok(pattern) => pattern,
            Err(error) => {
                // its first lines only draw the pattern
                let text = error.to_string();
                let last = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
                self.error(at, format!("{pattern:?} is no regular expression: {last}"));
                return None;
            }
        };
        let groups = pattern.captures_len();
        if group >= groups {
            self.error(
                at,
                format!("group {group} does not exist, the pattern has groups 0 to {}", groups - 1),
            );
            return None;
        }
        Some(Extract { pattern, group })
    }
}

impl AdapterDocument {
    /// Compiles the document. `secret` gives the value of an environment variable, which must be set if the adapter is
    /// enabled. The adapter is there if no mistake is an error; a disabled one is checked all the same.
    pub fn build(&self, secret: impl Fn(&str) -> Option<String>) -> (Option<Adapter>, Vec<Mistake>) {
        let mut found = Found(Vec::new());
        let name = self.check_name(&mut found);
        let auth = self.auth(secret, &mut found);
        let scale = self.confidence_scale.unwrap_or(1.0);
        if !scale.is_finite() || scale <= 0.0 {
            found.error(&["confidence_scale"], format!("must be above 0, not {scale}"));
        }
        let root = found.path(&["root_path"], self.root_path.as_ref());
        let fields = &self.fields;
        let mut field = |name: &str, text: Option<&String>| found.path(&["fields", name], text);
        let victim_ip = field("victim_ip", Some(&fields.victim_ip));
        let vector = field("vector", fields.vector.as_ref());
        let timestamp = field("timestamp", fields.timestamp.as_ref());
        let (bps, pps) = (field("bps", fields.bps.as_ref()), field("pps", fields.pps.as_ref()));
        let confidence = field("confidence", fields.confidence.as_ref());
        let source_id = field("source_id", fields.source_id.as_ref());
        let top_dst_ports = field("top_dst_ports", fields.top_dst_ports.as_ref());
        let action = field("action", fields.action.as_ref());
        let number = |path, transform| Number { path, transform };
        let bps = number(bps, self.number_transform(Transformed::Bps, &mut found));
        let pps = number(pps, self.number_transform(Transformed::Pps, &mut found));
        let confidence = number(confidence, self.number_transform(Transformed::Confidence, &mut found));
        let extract = self.vector_transform(&mut found);
        let vectors =
            Vectors { map: self.vector_map.clone(), otherwise: self.default_vector.clone(), extract };
        let sound = found.0.iter().all(|mistake| mistake.is_warning);
        let adapter = (|| {
            Some(Adapter {
                name: name?,
                auth: auth?,
                root,
                victim_ip: victim_ip?,
                vector,
                vectors,
                timestamp,
                bps,
                pps,
                confidence,
                confidence_scale: scale,
                source_id,
                source_id_prefix: self.source_id_prefix.clone().unwrap_or_default(),
                top_dst_ports,
                action,
            })
        })();
        (adapter.filter(|_| sound), found.0)
    }

    fn check_name(&self, found: &mut Found) -> Option<SourceName> {
        let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if (1..=64).contains(&self.name.len()) && self.name.chars().all(word) {
            return SourceName::from_str(&self.name).ok();
        }
        let shown = crate::item::quoted(&self.name);
        found.error(&["name"], format!("must be 1 to 64 characters of a-z, 0-9 and '-', not {shown}"));
        None
    }

    fn auth(&self, secret: impl Fn(&str) -> Option<String>, found: &mut Found) -> Option<Auth> {
        let auth = &self.auth;
        let at = |key: &'static str| ["auth", key];
        if auth.timestamp_header.is_some() != auth.max_age_seconds.is_some() {
            found.error(&["auth"], "timestamp_header and max_age_seconds need each other");
        }
        for (key, header) in [("header", &auth.header), ("timestamp_header", &auth.timestamp_header)] {
            if header.as_ref().is_some_and(|header| !is_header_name(header)) {
                found.error(&at(key), "is no name of a header");
            }
        }
        match auth.kind {
            AdapterAuthKind::Bearer => Some(Auth::Bearer),
            AdapterAuthKind::None => {
                if self.enabled {
                    found.push(
                        &["auth"],
                        "type none lets everybody who reaches the API report attacks: for labs only",
                        true,
                    );
                }
                Some(Auth::None)
            }
            AdapterAuthKind::Hmac => {
                let Some(variable) = &auth.secret_env else {
                    found.error(
                        &["auth"],
                        "type hmac needs secret_env, the environment variable with the secret",
                    );
                    return None;
                };
                let value = secret(variable).filter(|value| !value.is_empty());
                if value.is_none() && self.enabled {
                    found.error(
                        &at("secret_env"),
                        format!("the environment variable {variable} is not set; without the secret nobody could be believed"),
                    );
                }
                let timestamp = auth.timestamp_header.clone().zip(auth.max_age_seconds);
                Some(Auth::Hmac(Signature {
                    secret: Secret(value?),
                    header: auth.header.clone().unwrap_or_else(|| SIGNATURE_HEADER.to_owned()),
                    timestamp: timestamp
                        .map(|(header, max_age_seconds)| Timestamp { header, max_age_seconds }),
                }))
            }
        }
    }

    fn number_transform(&self, member: Transformed, found: &mut Found) -> Option<NumberTransform> {
        let at = ["transforms", member.as_str()];
        match self.transforms.get(&member)? {
            Transform::UnitConversion { multiplier } => {
                if !multiplier.is_finite() || *multiplier <= 0.0 {
                    found.error(&at, format!("multiplier must be above 0, not {multiplier}"));
                }
                Some(NumberTransform::Times(*multiplier))
            }
            Transform::Computed { paths, scale } => {
                if paths.is_empty() {
                    found.error(&at, "computed needs one path or more in paths");
                }
                if !scale.is_finite() || *scale <= 0.0 {
                    found.error(&at, format!("scale must be above 0, not {scale}"));
                }
                let paths: Option<Vec<Path>> = paths.iter().map(|path| found.path(&at, Some(path))).collect();
                Some(NumberTransform::Product { paths: paths?, scale: *scale })
            }
            Transform::RegexExtract { pattern, group } => {
                found.extract(&at, pattern, *group).map(NumberTransform::Extract)
            }
        }
    }

    fn vector_transform(&self, found: &mut Found) -> Option<Extract> {
        let at = ["transforms", Transformed::Vector.as_str()];
        match self.transforms.get(&Transformed::Vector)? {
            Transform::RegexExtract { pattern, group } => found.extract(&at, pattern, *group),
            _ => {
                found.error(&at, "can only be regex_extract");
                None
            }
        }
    }
}

/// A token of RFC 9110 §5.6.2.
fn is_header_name(text: &str) -> bool {
    let special = "!#$%&'*+-.^_`|~";
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || special.contains(c))
}
