//! `hakube upgrade`.

use super::context;
use super::flags::{ChangeFlags, DrainFlag, ReleaseFlags};
use hakube_error::Result;
use hakube_run::{self as run, UpgradeRequest};

/// Flags of `upgrade`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    release: ReleaseFlags,
    /// On nodes, delete pods that a PodDisruptionBudget protects or that no controller recreates
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    drain: DrainFlag,
    #[command(flatten)]
    change: ChangeFlags,
}

/// Upgrades the cluster's programs. They come from where the cluster's present ones came from, unless flags or the
/// environment name other sources.
pub async fn run(args: Args) -> Result<()> {
    let own = [args.release.pairs(), args.drain.pairs()];
    let looking = context::looking(args.change.settings(&own)?)?;
    let sources = run::program_sources(&looking).await?;
    let session = args
        .change
        .session(args.change.settings_of_cluster(&own, sources)?)?;
    let request = UpgradeRequest { force: args.force };
    run::upgrade(&session, request).await
}
