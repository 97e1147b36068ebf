//! Existing names: the cluster's own resources are fine, others are a conflict.

use crate::Gce;
use crate::link::name_in;
use crate::mark::ours;
use crate::network::is_of_network;
use crate::operation::look;
use futures::future::{BoxFuture, FutureExt as _, join_all};
use google_cloud_compute_v1::model;
use hakube_provider::{
    Attempt, BalancerSpec, EndpointSpec, ErrorKind, FirewallSpec, MachineRef, NetworkSpec,
    PreflightSpec, ProviderError, ResourceId, ResourceKind, Result, Scope,
};
use std::collections::BTreeSet;

/// The existing resources with names that will be used.
#[derive(Default)]
pub(super) struct Taken {
    /// Resources that exist and can stay.
    pub(super) there: BTreeSet<ResourceId>,
    /// Conflicts.
    pub(super) findings: Vec<ProviderError>,
}

/// Whether the resource exists and is usable.
type Look<'a> = BoxFuture<'a, (ResourceId, Result<bool>)>;

/// Reads a resource by name, and checks its owner and the given condition.
macro_rules! look_at {
    ($gce:ident, $cluster:expr, $kind:ident in region, $name:expr => $($get:tt)+) => {
        look_at!($gce, $cluster, ResourceId::new(ResourceKind::$kind, $gce.in_region(), $name);
            $($get)+, set_region(&$gce.config.region))
    };
    ($gce:ident, $cluster:expr, $kind:ident in $zone:ident, $name:expr => $($get:tt)+) => {
        look_at!($gce, $cluster, ResourceId::in_zone(ResourceKind::$kind, $zone, $name);
            $($get)+, set_zone($zone))
    };
    ($gce:ident, $cluster:expr, $kind:ident, $name:expr => $($get:tt)+) => {
        look_at!($gce, $cluster, ResourceId::new(ResourceKind::$kind, Scope::Global, $name);
            $($get)+)
    };
    (
        $gce:ident, $cluster:expr, $id:expr;
        $service:ident.$set_name:ident $(, $set_scope:ident($scope:expr))?
        $(; then $judge:expr)?
    ) => {{
        let (id, cluster) = ($id, $cluster);
        async move {
            let attempt = $gce.config.attempt("create", &id);
            let owner = $gce.config.owner(id.kind, cluster);
            let found = async {
                let get = $gce
                    .clients
                    .$service()
                    .await?
                    .get()
                    .set_project($gce.config.project_of(id.kind))
                    $(.$set_scope($scope))?
                    .$set_name(&id.name);
                let Some(found) = look(&attempt, get.send()).await? else {
                    return Ok(false);
                };
                let _found = ours(&attempt, &owner, found)?;
                $($judge(&attempt, &_found)?;)?
                Ok(true)
            };
            let found = found.await;
            let found = found.map_err(|error| $gce.config.for_the_host(id.kind, error));
            (id, found)
        }
        .boxed()
    }};
}

impl Gce {
    /// Checks the names of everything that will be created.
    pub(super) async fn taken(&self, spec: &PreflightSpec) -> Taken {
        let looks = self
            .foundation(spec)
            .into_iter()
            .chain(self.machines_and_groups(spec))
            .chain(self.balancing(spec));
        let mut taken = Taken::default();
        for (id, found) in join_all(looks).await {
            match found {
                Ok(true) => drop(taken.there.insert(id)),
                Ok(false) => {}
                Err(error) => taken.findings.push(error),
            }
        }
        taken
    }

    fn foundation<'a>(&'a self, spec: &'a PreflightSpec) -> Vec<Look<'a>> {
        let networks = spec.networks.iter().map(|it| self.network_there(it));
        let made: BTreeSet<&str> = spec
            .networks
            .iter()
            .filter_map(|network| Some(network.subnetwork.as_ref()?.0.as_str()))
            .collect();
        let used: BTreeSet<(&str, &str)> = spec
            .all_machines()
            .filter_map(|(machine, _)| Some((machine.subnetwork.as_deref()?, &*machine.network)))
            .collect();
        let subnetworks = used
            .into_iter()
            .map(|(name, network)| self.subnetwork(name, network, made.contains(name)));
        let firewalls = spec.firewalls.iter().map(|firewall| {
            let judge =
                |attempt: &Attempt, found: &model::Firewall| stays(attempt, firewall, found);
            look_at!(self, &firewall.cluster, Firewall, &firewall.name => firewalls.set_firewall; then judge)
        });
        let addresses = spec.addresses.iter().map(|address| {
            look_at!(self, &address.cluster, Address in region, &address.name => addresses.set_address)
        });
        networks
            .chain(subnetworks)
            .chain(firewalls)
            .chain(addresses)
            .collect()
    }

