//! The configuration file of gobgpd, for 3.x and 4.x.

use crate::lab::{Family, Loopback, RouterSeat};
use std::fmt;

/// A speaker on loopback with passive neighbors.
pub(super) struct Configuration<'a> {
    pub(super) asn: u32,
    pub(super) address: &'a Loopback,
    pub(super) port: u16,
    pub(super) neighbors: &'a [RouterSeat],
    pub(super) families: &'a [Family],
    pub(super) graceful_restart_seconds: Option<u16>,
}

impl fmt::Display for Configuration<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { asn, address, port, .. } = self;
        writeln!(f, "[global.config]\nas = {asn}\nrouter-id = \"{}\"", address.router_id())?;
        writeln!(f, "port = {port}\nlocal-address-list = [\"{address}\"]")?;
        self.neighbors.iter().try_for_each(|seat| self.neighbor(f, seat))
    }
}

impl Configuration<'_> {
    fn neighbor(&self, f: &mut fmt::Formatter<'_>, seat: &RouterSeat) -> fmt::Result {
        writeln!(f, "[[neighbors]]\n[neighbors.config]")?;
        writeln!(f, "neighbor-address = \"{}\"\npeer-as = {}", seat.address(), seat.asn())?;
        writeln!(
            f,
            "[neighbors.transport.config]\npassive-mode = true\nlocal-address = \"{}\"",
            self.address
        )?;
        if seat.asn() != self.asn {
            writeln!(f, "[neighbors.ebgp-multihop.config]\nenabled = true\nmultihop-ttl = 10")?;
        }
        if let Some(seconds) = self.graceful_restart_seconds {
            writeln!(f, "[neighbors.graceful-restart.config]\nenabled = true\nrestart-time = {seconds}")?;
        }
        for family in self.families {
            writeln!(f, "[[neighbors.afi-safis]]\n[neighbors.afi-safis.config]")?;
            writeln!(f, "afi-safi-name = \"{}\"", name(*family))?;
            if self.graceful_restart_seconds.is_some() {
                writeln!(f, "[neighbors.afi-safis.mp-graceful-restart.config]\nenabled = true")?;
            }
        }
        Ok(())
    }
}

/// GoBGP's name of a family in its configuration.
fn name(family: Family) -> &'static str {
    match family {
        Family::Ipv4Unicast => "ipv4-unicast",
        Family::Ipv6Unicast => "ipv6-unicast",
        Family::Ipv4FlowSpec => "ipv4-flowspec",
        Family::Ipv6FlowSpec => "ipv6-flowspec",
    }
}
