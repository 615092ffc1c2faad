//! The address and AS number of a router, which are assigned before it is started: a speaker's configuration names its
//! neighbors.

use super::{LabError, Loopback};

/// The address and AS number of a router that a speaker is configured for.
#[derive(Debug, Clone)]
pub struct RouterSeat {
    address: Loopback,
    asn: u32,
}

impl RouterSeat {
    /// A free address with this AS number. The AS number of the speaker ([`super::GobgpdBuilder::asn`]) makes the
    /// session internal (iBGP), any other external.
    ///
    /// # Errors
    /// [`LabError::NoAddress`].
    pub fn claim(asn: u32) -> Result<Self, LabError> {
        Ok(Self { address: Loopback::claim()?, asn })
    }

    /// The router's address.
    pub fn address(&self) -> &Loopback {
        &self.address
    }

    /// The router's AS number.
    pub fn asn(&self) -> u32 {
        self.asn
    }
}
