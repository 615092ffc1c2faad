//! Which machine this is: what is written down on one may mean something else on another.

use prefix_gobgp::Endpoint;

/// The name of this machine, or of this container.
fn name() -> String {
    read("/proc/sys/kernel/hostname")
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

/// What tells it from others: its name, and its number if it has one (`machine-id(5)`).
pub fn identity() -> String {
    format!("{} {}", name(), read("/etc/machine-id"))
}

/// Which start of this machine it is: a time since boot means something only together with this (`random(4)`).
pub fn boot_id() -> String {
    read("/proc/sys/kernel/random/boot_id")
}

/// The speaker's address as instances on several machines compare it: `127.0.0.1` is another speaker on each.
pub fn speaker_address(endpoint: &Endpoint) -> String {
    if endpoint.is_local() { format!("{endpoint} on {}", name()) } else { endpoint.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_speaker_on_the_same_machine_is_named_with_the_machine() {
        let shown = |text: &str| speaker_address(&text.parse().unwrap());
        for local in ["127.0.0.1:50051", "[::1]:50051", "localhost:50051", "unix:///run/gobgp.sock"] {
            assert_eq!(shown(local), format!("{local} on {}", name()));
        }
        for remote in ["192.0.2.1:50051", "gobgp:50051", "[2001:db8::1]:50051"] {
            assert_eq!(shown(remote), remote);
        }
        assert!(!name().is_empty());
    }
}
