//! The provider of a cluster's machines, connected.

mod hosts;
#[cfg(feature = "libvirt")]
mod libvirt;

use super::letters;
use super::session::Purpose;
use crate::channel::{self, Advice, Channel, LocalChannel, SshChannel};
use crate::cluster::ClusterSpec;
use crate::error::{Error, Kind, Result};
use crate::pki::Authorities;
use crate::settings::{ProviderKind, Settings};
use hakube_gce::{Auth, Gce, GceConfig, GoogleLogin, Patience, PollPace, RESOURCE_MANAGER};
use hakube_local::client::{LocalCloud, StartOptions, Status};
use hakube_provider::{Login, OperationKey, Provider};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A provider and the way onto its machines.
pub struct Backend {
    /// Makes machines.
    pub provider: Arc<dyn Provider>,
    /// The way onto them.
    pub channel: Arc<dyn Channel>,
    /// Who may log in on new ones, where that way is by login.
    pub login: Option<Login>,
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
/// The provider can't be reached, or isn't part of this program; the local cloud isn't running.
pub async fn connect(
    settings: &Settings,
    spec: &ClusterSpec,
    authorities: &Authorities,
    purpose: Purpose,
) -> Result<Backend> {
    match spec.provider {
        ProviderKind::Local => local(settings, spec.zone.region(), purpose).await,
        ProviderKind::Gce => gce(settings, spec, authorities, purpose).await,
        ProviderKind::Hosts => hosts::connect(spec),
        #[cfg(feature = "libvirt")]
        ProviderKind::Libvirt => libvirt::connect(spec, authorities),
        #[cfg(not(feature = "libvirt"))]
        ProviderKind::Libvirt => Err(without_libvirt()),
    }
}

#[cfg(not(feature = "libvirt"))]
fn without_libvirt() -> Error {
    Error::bad_input("this hakube can't make machines with libvirt")
        .because("it was built without: where libvirt isn't installed it would not even start")
        .hint("build one with it: apt-get install libvirt-dev pkg-config; cargo build --features libvirt")
}

/// How often it is looked whether something has happened in a cloud that takes its time.
const PACE: Duration = Duration::from_secs(1);
/// Compute Engine answers 10 questions a minute about a machine's guest attributes.
/// <https://cloud.google.com/compute/docs/metadata/manage-guest-attributes>
const ASKING_PACE: Duration = Duration::from_secs(7);
/// The same for clouds whose operations take no time.
const QUICK: Duration = Duration::from_millis(20);

const ADVICE: Advice = Advice {
    refused: "see that the machine's metadata has the item ssh-keys, and that no policy overrides it (OS Login)",
    unreachable: "see that a firewall rule lets this host in on that port: --ssh-source",
};

/// Compute Engine itself, or an emulator of it as if it were; its machines by ssh.
async fn gce(
    settings: &Settings,
    spec: &ClusterSpec,
    authorities: &Authorities,
    purpose: Purpose,
) -> Result<Backend> {
    let project = spec.project.clone().ok_or_else(|| {
        Error::bad_input(format!(
            "the project of cluster {} isn't known",
            spec.cluster
        ))
        .hint("--project ID")
    })?;
    let key = authorities.login().ok_or_else(|| {
        Error::failed(format!(
            "cluster {} has no key that logs in on machines",
            spec.cluster
        ))
        .because("it was made by a version of hakube that had no ssh")
    })?;
    let is_quick = spec.is_on_this_host();
    let (pace, asking_pace) = if is_quick {
        (QUICK, QUICK)
    } else {
        (PACE, ASKING_PACE)
    };
    let provider: Arc<dyn Provider> = Arc::new(
        Gce::connect(GceConfig {
            network_project: match &spec.network.host_project {
                Some(host) => host.clone(),
                None => project.clone(),
            },
            project,
            firewalls: spec.has_firewalls(),
            region: spec.zone.region().to_owned(),
            endpoint: spec.compute_endpoint.clone(),
            // It knows nothing of who may do what at an emulator.
            resource_manager: (settings.google.check_permissions
                && spec.compute_endpoint.is_none())
            .then(|| RESOURCE_MANAGER.to_owned()),
            auth: match &settings.compute_token_file {
                Some(file) => Auth::TokenFile(file.clone()),
                None => Auth::Google(GoogleLogin {
                    file: settings.google.file.clone(),
                    gcloud: settings.google.gcloud.clone(),
                    metadata: None,
                    impersonate: settings.google.impersonate.clone(),
                }),
            },
            poll: if is_quick {
                QUICK_POLL
            } else {
                PollPace::default()
            },
            patience: Patience {
                operation: settings.timeout,
                ..Patience::default()
            },
            operation: match purpose {
                Purpose::Change(operation) => operation,
                Purpose::Look => nobody_else(),
            },
        })
        .await?,
    );
    Ok(Backend {
        channel: Arc::new(SshChannel::new(
            key,
            Arc::clone(&provider),
            asking_pace,
            ADVICE,
        )?),
        login: Some(Login {
            user: channel::USER.to_owned(),
            public_key: key.public.clone(),
        }),
        shared_loopback: spec.is_on_this_host(),
        provider,
        pace,
    })
}

const QUICK_POLL: PollPace = PollPace {
    first: Duration::from_millis(2),
    max: Duration::from_millis(50),
};

/// The Compute Engine provider, unchanged, against the local cloud's API.
async fn local(settings: &Settings, region: &str, purpose: Purpose) -> Result<Backend> {
    let cloud = local_cloud(&settings.home);
    let (status, operation) = match purpose {
        Purpose::Change(operation) => (start_local(settings, &cloud).await?, operation),
        Purpose::Look => (running(&cloud).await?, nobody_else()),
    };
    let provider = Gce::connect(GceConfig {
        project: status.project.clone(),
        network_project: status.project.clone(),
        firewalls: true,
        region: region.to_owned(),
        endpoint: Some(status.url.clone()),
        resource_manager: None,
        auth: Auth::TokenFile(status.token_file.clone()),
        poll: QUICK_POLL,
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
        login: None,
        shared_loopback: true,
        pace: QUICK,
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
