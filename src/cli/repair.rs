//! `hakube repair`.

use super::flags::ChangeFlags;
use crate::error::Result;
use crate::run;
use std::time::Duration;

/// Flags of `repair`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Go on looking, and repair whenever something differs
    #[arg(long, conflicts_with = "dry_run")]
    watch: bool,
    /// Seconds between two looks
    #[arg(long, value_name = "SECONDS", default_value_t = 10, requires = "watch",
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    every: u64,
    #[command(flatten)]
    change: ChangeFlags,
}

/// Puts right what differs from what was asked for.
pub async fn run(args: Args) -> Result<()> {
    let session = args.change.session(args.change.settings(&[])?)?;
    if args.watch {
        run::watch(&session, Duration::from_secs(args.every)).await
    } else {
        run::repair(&session).await
    }
}
