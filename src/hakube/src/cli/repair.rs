//! `hakube repair`.

use super::flags::ChangeFlags;
use hakube_error::Result;
use hakube_run::{self as run, NewAddress};
use std::time::Duration;

/// Flags of `repair`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Keep watching, and repair any drift
    #[arg(long, conflicts_with = "dry_run")]
    watch: bool,
    /// Seconds between checks
    #[arg(long, value_name = "SECONDS", default_value_t = 10, requires = "watch",
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    every: u64,
    /// If the endpoint's address is permanently lost, switch to a new one without confirmation;
    /// certificates and this host's kubeconfig are updated
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    change: ChangeFlags,
}

/// Repairs drift from the cluster's intent.
pub async fn run(args: Args) -> Result<()> {
    let session = args.change.session(args.change.settings(&[])?)?;
    let new_address = match (args.yes, args.watch) {
        (true, _) => NewAddress::Agreed,
        (false, true) => NewAddress::Refused,
        (false, false) => NewAddress::Ask,
    };
    if args.watch {
        run::watch(&session, new_address, Duration::from_secs(args.every)).await
    } else {
        run::repair(&session, new_address).await
    }
}
