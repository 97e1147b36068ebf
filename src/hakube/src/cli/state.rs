//! `hakube state`.

use super::flags::ChangeFlags;
use hakube_error::{Error, Result};
use hakube_output::ask;
use hakube_run::{self as run, Keeping};

/// Flags of `state`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Encrypt the cluster's keys to the configured recipients or passphrase
    Encrypt(ChangeFlags),
    /// Rebuild the stored intent from the running cluster, if it is damaged or out of date
    Adopt(AdoptArgs),
    /// Store the cluster's keys unencrypted from now on
    Decrypt(ChangeFlags),
}

#[derive(Debug, clap::Args)]
struct AdoptArgs {
    /// Skip the confirmation prompt
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    change: ChangeFlags,
}

/// Changes how the cluster's state is stored.
pub async fn run(args: Args) -> Result<()> {
    let (change, keeping) = match args.command {
        Command::Adopt(args) => return adopt(args).await,
        Command::Encrypt(change) => (change, Keeping::Encrypted),
        Command::Decrypt(change) => (change, Keeping::InTheClear),
    };
    run::keep(&change.session(change.settings(&[])?)?, keeping).await
}

async fn adopt(args: AdoptArgs) -> Result<()> {
    let session = args.change.session(args.change.settings(&[])?)?;
    run::adopt(&session, || if args.yes { Ok(()) } else { confirm() }).await
}

fn confirm() -> Result<()> {
    let why = match ask("Store this intent? Type yes to continue: ") {
        Some(answer) if answer == "yes" => return Ok(()),
        Some(_) => "the answer wasn't yes",
        None => "there is no terminal to confirm on",
    };
    Err(Error::refused(format!("the intent was not stored: {why}"))
        .hint("to store it without confirmation: hakube state adopt --yes"))
}
