//! `hakube state`.

use super::flags::ChangeFlags;
use crate::error::Result;
use crate::run::{self, Keeping};

/// Flags of `state`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Encrypt the cluster's keys to the recipients or passphrase that are set
    Encrypt(ChangeFlags),
    /// Keep the cluster's keys in the clear from now on
    Decrypt(ChangeFlags),
}

/// Changes how the cluster's keys are kept.
pub async fn run(args: Args) -> Result<()> {
    let (change, keeping) = match args.command {
        Command::Encrypt(change) => (change, Keeping::Encrypted),
        Command::Decrypt(change) => (change, Keeping::InTheClear),
    };
    run::keep(&change.session(change.settings(&[])?)?, keeping).await
}
