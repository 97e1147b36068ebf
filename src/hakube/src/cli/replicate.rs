//! `hakube replicate`.

use super::flags::{ChangeFlags, ZoneFlag};
use hakube_error::Result;
use hakube_run::{self as run, ReplicateRequest};

/// Flags of `replicate`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    zone: ZoneFlag,
    /// How many replicas to add, one after another; without --zone, they are spread across zones
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=7))]
    count: u8,
    #[command(flatten)]
    pub change: ChangeFlags,
}

/// Adds replicas.
pub async fn run(args: Args) -> Result<()> {
    let resolved = args.change.settings(&[args.zone.pairs()])?;
    let zone = resolved
        .settings
        .zone_given
        .then(|| resolved.settings.zone.name().to_owned());
    let session = args.change.session(resolved)?;
    let count = args.count.into();
    run::replicate(&session, &ReplicateRequest { zone, count }).await
}
