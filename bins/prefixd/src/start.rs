//! From the command line to a running daemon: choose the configuration, check it, say what is wrong with it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::cli::{Cli, DEFAULT_FOLDER};
use crate::config::Environment;
use crate::config::folder::{ConfigSource, Configuration, Files};
use crate::config::loaded::Loaded;
use crate::development;

/// The configuration that the command line means.
#[derive(Debug, Clone)]
pub struct Chosen {
    /// Where it is read from, again at each reload.
    pub source: ConfigSource,
    /// True for the built-in development configuration.
    pub development: bool,
}

/// Chooses: `--config`, else the default folder if it is there, else the built-in development configuration.
///
/// `default_folder` is [`DEFAULT_FOLDER`], except in tests.
pub fn choose(cli: &Cli, mut environment: Environment, default_folder: &Path) -> Result<Chosen, String> {
    if let Some(listen) = cli.listen {
        environment.insert("PREFIXD__HTTP__LISTEN".to_owned(), format!("\"{listen}\""));
    }
    let folder: Option<PathBuf> =
        cli.config.clone().or_else(|| default_folder.exists().then(|| default_folder.to_path_buf()));
    match folder {
        Some(folder) if cli.enforce => Err(format!(
            "--enforce is only for the built-in development configuration; set \"mode: enforced\" in {}",
            folder.join("prefixd.yaml").display()
        )),
        Some(folder) => {
            Ok(Chosen { source: ConfigSource::new(Files::Folder(folder), environment), development: false })
        }
        None => Ok(Chosen { source: development::source(environment, cli.enforce), development: true }),
    }
}

/// `--check`: prints each diagnostic and starts nothing.
pub fn check(chosen: &Chosen, out: &mut impl Write) -> std::io::Result<ExitCode> {
    let loaded = chosen.source.load();
    print(&loaded, chosen.source.folder(), out)?;
    Ok(if loaded.value.is_some() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// One line per diagnostic.
pub fn print(loaded: &Loaded<Configuration>, folder: &Path, out: &mut impl Write) -> std::io::Result<()> {
    for diagnostic in &loaded.diagnostics {
        writeln!(out, "{}", diagnostic.in_folder(folder))?;
    }
    Ok(())
}

/// The default folder as a path.
pub fn default_folder() -> &'static Path {
    Path::new(DEFAULT_FOLDER)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn cli(arguments: &[&str]) -> Cli {
        Cli::try_parse_from(std::iter::once("prefixd").chain(arguments.iter().copied())).unwrap()
    }

    #[test]
    fn the_development_configuration_is_used_only_when_nothing_else_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let absent = folder.path().join("absent");
        let chosen =
            |arguments: &[&str], default: &Path| choose(&cli(arguments), Environment::new(), default);
        assert!(chosen(&[], &absent).unwrap().development);
        assert!(!chosen(&[], folder.path()).unwrap().development);
        assert!(!chosen(&["--config", "conf"], &absent).unwrap().development);
        assert!(chosen(&["--enforce"], &absent).unwrap().development);
        assert!(chosen(&["--enforce"], folder.path()).unwrap_err().contains("mode: enforced"));
    }

    #[test]
    fn listen_wins_over_file_and_environment() {
        let environment = Environment::from([("PREFIXD__HTTP__LISTEN".to_owned(), "127.0.0.1:1".to_owned())]);
        let chosen = choose(&cli(&["--listen", "[::1]:8081"]), environment, Path::new("absent")).unwrap();
        let settings = chosen.source.load().value.unwrap().settings;
        assert_eq!(settings.keys.http.listen.to_string(), "[::1]:8081");
    }
}
