//! Migrations are part of the program, numbered in their order, and each is written once per database.

use crate::OpenError;

/// One step of the schema.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Migration {
    /// The number in front of the file's name.
    pub(crate) version: i64,
    /// The rest of it.
    pub(crate) name: &'static str,
    pub(crate) sql: &'static str,
}

macro_rules! migrations {
    ($folder:literal: $($zeros:literal $number:literal $name:literal),* $(,)?) => {
        &[$(Migration {
            version: $number,
            name: $name,
            sql: include_str!(concat!(
                env!("CARGO_MANIFEST_DIR"), "/../../migrations/", $folder, "/", $zeros, $number, "_", $name, ".sql"
            )),
        }),*]
    };
}

/// For PostgreSQL.
pub(crate) const POSTGRES: &[Migration] = migrations!(
    "postgres": "000" 1 "foundation", "000" 2 "safety", "000" 3 "signals", "000" 4 "admission", "000" 5 "time",
    "000" 6 "claims", "000" 7 "events_by_day", "000" 8 "shared_rules", "00" 10 "access"
);
/// For SQLite.
pub(crate) const SQLITE: &[Migration] = migrations!(
    "sqlite": "000" 1 "foundation", "000" 2 "safety", "000" 3 "signals", "000" 4 "admission", "000" 5 "time",
    "000" 6 "claims", "000" 7 "events_by_day", "000" 8 "shared_rules", "00" 10 "access"
);

/// Those of `known` that a database at version `found` lacks.
pub(crate) fn missing(known: &'static [Migration], found: i64) -> Result<&'static [Migration], OpenError> {
    let newest = known.last().map_or(0, |migration| migration.version);
    if found > newest {
        return Err(OpenError::Newer { found, known: newest });
    }
    Ok(known.iter().position(|migration| migration.version > found).map_or(&[], |first| &known[first..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn files(folder: &str) -> Vec<String> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations").join(folder);
        let entries = std::fs::read_dir(path).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn every_migration_file_is_built_in() {
        for (folder, known) in [("postgres", POSTGRES), ("sqlite", SQLITE)] {
            let built_in: Vec<String> =
                known.iter().map(|m| format!("{:04}_{}.sql", m.version, m.name)).collect();
            assert_eq!(files(folder), built_in);
        }
    }

    #[test]
    fn both_databases_are_at_the_same_version() {
        let versions = |known: &[Migration]| known.iter().map(|m| (m.version, m.name)).collect::<Vec<_>>();
        assert_eq!(versions(POSTGRES), versions(SQLITE));
        assert!(POSTGRES.is_sorted_by(|one, next| one.version < next.version));
    }

    #[test]
    fn a_newer_database_is_refused() {
        assert_eq!(missing(SQLITE, 0).unwrap().len(), SQLITE.len());
        assert!(missing(SQLITE, SQLITE.last().unwrap().version).unwrap().is_empty());
        assert!(matches!(missing(SQLITE, 999), Err(OpenError::Newer { found: 999, .. })));
    }
}
