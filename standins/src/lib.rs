//! Small stand-ins for Kubernetes components, for machines where the real ones can't be had.
//!
//! They take the real components' flags and certificates, so that everything around them (units,
//! kubeconfigs, etcd, load balancers, health checks) is exercised for real; they say what they are on
//! the first line of their log and in every version string. They run no containers.
//!
//! | component | what the stand-in does |
//! |---|---|
//! | `kube-apiserver` | authenticates, authorises, and keeps a few resources in the replica's own etcd |
//! | `kube-controller-manager` | holds its lease; its leader marks silent nodes `Unknown` |
//! | `kube-scheduler` | holds its lease |
//! | `kubelet` | registers its node and keeps its lease |

mod apiserver;
mod client;
mod controllers;
mod error;
mod flags;
mod kubelet;
mod leader_election;
mod serve;
mod tls;
mod version;

use std::ffi::{OsStr, OsString};
use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};

use crate::error::{Result, StartError};
use crate::flags::{COMMON, Flag, Flags};
pub use crate::kubelet::HOLLOW_LABEL;
pub use crate::version::VERSION_MARK;
use crate::version::Version;

/// The components that have a stand-in: the first argument of [`run`].
pub const COMPONENTS: [&str; 4] = [
    Component::ApiServer.name(),
    Component::ControllerManager.name(),
    Component::Scheduler.name(),
    Component::Kubelet.name(),
];

/// A component, as code has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Component {
    ApiServer,
    ControllerManager,
    Scheduler,
    Kubelet,
}

impl Component {
    const ALL: [Self; 4] = [
        Self::ApiServer,
        Self::ControllerManager,
        Self::Scheduler,
        Self::Kubelet,
    ];

    fn parse(name: &OsStr) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|component| name == component.name())
    }

    const fn name(self) -> &'static str {
        match self {
            Self::ApiServer => "kube-apiserver",
            Self::ControllerManager => "kube-controller-manager",
            Self::Scheduler => "kube-scheduler",
            Self::Kubelet => "kubelet",
        }
    }

    /// What the stand-in is short of, for the first line of its log.
    fn honesty(self) -> &'static str {
        match self {
            Self::ApiServer => {
                "it keeps a few kinds of objects in etcd; it has no admission, no RBAC evaluation, no pods"
            }
            Self::ControllerManager => {
                "it holds its lease and watches node leases; it runs no other controller"
            }
            Self::Scheduler => "it holds its lease; it schedules nothing",
            Self::Kubelet => "it registers its node and keeps its lease; it runs no pods",
        }
    }

    fn flags(self) -> &'static [&'static [Flag]] {
        match self {
            Self::ApiServer => &[flags::apiserver::FLAGS, COMMON],
            Self::ControllerManager => &[
                flags::controllers::CONTROLLER_MANAGER,
                flags::controllers::SHARED,
                COMMON,
            ],
            Self::Scheduler => &[
                flags::controllers::SCHEDULER,
                flags::controllers::SHARED,
                COMMON,
            ],
            Self::Kubelet => &[flags::kubelet::FLAGS, COMMON],
        }
    }
}

/// Runs the stand-in that `args` name: the component, then optionally `--stand-in-version=v1.36.0`,
/// then the component's own flags. Returns on SIGTERM or SIGINT (status 0) and on errors (status 1).
///
/// It takes over the process: it installs the TLS provider and, if there is none yet, a log to stderr.
pub fn run(args: impl Iterator<Item = OsString>) -> ExitCode {
    let mut args = args.peekable();
    let name = args.next().unwrap_or_default();
    let Some(component) = Component::parse(&name) else {
        eprintln!(
            "no stand-in for {:?}; there is one for each of: {}",
            name.to_string_lossy(),
            COMPONENTS.join(", ")
        );
        return ExitCode::FAILURE;
    };
    match start(component, args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("Error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn start(
    component: Component,
    mut args: std::iter::Peekable<impl Iterator<Item = OsString>>,
) -> Result<()> {
    let version = Version::take(&mut args)?;
    let flags = Flags::parse(component.name(), component.flags(), args)?;
    if flags.bool("help") || flags.given("version") {
        println!("Kubernetes {version}");
        return Ok(());
    }
    eprintln!(
        "this is hakube's stand-in for {} {}, not Kubernetes: {}",
        component.name(),
        version.kubernetes(),
        component.honesty()
    );
    log_to_stderr(&flags);
    // tonic and reqwest look for a process-wide provider.
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();

    // One thread: a stand-in is idle most of the time, and several share a small machine.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| StartError::System {
            what: "can't start the async runtime",
            source,
        })?;
    let outcome = runtime.block_on(async {
        tokio::select! {
            outcome = component_main(component, &flags, version) => outcome,
            outcome = stop_signal() => outcome,
        }
    });
    // Connections and blocking reads must not hold up an exit that was asked for.
    runtime.shutdown_background();
    outcome
}

/// `--v=4` and above adds each request; what the libraries have to say stays out of it.
fn log_to_stderr(flags: &Flags) {
    let verbose = flags
        .text("v")
        .and_then(|level| level.parse::<u32>().ok())
        .is_some_and(|level| level >= 4);
    let filter = if verbose {
        concat!("info,", env!("CARGO_CRATE_NAME"), "=debug")
    } else {
        "info"
    };
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::new(filter))
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_target(false)
        .try_init()
        .ok();
}

async fn component_main(component: Component, flags: &Flags, version: Version) -> Result<()> {
    match component {
        Component::ApiServer => apiserver::run(flags, version).await,
        Component::ControllerManager => controllers::controller_manager(flags).await,
        Component::Scheduler => controllers::scheduler(flags).await,
        Component::Kubelet => kubelet::run(flags, version).await,
    }
}

async fn stop_signal() -> Result<()> {
    let failed = |source| StartError::System {
        what: "can't wait for signals",
        source,
    };
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    tokio::select! {
        _ = terminate.recv() => tracing::info!("SIGTERM: stopping"),
        _ = interrupt.recv() => tracing::info!("SIGINT: stopping"),
    }
    Ok(())
}
