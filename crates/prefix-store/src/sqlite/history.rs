//! The queries about recorded events that both databases share, on this one.

use diesel::sqlite::{Sqlite, SqliteConnection};

crate::queries::history::history_queries!(SqliteConnection, Sqlite, [], []);
