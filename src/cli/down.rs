//! `hakube down`.

use super::flags::{ChangeFlags, DrainFlag, ZoneFlag};
use crate::cluster::RemovalRequest;
use crate::error::{Error, Result};
use crate::output::ask;
use crate::run;

/// Flags of `down`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Remove one replica only: this one, or any of the zone when no name is given
    #[arg(long, value_name = "NAME", num_args = 0..=1, default_missing_value = "")]
    replica: Option<String>,
    #[command(flatten)]
    zone: ZoneFlag,
    /// Remove a replica that doesn't answer without asking it: it is dead for good. Of one that does, delete the pods
    /// that a PodDisruptionBudget keeps or that no controller recreates
    #[arg(long, requires = "replica")]
    force: bool,
    /// Don't ask for the cluster's name
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    drain: DrainFlag,
    #[command(flatten)]
    pub change: ChangeFlags,
}

/// Deletes the cluster, or with `--replica` (kube-down: KUBE_DELETE_NODES=false) one replica.
pub async fn run(args: Args) -> Result<()> {
    let resolved = args
        .change
        .settings(&[args.zone.pairs(), args.drain.pairs()])?;
    let settings = &resolved.settings;
    let zone = settings.zone_given.then(|| settings.zone.name().to_owned());
    let replica = match args.replica {
        Some(name) => Some(Some(name).filter(|name| !name.is_empty())),
        None => (!settings.kube_up.delete_nodes).then(|| settings.kube_up.replica_name.clone()),
    };
    let name = settings.cluster.clone();
    let session = args.change.session(resolved)?;
    if let Some(name) = replica {
        return run::remove_replica(
            &session,
            &RemovalRequest {
                name,
                zone,
                force: args.force,
            },
        )
        .await;
    }
    if !args.yes && !args.change.dry_run {
        session.existing().await?;
        confirm(&name)?;
    }
    run::down(&session).await
}

/// On a terminal the cluster's name must be typed; a script says `--yes`.
fn confirm(cluster: &str) -> Result<()> {
    let question =
        format!("This deletes cluster {cluster} and all its data. Type its name to go on: ");
    let why = match ask(&question) {
        Some(answer) if answer == cluster => return Ok(()),
        Some(_) => "that wasn't its name",
        None => "there is no terminal to ask on",
    };
    Err(
        Error::refused(format!("cluster {cluster} was not deleted: {why}"))
            .hint("to delete it without being asked: hakube down --yes"),
    )
}
