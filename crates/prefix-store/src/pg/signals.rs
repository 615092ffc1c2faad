//! The queries about signals that both databases share, on this one.

use diesel::pg::Pg;
use diesel_async::{AsyncPgConnection, RunQueryDsl};

crate::queries::signals::signal_queries!(&AsyncPgConnection, Pg, [async], [.await]);
