//! `hakube upgrade`.

use super::context;
use super::flags::{ChangeFlags, DrainFlag, ReleaseFlags};
use hakube_error::Result;
use hakube_run::{self as run, Turnover, UpgradeRequest};

/// Flags of `upgrade`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    release: ReleaseFlags,
    /// On nodes, delete pods that a PodDisruptionBudget protects or that no controller recreates
    #[arg(long)]
    force: bool,
    /// Delete each node of a group before its successor is created, where there is no room for both
    #[arg(long)]
    no_surge: bool,
    /// Go ahead despite a finding, by its name; may be repeated
    #[arg(long, value_name = "NAME")]
    ignore: Vec<String>,
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
    let request = UpgradeRequest {
        force: args.force,
        turnover: match args.no_surge {
            true => Turnover::NoSurge,
            false => Turnover::Surge,
        },
        ignored: args.ignore,
    };
    run::upgrade(&session, request).await
}
