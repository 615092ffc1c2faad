//! From a document to an adapter that runs, or everything that is wrong with the document.

use std::fmt::Display;
use std::str::FromStr;

use prefix_core::name::SourceName;
use prefix_diagnostics::{Diagnostic, Diagnostics, KeyPath};

use super::adapter::{Adapter, Vectors};
use super::auth::{Auth, Secret, Signature, Timestamp};
use super::condition::{Condition, plain};
use super::document::{AdapterAuthKind, AdapterDocument, Transform, Transformed};
use super::packets::Packets;
use super::transform::{Extract, Number, NumberTransform};
use crate::expression::{Anchored, ExpressionBudget, Pattern};
use crate::jsonpath::JsonPath;

/// The header of a signature, unless the document says another.
const SIGNATURE_HEADER: &str = "X-Signature-SHA256";

/// The most paths of a transformation.
const MOST_FACTORS: usize = 16;

/// Collects what is wrong with a document; each text begins with the key.
struct Found<'b>(Diagnostics, &'b mut ExpressionBudget);

impl Found<'_> {
    fn error(&mut self, at: impl Into<KeyPath>, text: impl Display) {
        let at = at.into();
        let text = format!("{at}: {text}");
        self.0.error(at, text);
    }

    fn path(&mut self, at: &KeyPath, text: Option<&String>) -> Option<JsonPath> {
        JsonPath::parse(text?, self.1).map_err(|error| self.error(at.clone(), error)).ok()
    }

    fn extract(&mut self, at: &KeyPath, pattern: &str, group: usize) -> Option<Extract> {
        let compiled = Pattern::compile(pattern, Anchored::No, self.1);
        let pattern = compiled.map_err(|error| self.error(at.clone(), error)).ok()?;
        let groups = pattern.groups();
        if group >= groups {
            let last = groups - 1;
            let text = format!("group {group} does not exist, the pattern has groups 0 to {last}");
            self.error(at.clone(), text);
            return None;
        }
        Some(Extract { pattern, group })
    }

    fn above_0(&mut self, at: &KeyPath, name: &str, value: f64) {
        if !value.is_finite() || value <= 0.0 {
            self.error(at.clone(), format!("{name}must be above 0, not {value}"));
        }
    }
}

impl AdapterDocument {
    /// Compiles the document. `secret` gives the value of an environment variable, which must be set if the adapter is
    /// enabled. The adapter is there if no diagnostic is an error; a disabled one is checked all the same. Paths are relative
    /// to the document. Its paths and patterns are charged to the budget of the whole configuration.
    pub fn build(
        &self,
        secret: impl Fn(&str) -> Option<String>,
        budget: &mut ExpressionBudget,
    ) -> (Option<Adapter>, Vec<Diagnostic>) {
        let mut found = Found(Diagnostics::default(), budget);
        let name = self.check_name(&mut found);
        let auth = self.auth(secret, &mut found);
        let scale = self.confidence_scale.unwrap_or(1.0);
        found.above_0(&"confidence_scale".into(), "", scale);
        let root = found.path(&"root_path".into(), self.root_path.as_ref());
        let fields = &self.fields;
        let mut field =
            |name: &str, text: Option<&String>| found.path(&KeyPath::from("fields").key(name), text);
        let victim_ip = field("victim_ip", Some(&fields.victim_ip));
        let victim_prefix = field("victim_prefix", fields.victim_prefix.as_ref());
        let vector = field("vector", fields.vector.as_ref());
        let timestamp = field("timestamp", fields.timestamp.as_ref());
        let (bps, pps) = (field("bps", fields.bps.as_ref()), field("pps", fields.pps.as_ref()));
        let confidence = field("confidence", fields.confidence.as_ref());
        let source_id = field("source_id", fields.source_id.as_ref());
        let top_dst_ports = field("top_dst_ports", fields.top_dst_ports.as_ref());
        let packets = Packets {
            src_ports: field("src_ports", fields.src_ports.as_ref()),
            packet_length: field("packet_length", fields.packet_length.as_ref()),
            tcp_flags: field("tcp_flags", fields.tcp_flags.as_ref()),
            fragment: field("fragment", fields.fragment.as_ref()),
        };
        let action = field("action", fields.action.as_ref());
        if action.is_none() && fields.action.is_none() && !self.action_map.is_empty() {
            found.error("action_map", "needs fields.action, the place of the word");
        }
        let conditions = self.conditions(&mut found);
        let number = |path, transform| Number { path, transform };
        let bps = number(bps, self.number_transform(Transformed::Bps, &mut found));
        let pps = number(pps, self.number_transform(Transformed::Pps, &mut found));
        let confidence = number(confidence, self.number_transform(Transformed::Confidence, &mut found));
        let extract = self.vector_transform(&mut found);
        let vectors =
            Vectors { map: self.vector_map.clone(), otherwise: self.default_vector.clone(), extract };
        let sound = found.0.is_sound();
        let adapter = (|| {
            Some(Adapter {
                name: name?,
                auth: auth?,
                root,
                victim_ip: victim_ip?,
                victim_prefix,
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
                packets,
                action,
                actions: self.action_map.clone(),
                conditions: conditions?,
            })
        })();
        (adapter.filter(|_| sound), found.0.into_vec())
    }

