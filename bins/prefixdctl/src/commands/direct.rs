//! `panic --direct`: past API and database.

use crate::exit::{Exit, Failure};
use crate::session::Session;

/// Takes this site's rules out of the speaker that the configuration folder names; with `hold` until interrupted.
#[allow(clippy::unused_async, reason = "carried out in a moment")]
pub(crate) async fn panic(_session: &Session, _reason: &str, _hold: bool) -> Result<Exit, Failure> {
    Err(Failure::General(
        "panic --direct is not in this build yet: stop prefixd, restart the speaker".to_owned(),
    ))
}
