//! One schema for both databases: the tables of `migrations/` as Diesel sees them.

diesel::table! {
    admission (id) {
        id -> SmallInt,
        active -> BigInt,
        safelist_revision -> BigInt,
        panic_revision -> BigInt,
    }
}

diesel::table! {
    quota_counters (scope, name) {
        scope -> Text,
        name -> Text,
        active -> BigInt,
    }
}

diesel::table! {
    admissions (pop, second) {
        pop -> Text,
        second -> BigInt,
        total -> BigInt,
    }
}

diesel::table! {
    tallies (kind, name, shard) {
        kind -> Text,
        name -> Text,
        shard -> SmallInt,
        total -> BigInt,
    }
}

diesel::table! {
    use diesel::sql_types::{BigInt, Binary, Bool, Nullable, Text};
    use crate::sql_type::{Instant, Uid};

    mitigations (mitigation_id) {
        mitigation_id -> Uid,
        revision -> BigInt,
        pop -> Text,
        phase -> Text,
        status -> Text,
        queued_at -> Nullable<Instant>,
        closed_as -> Nullable<Text>,
        closed_at -> Nullable<Instant>,
        customer_id -> Nullable<Text>,
        victim_ip -> Text,
        vector -> Text,
        route_kind -> Nullable<Text>,
        nlri -> Nullable<Binary>,
        created_at -> Instant,
        acknowledged -> Bool,
        doc -> Text,
    }
}

diesel::table! {
    use diesel::sql_types::{BigInt, Nullable, Text};
    use crate::sql_type::{Instant, Uid};

    events (event_id) {
        event_id -> Uid,
        ingested_at -> Instant,
        source -> Text,
        source_key -> BigInt,
        external_event_id -> Nullable<Text>,
        episode_key -> Nullable<BigInt>,
        sighting_key -> Nullable<BigInt>,
        victim_ip -> Text,
        vector -> Nullable<Text>,
        mitigation_id -> Nullable<Uid>,
        doc -> Text,
        raw_details -> Nullable<Text>,
    }
}

diesel::table! {
    use diesel::sql_types::{BigInt, Nullable, Text};
    use crate::sql_type::{Instant, Uid};

    audit_entries (audit_id) {
        audit_id -> Uid,
        at -> Instant,
        pop -> Text,
        actor_type -> Text,
        actor_id -> Nullable<Text>,
        actor_key -> Nullable<BigInt>,
        action -> Text,
        target_type -> Nullable<Text>,
        target_id -> Nullable<Text>,
        target_key -> Nullable<BigInt>,
        details -> Text,
    }
}

diesel::table! {
    safelist (prefix) {
        prefix -> Text,
        doc -> Text,
    }
}

diesel::table! {
    use diesel::sql_types::{Binary, Text};
    use crate::sql_type::Instant;

    replies (reply_id) {
        reply_id -> Binary,
        body_hash -> Binary,
        reply -> Text,
        created_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::{BigInt, Text};
    use crate::sql_type::{Instant, Uid};

    leadership (pop) {
        pop -> Text,
        epoch -> BigInt,
        instance -> Uid,
        speaker -> Text,
        mode -> Text,
        lease_until -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::{BigInt, Text};
    use crate::sql_type::{Instant, Uid};

    instances (pop, instance) {
        pop -> Text,
        instance -> Uid,
        configuration -> Text,
        clock_ahead -> BigInt,
        seen -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::{Bool, Text};
    use crate::sql_type::{Instant, Uid};

    panic_scopes (panic_id) {
        panic_id -> Uid,
        started_at -> Instant,
        is_thawed -> Bool,
        doc -> Text,
    }
}

diesel::table! {
    use diesel::sql_types::{BigInt, Text};
    use crate::sql_type::Uid;

    audit_queue (pop, position) {
        pop -> Text,
        position -> BigInt,
        audit_id -> Uid,
    }
}

diesel::table! {
    use diesel::sql_types::{BigInt, Binary, Text};
    use crate::sql_type::Uid;

    audit_seals (pop, seq) {
        pop -> Text,
        seq -> BigInt,
        audit_id -> Uid,
        prev_hash -> Binary,
        hash -> Binary,
    }
}

diesel::table! {
    audit_chain (pop) {
        pop -> Text,
        seq -> BigInt,
        hash -> Binary,
    }
}

diesel::table! {
    use diesel::sql_types::{BigInt, Nullable, Text};
    use crate::sql_type::{Instant, Uid};

    signal_groups (group_id) {
        group_id -> Uid,
        revision -> BigInt,
        pop -> Text,
        victim_ip -> Text,
        vector -> Text,
        status -> Text,
        created_at -> Instant,
        window_ends_at -> Instant,
        mitigation_id -> Nullable<Uid>,
        doc -> Text,
    }
}

diesel::table! {
    use diesel::sql_types::{BigInt, Bool, Nullable, Text};
    use crate::sql_type::{Instant, Uid};

    corroborations (signal_id) {
        signal_id -> Uid,
        received_by -> Text,
        source -> Text,
        source_key -> BigInt,
        received_at -> Instant,
        expires_at -> Instant,
        is_attached -> Bool,
        doc -> Text,
        raw_details -> Nullable<Text>,
    }
}

diesel::allow_tables_to_appear_in_same_query!(audit_entries, audit_queue, audit_seals);
