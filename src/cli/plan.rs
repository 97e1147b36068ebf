//! `hakube plan`: the same plan that the command would run.

use super::{down, replicate, up};
use crate::error::Result;

/// Arguments of `plan`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// What `up` would do
    Up(up::Args),
    /// What `replicate` would do
    Replicate(replicate::Args),
    /// What `down` would do
    Down(down::Args),
}

/// Shows a plan.
pub async fn run(args: Args) -> Result<()> {
    match args.command {
        Command::Up(args) => up::run(args, true).await,
        Command::Replicate(args) => replicate::run(args, true).await,
        Command::Down(args) => down::run(args, true).await,
    }
}
