//! `hakube replace`.

use super::flags::{ChangeFlags, DrainFlag};
use crate::error::Result;
use crate::run::{self, ReplaceRequest};

/// Flags of `replace`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The replica that goes, dead or well
    name: String,
    /// Delete the pods on it that a PodDisruptionBudget keeps or that no controller recreates
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    drain: DrainFlag,
    #[command(flatten)]
    change: ChangeFlags,
}

/// Puts a new replica in the place of another.
pub async fn run(args: Args) -> Result<()> {
    let resolved = args.change.settings(&[args.drain.pairs()])?;
    let session = args.change.session(resolved)?;
    let request = ReplaceRequest {
        name: args.name,
        force: args.force,
    };
    run::replace(&session, &request).await
}
