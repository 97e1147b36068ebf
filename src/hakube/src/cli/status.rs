//! `hakube status`.

use super::context;
use super::flags::{ClusterFlags, OutputFlag};
use hakube_error::Result;
use hakube_output::{self as output, Format};
use hakube_run as run;

/// Flags of `status`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    cluster: ClusterFlags,
    #[command(flatten)]
    output: OutputFlag,
}

/// Shows the cluster.
pub async fn run(args: Args) -> Result<()> {
    let session = context::looking(args.cluster.settings(Vec::new())?)?;
    let status = run::status(&session).await?;
    output::print(&match args.output.output {
        Format::Text => status.render(),
        format => output::document(&status, format)?,
    });
    Ok(())
}
