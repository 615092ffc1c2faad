//! The speaker's RIB through its own command line tool: tests use it as *another* client of the speaker, independent of
//! the code under test.

use super::{Gobgpd, Protection};
use crate::lab::{Family, LabError, Namespace, process};
use serde_json::Value;
use std::process::Command;

impl Gobgpd {
    /// Runs `gobgp` with these arguments and returns its output.
    ///
    /// # Errors
    /// [`LabError::Command`].
    pub async fn cli(&self, arguments: &[&str]) -> Result<String, LabError> {
        let mut command = Command::new(&self.control);
        match self.endpoint.rsplit_once(':') {
            Some(("unix", _)) | None => command.arg("--target").arg(&self.endpoint),
            Some((host, port)) => command.args(["-u", host, "-p", port]),
        };
        if let Some(certificates) = &self.certificates {
            command.arg("--tls").arg("--tls-ca-file").arg(&certificates.authority);
            if self.setup.protection == Protection::MutualTls {
                command.arg("--tls-client-cert-file").arg(&certificates.client_certificate);
                command.arg("--tls-client-key-file").arg(&certificates.client_key);
            }
        }
        command.args(arguments);
        process::run(Namespace::wrap_in(self.namespace(), command)).await
    }

    /// Adds a path as a client other than prefixd would; `path` in GoBGP's syntax, like
    /// `match destination 203.0.113.10/32 protocol udp then discard` or `203.0.113.0/24 nexthop 192.0.2.1`.
    ///
    /// # Errors
    /// [`LabError::Command`] when GoBGP does not understand it.
    pub async fn add(&self, family: Family, path: &str) -> Result<(), LabError> {
        self.change("add", family, path).await
    }

    /// Deletes a path as a client other than prefixd would.
    ///
    /// # Errors
    /// [`LabError::Command`] when GoBGP does not understand it.
    pub async fn delete(&self, family: Family, path: &str) -> Result<(), LabError> {
        self.change("del", family, path).await
    }

    async fn change(&self, verb: &str, family: Family, path: &str) -> Result<(), LabError> {
        let mut arguments = vec!["global", "rib", verb, "-a", short_name(family)];
        arguments.extend(path.split_whitespace());
        self.cli(&arguments).await.map(drop)
    }

    /// The global RIB of a family as GoBGP prints it in JSON: an object from the NLRI in GoBGP's syntax to its paths.
    ///
    /// # Errors
    /// [`LabError::Command`], [`LabError::Unreadable`].
    pub async fn rib(&self, family: Family) -> Result<serde_json::Map<String, Value>, LabError> {
        let text = self.cli(&["-j", "global", "rib", "-a", short_name(family)]).await?;
        let unreadable =
            |problem: String| LabError::Unreadable { part: "gobgp", problem, text: text.trim().to_owned() };
        match serde_json::from_str(&text).map_err(|error| unreadable(error.to_string()))? {
            Value::Object(rib) => Ok(rib),
            Value::Null => Ok(serde_json::Map::new()),
            _ => Err(unreadable("not an object".to_owned())),
        }
    }

    /// The NLRI of the global RIB of a family in GoBGP's syntax, like `[destination: 203.0.113.10/32][protocol:
    /// ==udp]`.
    ///
    /// # Errors
    /// [`LabError::Command`], [`LabError::Unreadable`].
    pub async fn rules(&self, family: Family) -> Result<Vec<String>, LabError> {
        Ok(self.rib(family).await?.into_iter().map(|(rule, _)| rule).collect())
    }
}

/// GoBGP's name of a family on its command line.
fn short_name(family: Family) -> &'static str {
    match family {
        Family::Ipv4Unicast => "ipv4",
        Family::Ipv6Unicast => "ipv6",
        Family::Ipv4FlowSpec => "ipv4-flowspec",
        Family::Ipv6FlowSpec => "ipv6-flowspec",
    }
}
