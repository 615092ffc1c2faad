//! What a node says of the packets of an attack besides their destination ports: it narrows the rule.

use prefix_core::event::EventAction;
use prefix_core::matching::PacketMatch;
use prefix_core::protocol::Protocol;
use serde_json::Value;

use crate::expression::Steps;
use crate::item::MOST_ITEMS;
use crate::jsonpath::JsonPath;
use crate::reading::{self, Reading, Unread};

/// Where the parts are.
#[derive(Clone, Debug, Default)]
pub(super) struct Packets {
    pub(super) src_ports: Option<JsonPath>,
    pub(super) packet_length: Option<JsonPath>,
    pub(super) tcp_flags: Option<JsonPath>,
    pub(super) fragment: Option<JsonPath>,
}

impl Packets {
    /// The parts of a node, and the protocol that stands beside its source ports. Source ports that cannot be read are an error of a ban, as destination ports are; other
    /// parts are named and left out.
    pub(super) fn read(
        &self,
        node: &Value,
        action: EventAction,
        unread: &mut Unread,
        steps: &Steps,
    ) -> Result<(PacketMatch, Option<Protocol>), String> {
        let mut found = PacketMatch::default();
        let mut protocol = None;
        if let Some(ports) = all(self.src_ports.as_ref(), node, steps) {
            match reading::source_ports(&ports) {
                Ok(ports) => {
                    let ports = ports.unwrap_or_default();
                    protocol = ports.protocol;
                    found.src_ports = ports.list.to_set();
                }
                Err(problem) if action == EventAction::Unban => unread.name("src_ports", &problem),
                Err(problem) => {
                    let why = "without them the rule would be wider than the report";
                    return Err(format!("src_ports: {problem}; {why}"));
                }
            }
        }
        let first = |path: Option<&JsonPath>| path.and_then(|path| path.first(node, steps));
        found.packet_length = first(self.packet_length.as_ref())
            .and_then(|value| unread.keep("packet_length", value, reading::packet_length));
        found.tcp_flags = all(self.tcp_flags.as_ref(), node, steps)
            .and_then(|value| keep(unread, "tcp_flags", &value, reading::tcp_flags))
            .unwrap_or_default();
        found.fragment = all(self.fragment.as_ref(), node, steps)
            .and_then(|value| keep(unread, "fragment", &value, reading::fragment))
            .unwrap_or_default();
        Ok((found, protocol))
    }
}

fn keep<T>(unread: &mut Unread, member: &str, value: &Value, read: fn(&Value) -> Reading<T>) -> Option<T> {
    unread.keep(member, value, read)
}

/// Everything at a path, as one list.
fn all(path: Option<&JsonPath>, node: &Value, steps: &Steps) -> Option<Value> {
    Some(Value::Array(path?.all(node, MOST_ITEMS, steps).into_iter().cloned().collect()))
}
