//! `hakube replicate`.

use super::context;
use super::flags::{ClusterFlags, OutputFlag, WaitFlag, ZoneFlag};
use crate::error::Result;
use crate::run::{self, ReplicateRequest};

/// Flags of `replicate`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    zone: ZoneFlag,
    /// How many replicas to add, one after another; without a zone they spread
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=7))]
    count: u8,
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

/// Adds replicas.
pub async fn run(args: Args, plan_only: bool) -> Result<()> {
    let resolved = context::settings(&args.cluster, [args.zone.pairs(), args.wait.pairs()].concat())?;
    let zone = resolved.settings.zone_given.then(|| resolved.settings.zone.name().to_owned());
    let session = context::changing(resolved, args.output.output, args.dry_run || plan_only)?;
    run::replicate(&session, &ReplicateRequest { zone, count: args.count.into() }).await
}
