//! `hakube abandon`.

use super::flags::ChangeFlags;
use hakube_error::Result;
use hakube_run as run;

/// Flags of `abandon`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    change: ChangeFlags,
}

/// Drops an unfinished operation and keeps its healthy resources.
pub async fn run(args: Args) -> Result<()> {
    let session = args.change.session(args.change.settings(&[])?)?;
    run::abandon(&session).await
}
