//! A cluster's provider, connected.

mod hosts;
#[cfg(feature = "libvirt")]
mod libvirt;

use super::connect::{Backend, Purpose};
use super::letters;
use hakube_channel::{self as channel, Advice, LocalChannel, SshChannel};
use hakube_error::{Error, Kind, Result};
use hakube_gce::{Auth, Gce, GceConfig, GoogleLogin, Patience, PollPace, RESOURCE_MANAGER};
use hakube_local_client::{LocalCloud, StartOptions, Status};
use hakube_model::ClusterSpec;
use hakube_model::ProviderKind;
use hakube_pki::Authorities;
use hakube_provider::{Login, OperationKey, Provider};
use hakube_settings::Settings;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

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
        ProviderKind::Hosts => hosts::connect(spec, settings.timeout),
        #[cfg(feature = "libvirt")]
        ProviderKind::Libvirt => libvirt::connect(spec, authorities, settings.timeout),
        #[cfg(not(feature = "libvirt"))]
        ProviderKind::Libvirt => Err(without_libvirt()),
    }
}

#[cfg(not(feature = "libvirt"))]
fn without_libvirt() -> Error {
    Error::bad_input("this hakube is built without libvirt support")
        .because("with it, hakube doesn't start on hosts without libvirt's library")
        .hint("build hakube with libvirt: apt-get install libvirt-dev pkg-config; cargo build --features libvirt")
}

/// How often to poll, in a cloud whose operations take time.
const PACE: Duration = Duration::from_secs(1);
/// Compute Engine allows 10 queries of a machine's guest attributes a minute.
/// <https://cloud.google.com/compute/docs/metadata/manage-guest-attributes>
const ASKING_PACE: Duration = Duration::from_secs(7);
/// How often to poll, in a cloud whose operations finish at once.
const QUICK: Duration = Duration::from_millis(20);

const ADVICE: Advice = Advice {
    refused: "check that the machine's metadata has ssh-keys, and that no policy overrides it (OS Login)",
    unreachable: "check that a firewall rule admits this host on that port: --ssh-source",
};

/// Compute Engine or its emulator, with SSH access to the machines.
async fn gce(
    settings: &Settings,
    spec: &ClusterSpec,
    authorities: &Authorities,
    purpose: Purpose,
) -> Result<Backend> {
    let project = spec.project.clone().ok_or_else(|| {
        Error::bad_input(format!("cluster {} has no project", spec.cluster))
            .hint("set it: --project ID")
    })?;
    let key = authorities.login().ok_or_else(|| {
        Error::failed(format!(
            "cluster {} has no SSH key for its machines",
            spec.cluster
        ))
        .because("a version of hakube without SSH support created it")
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
            // An emulator doesn't check permissions.
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
        local_cloud: None,
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
        local_cloud: Some(status.id),
        shared_loopback: true,
        pace: QUICK,
    })
}

async fn running(cloud: &LocalCloud) -> Result<Status> {
    cloud.status().await.map_err(local_error)?.ok_or_else(|| {
        Error::new(Kind::Provider, "the local cloud isn't running").hint("hakube local start")
    })
}

/// A key for read-only commands. No other command resumes their operations.
fn nobody_else() -> OperationKey {
    OperationKey {
        id: letters::random(16),
        resumed: false,
    }
}

/// Starts the local cloud as a daemon of this program, unless it runs.
///
/// # Errors
/// The local cloud doesn't start.
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

/// A local cloud's error, as a provider error.
pub fn local_error(error: impl std::fmt::Display) -> Error {
    Error::new(Kind::Provider, "the local cloud failed").because(error)
}
