//! The command line: one file per command.

mod abandon;
mod artifacts;
mod backup;
mod certs;
mod clusters;
mod context;
mod down;
mod env;
mod flags;
mod history;
mod kubeconfig;
mod local;
mod nodes;
mod plan;
mod reconcile;
mod repair;
mod replace;
mod replicate;
mod restore;
mod state;
mod status;
mod unlock;
mod up;
mod upgrade;

use clap::{CommandFactory as _, Parser, Subcommand};
use hakube_error::{Error, Result};
use hakube_output as output;
use std::ffi::OsString;
use std::process::ExitCode;

/// Highly available Kubernetes control planes on your own machines.
///
/// The default provider is the local cloud: it runs on this machine, without an account or root.
#[derive(Debug, Parser)]
#[command(
    name = "hakube",
    version,
    max_term_width = 100,
    arg_required_else_help = true
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Create a cluster with one control-plane replica
    Up(up::Args),
    /// Add control-plane replicas; with the second, the endpoint moves to a load balancer
    Replicate(replicate::Args),
    /// Upgrade Kubernetes and etcd, replica by replica, then nodes
    Upgrade(upgrade::Args),
    /// Replace a dead or unhealthy replica with a new one in the same zone
    Replace(replace::Args),
    /// Change the number of nodes
    Nodes(nodes::Args),
    /// Delete the cluster, or one replica with --replica
    Down(down::Args),
    /// Show replicas, etcd quorum and the endpoint
    Status(status::Args),
    /// List the clusters of the state store, without asking their providers
    Clusters(clusters::Args),
    /// Show what a command would do, without doing it
    Plan(plan::Args),
    /// Finish an unfinished operation
    Reconcile(reconcile::Args),
    /// Drop an unfinished operation and keep its healthy resources
    Abandon(abandon::Args),
    /// List operations on the cluster: who ran them, when, and how long they took
    History(history::Args),
    /// Fix drift from the cluster's intent, once or continuously
    Repair(repair::Args),
    /// Break the cluster's lock, if the command that holds it won't release it
    Unlock(unlock::Args),
    /// Encrypt, decrypt or rebuild the cluster's stored state
    State(state::Args),
    /// List certificates and their expiry, renew or rotate them
    Certs(certs::Args),
    /// Save, list and verify backups of a cluster
    Backup(backup::Args),
    /// Replace the cluster's data with a backup's, from any loss of machines
    Restore(restore::Args),
    /// Print a kubeconfig for the cluster's administrator
    Kubeconfig(kubeconfig::Args),
    /// Show each setting with its value and origin
    Env(env::Args),
    /// List, fetch, verify and serve what machines download, for closed networks
    Artifacts(artifacts::Args),
    /// Manage the local cloud, which runs the default provider's machines
    Local(local::Args),
    /// Print a shell completion script
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Run a stand-in for a Kubernetes component (used by the local cloud's machines)
    #[command(hide = true)]
    StandIn {
        /// The component and its flags
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
}

/// Runs the command line and returns its exit code.
pub fn run() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::StandIn { args } => return hakube_standins::run(args.into_iter()),
        Command::Local(local::Args {
            command: local::Command::Init { directory },
        }) => {
            return hakube_local::init(&directory);
        }
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "hakube", &mut std::io::stdout());
            Ok(())
        }
        command => runtime().and_then(|runtime| runtime.block_on(dispatch(command))),
    };
    match outcome.and_then(|()| output::check_printed()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::print_error(&error);
            ExitCode::from(error.kind.exit_code())
        }
    }
}

/// A single thread: hakube spends most of its time waiting.
fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::failed("could not start the runtime").because(error))
}

async fn dispatch(command: Command) -> Result<()> {
    match command {
        Command::Up(args) => up::run(args).await,
        Command::Upgrade(args) => upgrade::run(args).await,
        Command::Replicate(args) => replicate::run(args).await,
        Command::Repair(args) => repair::run(args).await,
        Command::Replace(args) => replace::run(args).await,
        Command::Nodes(args) => nodes::run(args).await,
        Command::Down(args) => down::run(args).await,
        Command::Status(args) => status::run(args).await,
        Command::Clusters(args) => clusters::run(args).await,
        Command::Plan(args) => plan::run(args).await,
        Command::Reconcile(args) => reconcile::run(args).await,
        Command::Abandon(args) => abandon::run(args).await,
        Command::History(args) => history::run(args).await,
        Command::State(args) => state::run(args).await,
        Command::Unlock(args) => unlock::run(args).await,
        Command::Backup(args) => backup::run(args).await,
        Command::Restore(args) => restore::run(args).await,
        Command::Certs(args) => certs::run(args).await,
        Command::Kubeconfig(args) => kubeconfig::run(args).await,
        Command::Env(args) => env::run(args),
        Command::Artifacts(args) => artifacts::run(args).await,
        Command::Local(args) => local::run(args).await,
        Command::Completions { .. } | Command::StandIn { .. } => Ok(()),
    }
}
