//! `hakube kubeconfig`.

use super::context;
use super::flags::ClusterFlags;
use crate::error::Result;
use crate::output;
use crate::run;

/// Flags of `kubeconfig`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    cluster: ClusterFlags,
}

/// Prints a kubeconfig. It holds a private key: that is what it is for.
pub async fn run(args: Args) -> Result<()> {
    let session = context::looking(context::settings(&args.cluster, Vec::new())?)?;
    output::print(run::admin_kubeconfig(&session).await?.expose());
    Ok(())
}
