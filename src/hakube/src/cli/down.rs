//! `hakube down`.

use super::flags::{ChangeFlags, DrainFlag, ZoneFlag};
use hakube_error::{Error, Result};
use hakube_model::RemovalRequest;
use hakube_output::ask_for_name;
use hakube_run::{self as run, Doomed};

/// Flags of `down`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Remove only this replica, or any replica of the zone if no name is given
    #[arg(long, value_name = "NAME", num_args = 0..=1, default_missing_value = "")]
    replica: Option<String>,
    #[command(flatten)]
    zone: ZoneFlag,
    /// Remove a replica that doesn't respond, treating it as permanently lost. On one that
    /// responds, delete pods that a PodDisruptionBudget protects or that no controller recreates
    #[arg(long, requires = "replica")]
    force: bool,
    /// Delete a cluster whose state is lost: the one with this name and this ID, as printed by
    /// `hakube plan down`; `none` for a cluster from before clusters had IDs
    #[arg(long, value_name = "ID", conflicts_with = "replica")]
    cluster_id: Option<String>,
    /// Skip the confirmation prompt
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
    let doomed = match args.cluster_id {
        None => Doomed::Stored,
        Some(id) => Doomed::Lost(Some(id).filter(|id| id != "none")),
    };
    if !args.yes && !args.change.dry_run {
        if doomed == Doomed::Stored {
            session.existing().await?;
        }
        confirm(&name)?;
    }
    run::down(&session, &doomed).await
}

/// Asks for the cluster's name to be typed. Scripts pass `--yes`.
fn confirm(cluster: &str) -> Result<()> {
    let question =
        format!("This deletes cluster {cluster} and all its data. Type its name to continue: ");
    ask_for_name(&question, cluster).map_err(|why| {
        Error::refused(format!("cluster {cluster} was not deleted: {why}"))
            .hint("to delete it without confirmation: hakube down --yes")
    })
}
