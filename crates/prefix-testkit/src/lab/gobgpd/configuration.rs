//! The configuration file of gobgpd, for 3.x and 4.x: a speaker on loopback with passive neighbors.

use super::{BGP_PORT, GobgpdBuilder};
use crate::lab::Loopback;

/// Every family that is tested, by its name in GoBGP's configuration.
const FAMILIES: [&str; 4] = ["ipv4-flowspec", "ipv6-flowspec", "ipv4-unicast", "ipv6-unicast"];

impl GobgpdBuilder {
    /// The text of the file for a speaker on this address.
    pub(super) fn configuration(&self, address: &Loopback) -> String {
        let (asn, router_id) = (self.asn, address.router_id());
        let families = FAMILIES.map(|name| {
            format!("[[neighbors.afi-safis]]\n[neighbors.afi-safis.config]\nafi-safi-name = \"{name}\"\n")
        });
        let neighbors = self.neighbors.iter().map(|seat| {
            let multihop = if seat.asn() == asn {
                ""
            } else {
                "[neighbors.ebgp-multihop.config]\nenabled = true\nmultihop-ttl = 10\n"
            };
            format!(
                "[[neighbors]]
[neighbors.config]
neighbor-address = \"{}\"
peer-as = {}
[neighbors.transport.config]
passive-mode = true
local-address = \"{address}\"
{multihop}{}",
                seat.address(),
                seat.asn(),
                families.concat()
            )
        });
        let neighbors: String = neighbors.collect();
        format!(
            "[global.config]
as = {asn}
router-id = \"{router_id}\"
port = {BGP_PORT}
local-address-list = [\"{address}\"]
{neighbors}"
        )
    }
}
