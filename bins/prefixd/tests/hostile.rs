//! Configuration, files and texts that somebody made in order to harm: refused with a clear word, within a moment, and
//! the daemon lives on.

mod expressions;
mod files;
mod program;
mod state_dir;
mod texts;
