//! The provider of a cluster's machines, connected.

use super::letters;
use super::session::Purpose;
use crate::channel::{Channel, LocalChannel};
use crate::error::{Error, Kind, Result};
use crate::settings::{ProviderKind, Settings};
use hakube_gce::{Auth, Gce, GceConfig, Patience, PollPace};
use hakube_local::client::{LocalCloud, StartOptions, Status};
use hakube_provider::{OperationKey, Provider};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A provider and the way onto its machines.
pub struct Backend {
    /// Makes machines.
    pub provider: Arc<dyn Provider>,
    /// Puts files on them.
    pub channel: Arc<dyn Channel>,
    /// Whether they share one loopback.
    pub shared_loopback: bool,
    /// How often a condition is looked at.
    pub pace: Duration,
}

/// The local cloud of a HAKUBE_HOME.
pub fn local_cloud(home: &Path) -> LocalCloud {
    LocalCloud::at(home.join("local"))
}

/// Connects to the provider.
///
/// # Errors
/// The provider can't be reached or isn't built yet; the local cloud isn't running.
pub async fn connect(
    settings: &Settings,
    kind: ProviderKind,
    region: &str,
    purpose: Purpose,
) -> Result<Backend> {
    match kind {
        ProviderKind::Local => local(settings, region, purpose).await,
        ProviderKind::Gce => Err(not_yet(
            "gce",
            "its machines get their secrets over ssh, and that channel isn't built yet",
        )),
        ProviderKind::Libvirt => Err(not_yet("libvirt", "it isn't built yet")),
    }
}

fn not_yet(provider: &str, why: &str) -> Error {
    Error::bad_input(format!("provider {provider} can't be used in this version"))
        .because(why)
        .hint("the local cloud runs the same commands: leave --provider out")
}

/// The Compute Engine provider, unchanged, against the local cloud's API.
async fn local(settings: &Settings, region: &str, purpose: Purpose) -> Result<Backend> {
    let cloud = local_cloud(&settings.home);
    let (status, operation) = match purpose {
        Purpose::Change(operation) => (start_local(settings, &cloud).await?, operation),
        Purpose::Look => (running(&cloud).await?, nobody_else()),
    };
    let provider = Gce::connect(GceConfig {
        project: status.project.clone(),
        region: region.to_owned(),
        endpoint: Some(status.url.clone()),
        auth: Auth::TokenFile(status.token_file.clone()),
        poll: PollPace {
            first: Duration::from_millis(2),
            max: Duration::from_millis(50),
        },
        patience: Patience {
            attempt: Duration::from_secs(5),
            operation: settings.timeout,
        },
        operation,
    })
    .await?;
    Ok(Backend {
        provider: Arc::new(provider),
        channel: Arc::new(LocalChannel::new(cloud)),
        shared_loopback: true,
        pace: Duration::from_millis(20),
    })
}

async fn running(cloud: &LocalCloud) -> Result<Status> {
    cloud.status().await.map_err(local_error)?.ok_or_else(|| {
        Error::new(Kind::Provider, "the local cloud isn't running").hint("hakube local start")
    })
}

/// Whoever only looks is no operation that another goes on with.
fn nobody_else() -> OperationKey {
    OperationKey {
        id: letters::random(16),
        resumed: false,
    }
}

/// Starts the local cloud as a daemon of this same program, once.
///
/// # Errors
/// It doesn't start; its log says why.
pub async fn start_local(settings: &Settings, cloud: &LocalCloud) -> Result<Status> {
    let hakube = std::env::current_exe()
        .map_err(|error| Error::failed("could not find this program's own file").because(error))?;
    let command = vec![
        hakube.into_os_string(),
        "local".into(),
        "serve".into(),
        "--home".into(),
        settings.home.clone().into_os_string(),
        "--time-scale".into(),
        settings.time_scale.to_string().into(),
    ];
    cloud
        .ensure_started(&StartOptions::new(command))
        .await
        .map_err(local_error)
}

/// The local cloud's errors are the provider's.
pub fn local_error(error: impl std::fmt::Display) -> Error {
    Error::new(Kind::Provider, "the local cloud doesn't do its part").because(error)
}
