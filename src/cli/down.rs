//! `hakube down`.

use super::context;
use super::flags::{ClusterFlags, OutputFlag, WaitFlag, ZoneFlag};
use crate::cluster::RemovalRequest;
use crate::error::{Error, Result};
use crate::run;
use std::io::{BufRead as _, IsTerminal as _, Write as _};

/// Flags of `down`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Remove one replica only: this one, or any of the zone when no name is given
    #[arg(long, value_name = "NAME", num_args = 0..=1, default_missing_value = "")]
    replica: Option<String>,
    #[command(flatten)]
    zone: ZoneFlag,
    /// Remove a replica that doesn't answer without asking it: it is dead for good
    #[arg(long, requires = "replica")]
    force: bool,
    /// Don't ask for the cluster's name
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    wait: WaitFlag,
    #[command(flatten)]
    cluster: ClusterFlags,
    #[command(flatten)]
    output: OutputFlag,
    /// Show the plan and stop
    #[arg(long)]
    dry_run: bool,
}

/// Deletes the cluster, or with `--replica` (kube-down: KUBE_DELETE_NODES=false) one replica.
pub async fn run(args: Args, plan_only: bool) -> Result<()> {
    let flags = [args.zone.pairs(), args.wait.pairs()].concat();
    let resolved = context::settings(&args.cluster, flags)?;
    let settings = &resolved.settings;
    let zone = settings.zone_given.then(|| settings.zone.name().to_owned());
    let replica = match args.replica {
        Some(name) => Some(Some(name).filter(|name| !name.is_empty())),
        None => (!settings.kube_up.delete_nodes).then(|| settings.kube_up.replica_name.clone()),
    };
    let dry_run = args.dry_run || plan_only;
    let name = settings.cluster.clone();
    let session = context::changing(resolved, args.output.output, dry_run)?;
    if let Some(name) = replica {
        return run::remove_replica(&session, &RemovalRequest { name, zone, force: args.force }).await;
    }
    if !args.yes && !dry_run {
        session.existing().await?;
        confirm(&name)?;
    }
    run::down(&session).await
}

/// On a terminal the cluster's name must be typed; a script says `--yes`.
fn confirm(cluster: &str) -> Result<()> {
    let refused = |why: &str| {
        Error::refused(format!("cluster {cluster} was not deleted: {why}"))
            .hint("to delete it without being asked: hakube down --yes")
    };
    if !std::io::stdin().is_terminal() {
        return Err(refused("there is no terminal to ask on"));
    }
    eprint!("This deletes cluster {cluster} and all its data. Type its name to go on: ");
    let _ = std::io::stderr().flush();
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    if read.is_err() || answer.trim() != cluster {
        return Err(refused("that wasn't its name"));
    }
    Ok(())
}
