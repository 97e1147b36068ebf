//! `hakube unlock`.

use super::context;
use super::flags::ClusterFlags;
use hakube_error::{Error, Result};
use hakube_output::{self as output, Table, ask};
use hakube_state::LockRecord;
use jiff::Timestamp;

/// Flags of `unlock`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Skip the confirmation prompt
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    cluster: ClusterFlags,
}

/// Shows the lock's holder and breaks the lock: later writes of the holder are refused.
pub async fn run(args: Args) -> Result<()> {
    let session = context::looking(args.cluster.settings(Vec::new())?)?;
    let cluster = session.cluster();
    let Some(held) = session.store.lock_holder(cluster).await? else {
        output::print_note(&format!("cluster {cluster} isn't locked"));
        return Ok(());
    };
    output::print(&describe(&held));
    if !args.yes {
        confirm(cluster, &held)?;
    }
    session.store.unlock(cluster, &held).await?;
    output::print_note(&format!(
        "cluster {cluster} is unlocked; to finish what {held} began: hakube reconcile"
    ));
    Ok(())
}

fn describe(held: &LockRecord) -> String {
    let mut table = Table::new(&["OPERATION", "BY", "SINCE", "EXPIRES", "GENERATION"]);
    let seconds = |at: Timestamp| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    table.row([
        held.holder.operation.clone(),
        held.holder.by.to_string(),
        seconds(held.acquired),
        seconds(held.expires),
        held.generation.to_string(),
    ]);
    table.render()
}

/// Asks for confirmation: if the holder renews its lock, its command is running and is better stopped.
fn confirm(cluster: &str, held: &LockRecord) -> Result<()> {
    let question = format!(
        "{held} will stop at its current step, and its later writes will be refused.\n\
         Break the lock? [y/N] "
    );
    let why = match ask(&question).as_deref() {
        Some("y" | "Y" | "yes") => return Ok(()),
        Some(_) => "the answer wasn't yes",
        None => "there is no terminal to confirm on",
    };
    Err(
        Error::refused(format!("cluster {cluster} stays locked: {why}"))
            .hint("to break the lock without confirmation: hakube unlock --yes")
            .hint("to wait for the holder instead, add --wait 10m to your command"),
    )
}
