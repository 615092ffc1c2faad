//! The Store port on Diesel: SQLite and PostgreSQL.