    fn check_name(&self, found: &mut Found<'_>) -> Option<SourceName> {
        let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if (1..=64).contains(&self.name.len()) && self.name.chars().all(word) {
            return SourceName::from_str(&self.name).ok();
        }
        let shown = crate::item::quoted(&self.name);
        found.error("name", format!("must be 1 to 64 characters of a-z, 0-9 and '-', not {shown}"));
        None
    }

    fn conditions(&self, found: &mut Found<'_>) -> Option<Vec<Condition>> {
        let each = self.when.iter().enumerate().map(|(index, when)| {
            let at = KeyPath::from("when").index(index);
            let (value, equal) = match (&when.equals, &when.not_equals) {
                (Some(value), None) => (value, true),
                (None, Some(value)) => (value, false),
                _ => {
                    found.error(at, "needs exactly one of equals and not_equals");
                    return None;
                }
            };
            let Some(text) = plain(value) else {
                found.error(at, "compares with a text, a number or a boolean");
                return None;
            };
            Some(Condition { path: found.path(&at.key("path"), Some(&when.path))?, text, equal })
        });
        // all of them, so that every mistake is found
        each.collect::<Vec<_>>().into_iter().collect()
    }

    fn auth(&self, secret: impl Fn(&str) -> Option<String>, found: &mut Found<'_>) -> Option<Auth> {
        let auth = &self.auth;
        if auth.timestamp_header.is_some() != auth.max_age_seconds.is_some() {
            found.error("auth", "timestamp_header and max_age_seconds need each other");
        }
        for (key, header) in [("header", &auth.header), ("timestamp_header", &auth.timestamp_header)] {
            if header.as_ref().is_some_and(|header| !is_header_name(header)) {
                found.error(KeyPath::from("auth").key(key), "is no name of a header");
            }
        }
        match auth.kind {
            AdapterAuthKind::Bearer => Some(Auth::Bearer),
            AdapterAuthKind::None => {
                if self.enabled {
                    let text = "type none lets everybody who reaches the API report attacks: for labs only";
                    found.0.warning("auth", format!("auth: {text}"));
                }
                Some(Auth::None)
            }
            AdapterAuthKind::Hmac => {
                let Some(variable) = &auth.secret_env else {
                    found.error(
                        "auth",
                        "type hmac needs secret_env, the environment variable with the secret",
                    );
                    return None;
                };
                let value = secret(variable).filter(|value| !value.is_empty());
                if value.is_none() && self.enabled {
                    found.error(
                        "auth.secret_env",
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

    fn number_transform(&self, member: Transformed, found: &mut Found<'_>) -> Option<NumberTransform> {
        let at = KeyPath::from("transforms").key(member.as_str());
        match self.transforms.get(&member)? {
            Transform::UnitConversion { multiplier } => {
                found.above_0(&at, "multiplier ", *multiplier);
                Some(NumberTransform::Times(*multiplier))
            }
            Transform::Computed { paths, scale } => {
                if paths.is_empty() {
                    found.error(at.clone(), "computed needs one path or more in paths");
                }
                if paths.len() > MOST_FACTORS {
                    let count = paths.len();
                    found.error(
                        at,
                        format!("computed has {count} paths, at most {MOST_FACTORS} are accepted"),
                    );
                    return None;
                }
                found.above_0(&at, "scale ", *scale);
                let paths: Option<Vec<JsonPath>> =
                    paths.iter().map(|path| found.path(&at, Some(path))).collect();
                Some(NumberTransform::Product { paths: paths?, scale: *scale })
            }
            Transform::RegexExtract { pattern, group } => {
                found.extract(&at, pattern, *group).map(NumberTransform::Extract)
            }
        }
    }

    fn vector_transform(&self, found: &mut Found<'_>) -> Option<Extract> {
        let at = KeyPath::from("transforms").key(Transformed::Vector.as_str());
        match self.transforms.get(&Transformed::Vector)? {
            Transform::RegexExtract { pattern, group } => found.extract(&at, pattern, *group),
            _ => {
                found.error(at, "can only be regex_extract");
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
