//! `hakube kubeconfig`.

use super::context;
use super::flags::ClusterFlags;
use hakube_error::Result;
use hakube_output as output;
use hakube_run as run;

/// Flags of `kubeconfig`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    cluster: ClusterFlags,
}

/// Prints a kubeconfig, including its private key.
pub async fn run(args: Args) -> Result<()> {
    let session = context::looking(args.cluster.settings(Vec::new())?)?;
    output::print(run::admin_kubeconfig(&session).await?.expose());
    Ok(())
}
