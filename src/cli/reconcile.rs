//! `hakube reconcile`.

use super::context;
use super::flags::{ClusterFlags, OutputFlag, WaitFlag};
use crate::error::Result;
use crate::run;

/// Flags of `reconcile`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    wait: WaitFlag,
    #[command(flatten)]
    cluster: ClusterFlags,
    #[command(flatten)]
    output: OutputFlag,
    /// Show the plan and stop
    #[arg(long)]
    dry_run: bool,
}

/// Finishes what is unfinished.
pub async fn run(args: Args) -> Result<()> {
    let resolved = context::settings(&args.cluster, args.wait.pairs())?;
    let session = context::changing(resolved, args.output.output, args.dry_run)?;
    run::reconcile(&session).await
}
