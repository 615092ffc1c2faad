//! The shapes of the API: how mitigations, events and decisions are shown, everywhere the same.