    fn machines_and_groups<'a>(&'a self, spec: &'a PreflightSpec) -> Vec<Look<'a>> {
        let mut looks: Vec<Look<'a>> = Vec::new();
        for machine in &spec.machines {
            let (of, MachineRef { name, zone }) = (&machine.cluster, &machine.machine);
            looks.push(look_at!(self, of, Machine in zone, name => instances.set_instance));
            if let Some(disk) = &machine.data_disk {
                looks.push(look_at!(self, of, Disk in zone, &disk.name => disks.set_disk));
            }
        }
        for group in &spec.node_groups {
            let (of, zone) = (&group.machine.cluster, &group.machine.machine.zone);
            looks.push(look_at!(self, of, NodeGroup in zone, &group.name =>
                instance_group_managers.set_instance_group_manager));
            looks.push(look_at!(self, of, MachineTemplate, &group.template =>
                instance_templates.set_instance_template));
        }
        looks
    }

    fn balancing<'a>(&'a self, spec: &'a PreflightSpec) -> Vec<Look<'a>> {
        let mut looks: Vec<Look<'a>> = Vec::new();
        for BalancerSpec { cluster, name, .. } in &spec.balancers {
            looks.push(look_at!(self, cluster, BackendService in region, name =>
                backend_services.set_backend_service));
            looks.push(look_at!(self, cluster, HealthCheck in region, name =>
                health_checks.set_health_check));
        }
        for EndpointSpec { cluster, rule, .. } in &spec.rules {
            looks.push(look_at!(self, cluster, ForwardingRule in region, rule =>
                forwarding_rules.set_forwarding_rule));
        }
        looks
    }

    /// Any network of that name is usable, regardless of its owner.
    fn network_there<'a>(&'a self, spec: &'a NetworkSpec) -> Look<'a> {
        async move {
            let id = ResourceId::new(ResourceKind::Network, Scope::Global, &spec.name);
            let attempt = self.config.attempt("use", &id);
            let found = if self.config.is_shared() {
                self.host_network_exists(&spec.name).await.map(|()| true)
            } else {
                let found = self.network(&attempt, &spec.name).await;
                found.map(|found| found.is_some())
            };
            (id, found)
        }
        .boxed()
    }

    fn subnetwork<'a>(&'a self, name: &'a str, network: &'a str, made: bool) -> Look<'a> {
        async move {
            let id = ResourceId::new(ResourceKind::Subnetwork, self.in_region(), name);
            let attempt = self.config.attempt("use", &id);
            let found = async {
                let get = self
                    .clients
                    .subnetworks()
                    .await?
                    .get()
                    .set_project(&self.config.network_project)
                    .set_region(&self.config.region)
                    .set_subnetwork(name);
                match look(&attempt, get.send()).await? {
                    Some(found) => is_of_network(&attempt, &found, network).map(|()| true),
                    None if made => Ok(false),
                    None => Err(attempt
                        .error(ErrorKind::Invalid, "the subnetwork doesn't exist")
                        .with_hint(if self.config.is_shared() {
                            "set SUBNETWORK to one of the network's subnetworks in this region; administrators of its project manage them"
                        } else {
                            "create it, or let hakube create it: CREATE_CUSTOM_NETWORK=true"
                        })),
                }
            };
            let found = found.await;
            let found = found.map_err(|error| self.config.for_the_host(id.kind, error));
            (id, found)
        }
        .boxed()
    }

    fn in_region(&self) -> Scope {
        Scope::Region(self.config.region.clone())
    }
}

/// A rule's ports and sources can be changed, but not its network.
fn stays(attempt: &Attempt, spec: &FirewallSpec, found: &model::Firewall) -> Result<()> {
    let network = name_in(found.network.as_deref().unwrap_or_default());
    if network == spec.network {
        return Ok(());
    }
    let message = format!(
        "it exists in network {network}, not in {}, and a rule can't be moved",
        spec.network
    );
    Err(attempt
        .error(ErrorKind::Conflict, message)
        .with_hint(format!(
            "if nothing needs it, run `gcloud compute firewall-rules delete {}`",
            spec.name
        )))
}
