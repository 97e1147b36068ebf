//! `hakube up`.

use super::flags::{ChangeFlags, MakingFlags, ZoneFlag};
use super::nodes;
use hakube_error::Result;
use hakube_run::{self as run, ReplicateRequest};

/// Flags of `up`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    making: MakingFlags,
    #[command(flatten)]
    zone: ZoneFlag,
    #[command(flatten)]
    pub change: ChangeFlags,
}

/// Creates a cluster. With kube-up's KUBE_REPLICATE_EXISTING_MASTER or KUBE_USE_EXISTING_MASTER,
/// adds a replica or nodes to an existing one.
pub async fn run(args: Args) -> Result<()> {
    let resolved = args
        .change
        .settings(&[args.making.pairs(), args.zone.pairs()])?;
    let add_nodes = resolved
        .settings
        .kube_up
        .use_existing
        .then(|| nodes::add_request(&resolved.settings));
    let replicate = resolved.settings.kube_up.replicate_existing;
    let zone = resolved
        .settings
        .zone_given
        .then(|| resolved.settings.zone.name().to_owned());
    let session = args.change.session(resolved)?;
    if let Some(request) = add_nodes {
        run::nodes(&session, &request).await
    } else if replicate {
        run::replicate(&session, &ReplicateRequest { zone, count: 1 }).await
    } else {
        run::up(&session).await
    }
}
