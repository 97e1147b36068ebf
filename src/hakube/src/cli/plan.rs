//! `hakube plan`: shows the plan that a command would run.

use super::{down, replicate, up};
use hakube_error::Result;

/// Arguments of `plan`.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
#[group(skip)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,

    /// Without a subcommand, the flags of `up`.
    #[command(flatten)]
    up: Box<up::Args>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Show what `up` would do (the default)
    Up(Box<up::Args>),
    /// Show what `replicate` would do
    Replicate(replicate::Args),
    /// Show what `down` would do
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
