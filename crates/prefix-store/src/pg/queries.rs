//! The queries that both databases share, on this one.

use diesel::pg::Pg;
use diesel_async::{AsyncPgConnection, RunQueryDsl};

crate::queries::queries!(AsyncPgConnection, Pg, [async], [.await]);
