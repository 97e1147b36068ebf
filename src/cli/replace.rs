//! `hakube replace`.

use super::context;
use super::flags::{ClusterFlags, OutputFlag};
use crate::error::Result;
use crate::run;

/// Flags of `replace`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The replica that goes, dead or well
    name: String,
    #[command(flatten)]
    cluster: ClusterFlags,
    #[command(flatten)]
    output: OutputFlag,
    /// Show the plan and stop
    #[arg(long)]
    dry_run: bool,
}

/// Puts a new replica in the place of another.
pub async fn run(args: Args) -> Result<()> {
    let resolved = context::settings(&args.cluster, Vec::new())?;
    let session = context::changing(resolved, args.output.output, args.dry_run)?;
    run::replace(&session, &args.name).await
}
