//! The queries that both databases share, on this one.

use diesel::sqlite::{Sqlite, SqliteConnection};

crate::queries::queries!(SqliteConnection, Sqlite, [], []);
