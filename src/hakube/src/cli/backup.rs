//! `hakube backup`.

use super::context;
use super::flags::{BackupsFlag, ClusterFlags, OutputFlag};
use hakube_error::Result;
use hakube_output::{self as output, Format};
use hakube_run::{self as run, SaveRequest};

/// Flags of `backup`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Save a snapshot of etcd with the cluster's intent and keys
    ///
    /// It needs no quorum: any replica whose etcd responds will do. Backups are encrypted if recipients or a
    /// passphrase are set for the stored keys.
    Save {
        /// Save the data of this replica; by default, of the one with the newest data
        #[arg(long, value_name = "REPLICA")]
        from: Option<String>,
        /// Keep this many backups of the cluster and delete older ones
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
        keep: Option<u16>,
        #[command(flatten)]
        common: Common,
    },
    /// List the cluster's backups, oldest first
    List {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        output: OutputFlag,
    },
    /// Read a whole backup and verify its checksums
    Verify {
        /// The backup's name, or `latest`
        #[arg(default_value = "latest")]
        name: String,
        #[command(flatten)]
        common: Common,
    },
}

#[derive(Debug, clap::Args)]
struct Common {
    #[command(flatten)]
    backups: BackupsFlag,
    #[command(flatten)]
    cluster: ClusterFlags,
}

impl Common {
    fn session(&self) -> Result<run::Session> {
        context::looking(self.cluster.settings(self.backups.pairs())?)
    }
}

/// Saves, lists or verifies backups.
pub async fn run(args: Args) -> Result<()> {
    match args.command {
        Command::Save { from, keep, common } => {
            let request = SaveRequest {
                replica: from,
                keep: keep.map(usize::from),
            };
            run::save(&common.session()?, &request).await
        }
        Command::List { common, output } => {
            let list = run::list_backups(&common.session()?).await?;
            output::print(&match output.output {
                Format::Text => list.render(),
                format => output::document(&list, format)?,
            });
            Ok(())
        }
        Command::Verify { name, common } => run::verify_backup(&common.session()?, &name).await,
    }
}
