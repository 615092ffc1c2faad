//! Configuration, files, texts and peers that mean harm, with the real program: refused with a clear word, within a
//! moment, and the daemon lives on.

mod crowd;
mod expressions;
mod files;
mod generated;
pub(crate) mod program;
mod slow;
mod state_dir;
mod texts;
