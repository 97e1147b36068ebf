//! `hakube clusters`.

use super::context;
use super::flags::{ClusterFlags, OutputFlag};
use hakube_error::Result;
use hakube_output::{self as output, Format};
use hakube_run as run;

/// Flags of `clusters`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    cluster: ClusterFlags,
    #[command(flatten)]
    output: OutputFlag,
}

/// Lists the clusters of the state store.
pub async fn run(args: Args) -> Result<()> {
    let session = context::looking(args.cluster.settings(Vec::new())?)?;
    let list = run::clusters(&session).await?;
    output::print(&match args.output.output {
        Format::Text => list.render(),
        format => output::document(&list, format)?,
    });
    Ok(())
}
