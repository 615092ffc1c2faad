//! The queries about recorded events that both databases share, on this one.

use diesel::pg::Pg;
use diesel_async::{AsyncPgConnection, RunQueryDsl};

crate::queries::history::history_queries!(AsyncPgConnection, Pg, [async], [.await]);
