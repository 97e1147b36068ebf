//! `hakube certs`.

use super::context;
use super::flags::{ChangeFlags, ClusterFlags, OutputFlag};
use hakube_error::Result;
use hakube_output::{self as output, Format};
use hakube_run::{self as run, RenewRequest, RotateUntil};

/// Flags of `certs`.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    cluster: ClusterFlags,
    #[command(flatten)]
    output: OutputFlag,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Renew certificates with less than a third of their lifetime left, or all of them
    ///
    /// Replicas are renewed one at a time; each must serve again before the next. `repair` and every command
    /// that changes the cluster also renew certificates with less than a third of their lifetime left.
    Renew {
        /// Renew all certificates of this replica, regardless of age
        #[arg(long, value_name = "NAME", conflicts_with = "all")]
        replica: Option<String>,
        /// Renew all certificates of all replicas and of the kubeconfig, regardless of age
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        change: Box<ChangeFlags>,
    },
    /// Rotate the cluster's CAs and the service account signing key
    ///
    /// Rotation has three phases: the new CAs are trusted alongside the old ones; they sign all
    /// certificates; the old CAs are no longer trusted. Replicas restart one after another. A phase
    /// begins when all replicas and all nodes have completed the previous one. If it is
    /// interrupted, run the same command again to continue. Pods that read the cluster's CA only at
    /// startup need a restart between the first and the second phase: see --until-trusted.
    RotateCa {
        /// Stop once the new CAs are trusted everywhere, so that pods can be restarted; run again
        /// without this flag to continue
        #[arg(long)]
        until_trusted: bool,
        #[command(flatten)]
        change: Box<ChangeFlags>,
    },
}

/// Lists the cluster's certificates, or renews them.
pub async fn run(args: Args) -> Result<()> {
    match args.command {
        None => {
            let session = context::looking(args.cluster.settings(Vec::new())?)?;
            let list = run::certificates(&session).await?;
            output::print(&match args.output.output {
                Format::Text => list.render(),
                format => output::document(&list, format)?,
            });
            Ok(())
        }
        Some(Command::Renew {
            replica,
            all,
            change,
        }) => {
            let request = match (replica, all) {
                (Some(name), _) => RenewRequest::Replica(name),
                (None, true) => RenewRequest::All,
                (None, false) => RenewRequest::Due,
            };
            let session = change.session(change.settings(&[])?)?;
            run::renew(&session, &request).await
        }
        Some(Command::RotateCa {
            until_trusted,
            change,
        }) => {
            let until = if until_trusted {
                RotateUntil::Trusted
            } else {
                RotateUntil::Done
            };
            let session = change.session(change.settings(&[])?)?;
            run::rotate_ca(&session, until).await
        }
    }
}
