//! Small stand-ins for Kubernetes components, for machines where the real ones aren't available.
//!
//! They take the real components' flags and certificates, so everything around them (units, kubeconfigs,
//! etcd, load balancers, health checks) is the real thing. The first line of their log and every version
//! string identify them. They run no containers.
//!
//! | component | what the stand-in does |
//! |---|---|
//! | `kube-apiserver` | authenticates, authorises, and stores config maps, secrets, nodes, leases and cluster role bindings in the replica's own etcd |
//! | `kube-controller-manager` | holds its lease; its leader marks silent nodes `Unknown` |
//! | `kube-scheduler` | holds its lease |
//! | `kubelet` | joins by TLS bootstrap, registers its node and keeps its lease |
//!
//! The API server reads and writes whole objects, as hakube, `kubectl get`, `create` and `delete` do. It has no
//! watches, no selectors other than equality, and no validation.

mod apiserver;
mod client;
mod controllers;
mod flags;
mod kubelet;
mod version;

use std::ffi::{OsStr, OsString};
use std::process::ExitCode;

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::flags::Flags;
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

/// The error is the last line of the log.
type Result<T, E = String> = std::result::Result<T, E>;

/// A component.
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

    /// The stand-in's limitations, for the first line of its log.
    fn honesty(self) -> &'static str {
        match self {
            Self::ApiServer => {
                "it stores a few kinds of objects in etcd; it has no watches, no RBAC evaluation, no pods"
            }
            Self::ControllerManager => {
                "it holds its lease and watches node leases; it runs no other controller"
            }
            Self::Scheduler => "it holds its lease; it schedules nothing",
            Self::Kubelet => "it registers its node and keeps its lease; it runs no pods",
        }
    }
}

/// Runs the stand-in that `args` name: the component, then optionally `--stand-in-version=v1.36.0`, then the
/// component's own flags. Returns on errors (status 1), and on SIGTERM or SIGINT (status 0), which
/// `--shutdown-delay-duration` delays.
///
/// It takes over the process: it installs the TLS provider and, if there is none yet, a log to stderr.
pub fn run(mut args: impl Iterator<Item = OsString>) -> ExitCode {
    let name = args.next().unwrap_or_default();
    let Some(component) = Component::parse(&name) else {
        eprintln!(
            "no stand-in for {:?}; available are: {}",
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

fn start(component: Component, args: impl Iterator<Item = OsString>) -> Result<()> {
    let mut args = args.peekable();
    let version = Version::take(&mut args)?;
    let table = match component {
        Component::ApiServer => flags::API_SERVER,
        Component::ControllerManager => flags::CONTROLLER_MANAGER,
        Component::Scheduler => flags::SCHEDULER,
        Component::Kubelet => flags::KUBELET,
    };
    let flags = Flags::parse(table, args)?;
    eprintln!(
        "this is hakube's stand-in for {} {}, not Kubernetes: {}",
        component.name(),
        version.kubernetes(),
        component.honesty()
    );
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::new("info"))
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_target(false)
        .try_init()
        .ok();
    // tonic and kube need a process-wide provider.
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();

    // One thread: a stand-in is mostly idle, and several share a small machine.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("can't start the async runtime: {error}"))?;
    let outcome = runtime.block_on(async {
        let stopping = CancellationToken::new();
        let delay = flags.span("shutdown-delay-duration", 0);
        tokio::select! {
            outcome = component_main(component, &flags, version, stopping.clone()) => outcome,
            outcome = stop(&stopping, delay) => outcome,
        }
    });
    // Open connections and blocking reads must not delay the exit.
    runtime.shutdown_background();
    outcome
}

async fn component_main(
    component: Component,
    flags: &Flags,
    version: Version,
    stopping: CancellationToken,
) -> Result<()> {
    match component {
        Component::ApiServer => apiserver::run(flags, version, stopping).await,
        Component::ControllerManager => controllers::controller_manager(flags).await,
        Component::Scheduler => controllers::scheduler(flags).await,
        Component::Kubelet => kubelet::run(flags, &version).await,
    }
}

/// Returns `delay` after the signal to stop, which cancels `stopping` at once.
async fn stop(stopping: &CancellationToken, delay: Duration) -> Result<()> {
    stop_signal().await?;
    stopping.cancel();
    tokio::time::sleep(delay).await;
    Ok(())
}

async fn stop_signal() -> Result<()> {
    let failed = |error| format!("can't wait for signals: {error}");
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    tokio::select! {
        _ = terminate.recv() => tracing::info!("SIGTERM: stopping"),
        _ = interrupt.recv() => tracing::info!("SIGINT: stopping"),
    }
    Ok(())
}
