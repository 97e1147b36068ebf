//! The command line: one file per command, clap's types and a few lines each.

mod abandon;
mod artifacts;
mod certs;
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
mod state;
mod status;
mod unlock;
mod up;

use crate::error::{Error, Result};
use crate::output;
use clap::{CommandFactory as _, Parser, Subcommand};
use std::ffi::OsString;
use std::process::ExitCode;

/// Highly available Kubernetes control planes on machines of your own.
///
/// With no provider named, everything runs on this machine: the local cloud, no account, no root.
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
    /// Make a cluster with one control-plane replica
    Up(up::Args),
    /// Add control-plane replicas; at the second, the address moves to a load balancer
    Replicate(replicate::Args),
    /// Put a new replica in the place of one that is dead or sick, in the same zone
    Replace(replace::Args),
    /// Change the number of nodes
    Nodes(nodes::Args),
    /// Delete the cluster, or with --replica one of its replicas
    Down(down::Args),
    /// Show replicas, etcd's quorum and the endpoint
    Status(status::Args),
    /// Show what a command would do, and do nothing
    Plan(plan::Args),
    /// Finish whatever was begun and not finished
    Reconcile(reconcile::Args),
    /// Drop an operation that was begun and not finished; what is healthy stays
    Abandon(abandon::Args),
    /// List what was done to the cluster, by whom, and how long it took
    History(history::Args),
    /// Put right what differs from what was asked for, once or continuously
    Repair(repair::Args),
    /// Take the cluster's lock away from a command that will not give it back
    Unlock(unlock::Args),
    /// Encrypt the cluster's keys where they are kept, or decrypt them
    State(state::Args),
    /// List certificates and when they expire, or renew them
    Certs(certs::Args),
    /// Print a kubeconfig for the cluster's administrator
    Kubeconfig(kubeconfig::Args),
    /// Show each setting, its value, and where that comes from
    Env(env::Args),
    /// What machines download: list, fetch, verify and serve it, for closed networks
    Artifacts(artifacts::Args),
    /// The local cloud: machines of the embedded default provider
    Local(local::Args),
    /// Print a shell's completion script
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Run a stand-in for a Kubernetes component (the local cloud's machines do)
    #[command(hide = true)]
    StandIn {
        /// The component and its own flags
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
}

/// Runs the command line and tells how it ended.
pub fn run() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::StandIn { args } => return hakube_standins::run(args.into_iter()),
        Command::Local(local::Args {
            command: local::Command::Init { directory },
        }) => {
            return hakube_local::machine::init(&directory);
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

/// One thread: hakube waits for others most of its time.
fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::failed("could not start the runtime").because(error))
}

async fn dispatch(command: Command) -> Result<()> {
    match command {
        Command::Up(args) => up::run(args).await,
        Command::Replicate(args) => replicate::run(args).await,
        Command::Repair(args) => repair::run(args).await,
        Command::Replace(args) => replace::run(args).await,
        Command::Nodes(args) => nodes::run(args).await,
        Command::Down(args) => down::run(args).await,
        Command::Status(args) => status::run(args).await,
        Command::Plan(args) => plan::run(args).await,
        Command::Reconcile(args) => reconcile::run(args).await,
        Command::Abandon(args) => abandon::run(args).await,
        Command::History(args) => history::run(args).await,
        Command::State(args) => state::run(args).await,
        Command::Unlock(args) => unlock::run(args).await,
        Command::Certs(args) => certs::run(args).await,
        Command::Kubeconfig(args) => kubeconfig::run(args).await,
        Command::Env(args) => env::run(args),
        Command::Artifacts(args) => artifacts::run(args).await,
        Command::Local(args) => local::run(args).await,
        Command::Completions { .. } | Command::StandIn { .. } => Ok(()),
    }
}
