//! A throw-away PostgreSQL for a whole run of tests: prints its URL, and lives until its standard input ends.
#![allow(clippy::print_stdout, reason = "the URL is what the caller reads")]

use prefix_testkit::lab::{LabError, Postgres};
use tokio::io::AsyncReadExt;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), LabError> {
    let postgres = Postgres::start().await?;
    println!("{}", postgres.url());
    // Whatever ends the wait, an error too, means that the caller is gone.
    let _ = tokio::io::stdin().read_to_end(&mut Vec::new()).await;
    Ok(())
}
