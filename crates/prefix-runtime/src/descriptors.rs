//! Descriptors: the API must leave enough of them to everything else.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use prefix_api::ConnectionLimits;

/// What everything but the API and the pool of the database needs: standard streams, event loops, the speaker, the
/// metrics listener with its connections, heartbeat, panic marker, configuration files, the guard's pipes.
const OTHERS: u64 = 88;

/// An SQLite connection holds the database, its log and its index.
const OF_A_STORAGE_CONNECTION: u64 = 3;

/// Raises the soft limit of descriptors to the hard one, which nobody needs a permission for, and returns what holds now.
pub fn raise() -> u64 {
    let (soft, hard) = match getrlimit(Resource::RLIMIT_NOFILE) {
        Ok(limits) => limits,
        Err(error) => {
            tracing::warn!(%error, "the limit of descriptors cannot be read; 1024 are assumed");
            return 1024;
        }
    };
    if soft < hard
        && let Err(error) = setrlimit(Resource::RLIMIT_NOFILE, hard, hard)
    {
        tracing::warn!(%error, soft, hard, "the limit of descriptors cannot be raised");
        return soft;
    }
    hard
}

/// How many connections the API may have of so many descriptors.
pub fn connections(descriptors: u64, storage_connections: u32) -> ConnectionLimits {
    let reserve = OTHERS + OF_A_STORAGE_CONNECTION * u64::from(storage_connections);
    let limits = ConnectionLimits::of_descriptors(descriptors, reserve);
    if descriptors < reserve + limits.total as u64 {
        tracing::warn!(
            descriptors,
            reserve,
            "few descriptors: raise the limit (ulimit -n, LimitNOFILE=), or requests may fail with too many open files"
        );
    }
    limits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_database_gets_its_part_before_the_api() {
        assert_eq!(connections(256, 10).total, 138);
        assert_eq!(connections(256, 20).total, 108);
        assert_eq!(connections(1_048_576, 10).total, 20_000);
    }

    #[test]
    fn the_soft_limit_becomes_the_hard_one() {
        let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        assert_eq!(raise(), hard);
        assert_eq!(getrlimit(Resource::RLIMIT_NOFILE).unwrap(), (hard, hard));
    }
}
