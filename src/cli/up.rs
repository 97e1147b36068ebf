//! `hakube up`.

use super::context;
use super::flags::{ClusterFlags, MakingFlags, OutputFlag, WaitFlag, ZoneFlag};
use crate::error::Result;
use crate::run::{self, ReplicateRequest};

/// Flags of `up`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    making: MakingFlags,
    #[command(flatten)]
    zone: ZoneFlag,
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

/// Makes a cluster; with kube-up's KUBE_REPLICATE_EXISTING_MASTER, adds a replica to one.
pub async fn run(args: Args, plan_only: bool) -> Result<()> {
    let mut flags = args.making.pairs();
    flags.extend(args.zone.pairs());
    flags.extend(args.wait.pairs());
    let resolved = context::settings(&args.cluster, flags)?;
    let replicate = resolved.settings.kube_up.replicate_existing;
    let zone = resolved.settings.zone_given.then(|| resolved.settings.zone.name().to_owned());
    let session = context::changing(resolved, args.output.output, args.dry_run || plan_only)?;
    if replicate {
        run::replicate(&session, &ReplicateRequest { zone, count: 1 }).await
    } else {
        run::up(&session).await
    }
}
