//! Addresses of 127.0.0.0/8 for one process of one test each, so that every process can use its usual port.

use super::LabError;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// The port whose listener reserves an address: the kernel grants it to one test process, and frees it when that
/// process ends. Nothing is served there.
const CLAIM_PORT: u16 = 47_999;

/// The addresses 127.64.0.0 to 127.127.255.255, which nothing else on a machine uses.
const FIRST: u32 = 0x7f40_0000;
const COUNT: u32 = 1 << 22;

/// A loopback address that no other test process on this machine uses, until the last clone is dropped.
#[derive(Clone)]
pub struct Loopback {
    address: Ipv4Addr,
    _claim: Arc<TcpListener>,
}

impl Loopback {
    /// Claims a free address.
    ///
    /// # Errors
    /// [`LabError::NoAddress`] when the system lets us bind to none, which happens without 127.0.0.0/8 on `lo`.
    pub fn claim() -> Result<Self, LabError> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        // processes begin at different offsets, so that they seldom collide; then the kernel refuses the second
        let start = std::process::id().wrapping_mul(2_654_435_761);
        let mut refused = std::io::Error::from(std::io::ErrorKind::AddrInUse);
        for _ in 0..1_000 {
            let offset = start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT;
            let address = Ipv4Addr::from(FIRST + offset);
            if matches!(address.octets()[3], 0 | 255) {
                continue;
            }
            match TcpListener::bind((address, CLAIM_PORT)) {
                Ok(claim) => return Ok(Self { address, _claim: Arc::new(claim) }),
                Err(error) => refused = error,
            }
        }
        Err(LabError::NoAddress(refused))
    }

    /// The address.
    pub fn ip(&self) -> Ipv4Addr {
        self.address
    }

    /// The address with a port.
    pub fn port(&self, port: u16) -> SocketAddrV4 {
        SocketAddrV4::new(self.address, port)
    }

    /// A BGP identifier (RFC 4271 §4.2) as unique as the address, from 10.0.0.0/8 because some routers refuse
    /// loopback addresses as one.
    pub fn router_id(&self) -> Ipv4Addr {
        let [_, b, c, d] = self.address.octets();
        Ipv4Addr::new(10, b, c, d)
    }
}

impl fmt::Display for Loopback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}

impl fmt::Debug for Loopback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn two_parts_never_share_an_address() {
        let claims: Vec<Loopback> = (0..300).map(|_| Loopback::claim().unwrap()).collect();
        let distinct: HashSet<Ipv4Addr> = claims.iter().map(Loopback::ip).collect();
        assert_eq!(distinct.len(), claims.len());
    }
}
