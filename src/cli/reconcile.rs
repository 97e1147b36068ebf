//! `hakube reconcile`.

use super::flags::ChangeFlags;
use crate::error::Result;
use crate::run;

/// Flags of `reconcile`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    change: ChangeFlags,
}

/// Finishes what is unfinished.
pub async fn run(args: Args) -> Result<()> {
    let session = args.change.session(args.change.settings(&[])?)?;
    run::reconcile(&session).await
}
