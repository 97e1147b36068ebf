//! `hakube restore`.

use super::flags::{BackupsFlag, ChangeFlags};
use hakube_error::{Error, Result};
use hakube_output::ask_for_name;
use hakube_run::{self as run, RestoreRequest};

/// Flags of `restore`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The backup's name, as `hakube backup list` prints it, or `latest`
    backup: String,
    /// Replace the data of an etcd that has its quorum
    #[arg(long)]
    force: bool,
    /// Continue without this replica, whose machine is lost for good; may be repeated
    #[arg(long, value_name = "REPLICA")]
    without: Vec<String>,
    /// Skip the confirmation prompt
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    backups: BackupsFlag,
    #[command(flatten)]
    change: ChangeFlags,
}

/// Replaces the cluster's data with a backup's.
pub async fn run(args: Args) -> Result<()> {
    let resolved = args.change.settings(&[args.backups.pairs()])?;
    let cluster = resolved.settings.cluster.clone();
    let session = args.change.session(resolved)?;
    let request = RestoreRequest {
        backup: args.backup,
        force: args.force,
        without: args.without.into_iter().collect(),
    };
    run::restore(&session, &request, |question| {
        if args.yes {
            Ok(())
        } else {
            confirm(&cluster, question)
        }
    })
    .await
}

/// Asks for the cluster's name to be typed. Scripts pass `--yes`.
fn confirm(cluster: &str, question: &str) -> Result<()> {
    let question = format!("{question} Type the cluster's name to continue: ");
    ask_for_name(&question, cluster).map_err(|why| {
        Error::refused(format!("cluster {cluster} was not restored: {why}"))
            .hint("to restore it without confirmation: hakube restore NAME --yes")
    })
}
