//! `hakube abandon`.

use super::flags::ChangeFlags;
use crate::error::Result;
use crate::run;

/// Flags of `abandon`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    change: ChangeFlags,
}

/// Drops an unfinished operation and keeps what is healthy.
pub async fn run(args: Args) -> Result<()> {
    let session = args.change.session(args.change.settings(&[])?)?;
    run::abandon(&session).await
}
