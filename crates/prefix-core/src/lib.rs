//! The domain of prefixd: types, FlowSpec codec, mitigation state machine and ports.
