//! Real programs (speakers, routers, databases, detectors) as processes of a test.
//!
//! Every process has a loopback address of its own ([`Loopback`]), a folder of its own and a log file. It is killed
//! when its value is dropped, and also when the test process dies in any other way. A process is ready when it
//! answers, and each wait has a deadline ([`wait`]).
//!
//! ```no_run
//! use prefix_testkit::lab::{Exabgp, Family, Gobgpd, LabError, RouterSeat, RouterUpdate};
//!
//! # async fn example() -> Result<(), LabError> {
//! let seat = RouterSeat::claim(65120)?;
//! let speaker = Gobgpd::v4().neighbor(&seat).start().await?;
//! let router = Exabgp::start(&seat, &speaker).await?;
//! speaker.add(Family::Ipv4FlowSpec, "match destination 203.0.113.10/32 protocol udp then discard").await?;
//! let update = router.wait_for("the rule", RouterUpdate::is_announcement).await?;
//! assert_eq!(update.nlri_hex(), "0120cb00710a038111");
//! # Ok(())
//! # }
//! ```
//!
//! Set `PREFIXD_LAB_KEEP=1` to keep the folders (configuration, logs) after the test.

mod alertmanager;
mod bgp_neighbor;
mod bgp_update;
mod bird;
mod certificates;
mod daemon;
mod error;
mod exabgp;
mod exporter;
mod fastnetmon;
mod folder;
mod forwarding;
mod frr;
mod gobgpd;
mod guard;
mod http;
mod loopback;
mod mixture;
mod namespace;
mod nft;
mod packet;
mod packet_filter;
mod pgbouncer;
mod postgres;
mod process;
mod programs;
mod prometheus;
mod recorder;
mod schemathesis;
mod seat;
mod traffic;
mod volume;
pub mod wait;
mod wrong_clock;

pub use alertmanager::{Alertmanager, AlertmanagerTimes};
pub use bgp_neighbor::BgpNeighbor;
pub use bgp_update::{Change, Family, PathAttributes, RouterUpdate};
pub use bird::Bird;
pub use certificates::Certificates;
pub use daemon::{Daemon, DaemonBuilder};
pub use error::LabError;
pub use exabgp::Exabgp;
pub use exporter::Exporter;
pub use fastnetmon::{FastNetMon, FastNetMonBuilder};
pub use forwarding::Forwarding;
pub use frr::{Frr, FrrSession};
pub use gobgpd::{GobgpVersion, Gobgpd, GobgpdBuilder};
pub use guard::Guard;
pub use http::{HttpAnswer, HttpRequest, get};
pub use loopback::Loopback;
pub use mixture::{Arrivals, Passage, Stream};
pub use namespace::{LinkEnd, Namespace, Uplink};
pub use packet::Packet;
pub use packet_filter::{PacketFilter, RuleCount};
pub use pgbouncer::PgBouncer;
pub use postgres::{Database, Hang, Postgres, PostgresBuilder};
pub use prometheus::Prometheus;
pub use recorder::{Exchange, Recorder};
pub use schemathesis::Schemathesis;
pub use seat::RouterSeat;
pub use traffic::{Flood, PACKETS_PER_SECOND, Sink};
pub use volume::Volume;
pub use wrong_clock::wrong_clock;
