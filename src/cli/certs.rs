//! `hakube certs`.

use super::context;
use super::flags::{ChangeFlags, ClusterFlags, OutputFlag};
use crate::error::Result;
use crate::output::{self, Format};
use crate::run::{self, RenewRequest};

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
    /// Renew certificates that have less than a third of their life left, or all now
    ///
    /// One replica at a time; each must serve again before the next one's turn. `repair` and every command that
    /// changes the cluster renew what has less than a third of its life left, too.
    Renew {
        /// Renew all certificates of this replica, however old they are
        #[arg(long, value_name = "NAME", conflicts_with = "all")]
        replica: Option<String>,
        /// Renew all certificates of all replicas and of the kubeconfig, however old they are
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        change: Box<ChangeFlags>,
    },
}

/// Lists the cluster's certificates, or renews them.
pub async fn run(args: Args) -> Result<()> {
    match args.command {
        None => {
            let session = context::looking(context::settings(&args.cluster, Vec::new())?)?;
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
    }
}
