//! Google's clients, one per service. Each is built on first use, because it has its own
//! connections and root certificates.

use crate::auth::Login;
use crate::config::{GceConfig, Patience};
use crate::error::sentence;
use crate::rest::Rest;
use crate::retry;
use google_cloud_auth::credentials::Credentials;
use google_cloud_compute_v1::client::{
    Addresses, Disks, Firewalls, ForwardingRules, GlobalOperations, Images, InstanceGroupManagers,
    InstanceGroups, InstanceTemplates, Instances, MachineTypes, Networks, Projects,
    RegionBackendServices, RegionHealthChecks, RegionOperations, Regions, Subnetworks,
    ZoneOperations, Zones,
};
use google_cloud_gax::client_builder::{ClientBuilder, Error};
use google_cloud_gax::retry_policy::RetryPolicy;
use hakube_provider::{Attempt, ErrorKind, ProviderError, Result};
use tokio::sync::OnceCell;

macro_rules! clients {
    ($($service:ident: $Client:ident),+ $(,)?) => {
        /// The clients used so far.
        pub(crate) struct Clients {
            endpoint: Option<String>,
            patience: Patience,
            login: Login,
            rest: Rest,
            $($service: OnceCell<$Client>,)+
        }

        impl Clients {
            /// Builds no client yet.
            pub(crate) fn new(config: &GceConfig, login: Login) -> Self {
                let (endpoint, patience) = (config.endpoint.clone(), config.patience);
                let rest = Rest::new(config, login.clone());
                Self { endpoint, patience, login, rest, $($service: OnceCell::new(),)+ }
            }

            $(pub(crate) async fn $service(&self) -> Result<&$Client> {
                self.$service
                    .get_or_try_init(|| async { self.set_up($Client::builder()).build().await })
                    .await
                    .map_err(|error| not_built(stringify!($Client), &error))
            })+
        }
    };
}

clients! {
    addresses: Addresses,
    backend_services: RegionBackendServices,
    disks: Disks,
    firewalls: Firewalls,
    forwarding_rules: ForwardingRules,
    global_operations: GlobalOperations,
    health_checks: RegionHealthChecks,
    images: Images,
    instance_groups: InstanceGroups,
    instance_group_managers: InstanceGroupManagers,
    instance_templates: InstanceTemplates,
    instances: Instances,
    machine_types: MachineTypes,
    networks: Networks,
    projects: Projects,
    region_operations: RegionOperations,
    regions: Regions,
    subnetworks: Subnetworks,
    zone_operations: ZoneOperations,
    zones: Zones,
}

impl Clients {
    /// For calls that Google's clients can't make.
    pub(crate) fn rest(&self) -> &Rest {
        &self.rest
    }

    /// The retry policy of `operations.wait`.
    pub(crate) fn wait_policy(&self) -> impl RetryPolicy + 'static + use<> {
        retry::wait_policy(self.login.clone(), self.patience)
    }

    fn set_up<F>(&self, builder: ClientBuilder<F, Credentials>) -> ClientBuilder<F, Credentials> {
        let builder = builder
            .with_credentials(self.login.credentials())
            .with_attempt_timeout(self.patience.of_attempt())
            .with_retry_policy(retry::policy(self.login.clone(), self.patience))
            .with_backoff_policy(retry::backoff());
        match &self.endpoint {
            Some(endpoint) => builder.with_endpoint(endpoint),
            None => builder,
        }
    }
}

/// Google's clients need root certificates even for plain HTTP.
fn not_built(service: &str, error: &Error) -> ProviderError {
    let attempt = Attempt::new("build", format!("a client of {service}"));
    let failed = attempt.error(ErrorKind::Fatal, sentence(error));
    if error.is_transport() {
        return failed.with_hint(
            "check that the package ca-certificates is installed and that the endpoint is a valid URL",
        );
    }
    failed
}
