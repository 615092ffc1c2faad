//! Attacker and victim on both sides of the router of a network, as networks of their own: for tests about packets.

use super::Network;
use prefix_testkit::lab::{Forwarding, LinkEnd, Namespace};

/// The device of the router that leads to the attacker.
pub(crate) const OUTSIDE: &str = "outside";

/// The two networks. The attacker is 198.51.100.2 and `2001:db8:a::2`, the victim the name server of the inventory,
/// 203.0.113.53 and `2001:db8:10::53`, of which everything but port 53 may be dropped.
#[derive(Debug)]
pub(crate) struct Namespaces {
    pub(crate) attacker: Namespace,
    pub(crate) victim: Namespace,
    _forwarding: Forwarding,
}

impl Namespaces {
    /// Builds them around a router that is [far away](super::NetworkBuilder::far_away) and enforces what it receives.
    pub(crate) async fn around(net: &Network) -> Self {
        let router = net.between();
        let (attacker, victim) = (Namespace::create().await.unwrap(), Namespace::create().await.unwrap());
        let outside = LinkEnd { device: OUTSIDE, addresses: &["198.51.100.1/24", "2001:db8:a::1/64"] };
        let inside = LinkEnd { device: "inside", addresses: &["203.0.113.1/24", "2001:db8:10::1/64"] };
        let far = LinkEnd { device: "eth0", addresses: &["198.51.100.2/24", "2001:db8:a::2/64"] };
        let near = LinkEnd { device: "eth0", addresses: &["203.0.113.53/24", "2001:db8:10::53/64"] };
        router.join(&outside, &attacker, &far).await.unwrap();
        router.join(&inside, &victim, &near).await.unwrap();
        for (namespace, v4, v6) in
            [(&attacker, "198.51.100.1", "2001:db8:a::1"), (&victim, "203.0.113.1", "2001:db8:10::1")]
        {
            namespace.run(&["ip", "route", "add", "default", "via", v4]).await.unwrap();
            namespace.run(&["ip", "-6", "route", "add", "default", "via", v6]).await.unwrap();
        }
        let forwarding = Forwarding::start(router, net.router().exabgp()).await.unwrap();
        Self { attacker, victim, _forwarding: forwarding }
    }
}
