//! `hakube replace`.

use super::flags::ChangeFlags;
use crate::error::Result;
use crate::run;

/// Flags of `replace`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The replica that goes, dead or well
    name: String,
    #[command(flatten)]
    change: ChangeFlags,
}

/// Puts a new replica in the place of another.
pub async fn run(args: Args) -> Result<()> {
    let session = args.change.session(args.change.settings(&[])?)?;
    run::replace(&session, &args.name).await
}
