//! `hakube up`.

use super::flags::{ChangeFlags, MakingFlags, ZoneFlag};
use crate::error::{Error, Result};
use crate::run::{self, ReplicateRequest};
use crate::settings::table;

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

/// Makes a cluster; with kube-up's KUBE_REPLICATE_EXISTING_MASTER, adds a replica to one.
pub async fn run(args: Args) -> Result<()> {
    let resolved = args
        .change
        .settings(&[args.making.pairs(), args.zone.pairs()])?;
    if resolved.settings.kube_up.use_existing {
        return Err(Error::bad_input(resolved.quote(&table::USE_EXISTING))
            .because("adding nodes to a cluster that exists isn't built yet")
            .hint("unset it; NUM_NODES is for the cluster's first up"));
    }
    let replicate = resolved.settings.kube_up.replicate_existing;
    let zone = resolved
        .settings
        .zone_given
        .then(|| resolved.settings.zone.name().to_owned());
    let session = args.change.session(resolved)?;
    if replicate {
        run::replicate(&session, &ReplicateRequest { zone, count: 1 }).await
    } else {
        run::up(&session).await
    }
}
