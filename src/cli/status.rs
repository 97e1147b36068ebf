//! `hakube status`.

use super::context;
use super::flags::{ClusterFlags, OutputFlag};
use crate::error::Result;
use crate::output::{self, Format};
use crate::run;

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
    let session = context::looking(context::settings(&args.cluster, Vec::new())?)?;
    let status = run::status(&session).await?;
    output::print(&match args.output.output {
        Format::Text => status.render(),
        format => output::document(&status, format)?,
    });
    Ok(())
}
