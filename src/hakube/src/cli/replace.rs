//! `hakube replace`.

use super::flags::{ChangeFlags, DrainFlag};
use hakube_error::Result;
use hakube_run::{self as run, ReplaceRequest};

/// Flags of `replace`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The replica to replace, dead or healthy
    name: String,
    /// Delete pods on it that a PodDisruptionBudget protects or that no controller recreates
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    drain: DrainFlag,
    #[command(flatten)]
    change: ChangeFlags,
}

/// Replaces a replica with a new one.
pub async fn run(args: Args) -> Result<()> {
    let resolved = args.change.settings(&[args.drain.pairs()])?;
    let session = args.change.session(resolved)?;
    let request = ReplaceRequest {
        name: args.name,
        force: args.force,
    };
    run::replace(&session, &request).await
}
