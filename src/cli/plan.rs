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
    Up(Box<up::Args>),
    /// What `replicate` would do
    Replicate(replicate::Args),
    /// What `down` would do
    Down(down::Args),
}

/// Shows a plan.
pub async fn run(args: Args) -> Result<()> {
    match args.command {
        Command::Up(mut args) => {
            args.change.dry_run = true;
            up::run(*args).await
        }
        Command::Replicate(mut args) => {
            args.change.dry_run = true;
            replicate::run(args).await
        }
        Command::Down(mut args) => {
            args.change.dry_run = true;
            down::run(args).await
        }
    }
}
