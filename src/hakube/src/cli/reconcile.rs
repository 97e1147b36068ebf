//! `hakube reconcile`.

use super::flags::ChangeFlags;
use hakube_error::Result;
use hakube_run as run;

/// Flags of `reconcile`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    change: ChangeFlags,
}

/// Finishes an unfinished operation.
pub async fn run(args: Args) -> Result<()> {
    let session = args.change.session(args.change.settings(&[])?)?;
    run::reconcile(&session).await
}
