//! `hakube nodes`.

use super::flags::{ChangeFlags, DrainFlag, ZoneFlag};
use hakube_error::Result;
use hakube_run::{self as run, NodesRequest};
use hakube_settings::Settings;

/// Flags of `nodes`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Set the number of nodes, in one zone or in the whole cluster
    ///
    /// When scaling down, nodes that aren't ready are removed first, then cordoned ones, then the
    /// newest. Nodes are drained before their machines are deleted.
    Scale {
        /// The number of nodes
        #[arg(value_name = "N", value_parser = clap::value_parser!(u32).range(0..=5000))]
        count: u32,
        /// Delete pods that a PodDisruptionBudget protects or that no controller recreates
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        drain: DrainFlag,
        #[command(flatten)]
        zone: ZoneFlag,
        #[command(flatten)]
        change: ChangeFlags,
    },
    /// Add nodes in a zone that has none
    Add {
        #[command(flatten)]
        zone: ZoneFlag,
        /// The number of nodes ($NUM_NODES)
        #[arg(long, value_name = "N", allow_hyphen_values = true)]
        nodes: Option<String>,
        #[command(flatten)]
        change: ChangeFlags,
    },
}

/// Changes the number of nodes.
pub async fn run(args: Args) -> Result<()> {
    match args.command {
        Command::Scale {
            count,
            force,
            drain,
            zone,
            change,
        } => {
            let resolved = change.settings(&[zone.pairs(), drain.pairs()])?;
            let zone = given_zone(&resolved.settings);
            let session = change.session(resolved)?;
            run::nodes(&session, &NodesRequest::Scale { count, zone, force }).await
        }
        Command::Add {
            zone,
            nodes,
            change,
        } => {
            let nodes = nodes.map(|count| ("--nodes".to_owned(), count));
            let resolved = change.settings(&[zone.pairs(), nodes.into_iter().collect()])?;
            let request = add_request(&resolved.settings);
            let session = change.session(resolved)?;
            run::nodes(&session, &request).await
        }
    }
}

/// A request to add NUM_NODES nodes in the configured zone.
pub fn add_request(settings: &Settings) -> NodesRequest {
    NodesRequest::Add {
        count: settings.nodes.wanted(),
        zone: given_zone(settings),
    }
}

fn given_zone(settings: &Settings) -> Option<String> {
    settings.zone_given.then(|| settings.zone.name().to_owned())
}
