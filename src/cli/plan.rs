//! `hakube plan`: the same plan that the command would run.

use super::{down, replicate, up};
use crate::error::Result;

/// Arguments of `plan`.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
#[group(skip)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,

    /// Without a command, those of `up`.
    #[command(flatten)]
    up: Box<up::Args>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// What `up` would do, as without a command
    Up(Box<up::Args>),
    /// What `replicate` would do
    Replicate(replicate::Args),
    /// What `down` would do
    Down(down::Args),
}

/// Shows a plan.
pub async fn run(args: Args) -> Result<()> {
    match args.command.unwrap_or(Command::Up(args.up)) {
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
