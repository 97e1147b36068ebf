//! `hakube unlock`.

use super::context;
use super::flags::ClusterFlags;
use crate::error::{Error, Result};
use crate::output::{self, Table, ask};
use crate::state::LockRecord;
use jiff::Timestamp;

/// Flags of `unlock`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Don't ask
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    cluster: ClusterFlags,
}

/// Shows who holds the cluster's lock, and takes it away from them: what they would write next is refused.
pub async fn run(args: Args) -> Result<()> {
    let session = context::looking(context::settings(&args.cluster, Vec::new())?)?;
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

/// A hold that is kept up belongs to a command that is running: it is better stopped than robbed.
fn confirm(cluster: &str, held: &LockRecord) -> Result<()> {
    let question = format!(
        "Whatever {held} is doing stops where it is, and what it would have written is refused.\n\
         Take the lock away? [y/N] "
    );
    let why = match ask(&question).as_deref() {
        Some("y" | "Y" | "yes") => return Ok(()),
        Some(_) => "the answer wasn't yes",
        None => "there is no terminal to ask on",
    };
    Err(
        Error::refused(format!("cluster {cluster} stays locked: {why}"))
            .hint("to take the lock away without being asked: hakube unlock --yes")
            .hint(
                "to wait for its holder instead: --wait 10m with the command that you want to run",
            ),
    )
}
