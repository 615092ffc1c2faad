//! The use cases of prefixd: ingest, withdraw, expire, escalate, reconcile.
