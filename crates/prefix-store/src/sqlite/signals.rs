//! The queries about signals that both databases share, on this one.

use diesel::sqlite::{Sqlite, SqliteConnection};

crate::queries::signals::signal_queries!(SqliteConnection, Sqlite, [], []);
