//! Names that are taken: by the cluster's own resources, which is well, or by someone else's.

use super::machines;
use crate::Gce;
use crate::link::name_in;
use crate::mark::ours;
use crate::network::is_of_network;
use crate::operation::look;
use futures::future::{BoxFuture, FutureExt as _, join_all};
use google_cloud_compute_v1::model;
use hakube_provider::{
    Attempt, ErrorKind, FirewallSpec, NetworkSpec, PreflightSpec, ProviderError, ResourceId,
    ResourceKind, Result, Scope,
};
use std::collections::BTreeSet;

/// What is there of what will be made.
#[derive(Default)]
pub(super) struct Taken {
    /// What is there already, and can stay.
    pub(super) there: BTreeSet<ResourceId>,
    /// What is there and in the way.
    pub(super) findings: Vec<ProviderError>,
}

/// Whether the resource is there and usable.
type Look<'a> = BoxFuture<'a, (ResourceId, Result<bool>)>;

/// Looks for a resource by its name, and judges it by its mark and by what else is said.
macro_rules! look_at {
    (
        $gce:ident, $cluster:expr, $id:expr,
        $service:ident.$set_name:ident $(, $set_scope:ident($scope:expr))?
        $(; then $judge:expr)?
    ) => {{
        let (id, cluster) = ($id, $cluster);
        async move {
            let attempt = $gce.config.attempt("make", &id);
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
    /// Looks for everything that will be made, by its name.
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
        let used: BTreeSet<(&str, &str)> = machines(spec)
            .filter_map(|(machine, _)| Some((machine.subnetwork.as_deref()?, &*machine.network)))
            .collect();
        let subnetworks = used
            .into_iter()
            .map(|(name, network)| self.subnetwork(name, network, made.contains(name)));
        let firewalls = spec.firewalls.iter().map(|firewall| {
            let id = id(ResourceKind::Firewall, Scope::Global, &firewall.name);
            let judge =
                |attempt: &Attempt, found: &model::Firewall| stays(attempt, firewall, found);
            look_at!(self, &firewall.cluster, id, firewalls.set_firewall; then judge)
        });
        let addresses = spec.addresses.iter().map(|address| {
            let id = id(ResourceKind::Address, self.in_region(), &address.name);
            let region = &self.config.region;
            look_at!(
                self,
                &address.cluster,
                id,
                addresses.set_address,
                set_region(region)
            )
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
            let (cluster, zone) = (&machine.cluster, &machine.machine.zone);
            let scope = Scope::Zone(zone.clone());
            let own = id(ResourceKind::Machine, scope.clone(), &machine.machine.name);
            looks.push(look_at!(
                self,
                cluster,
                own,
                instances.set_instance,
                set_zone(zone)
            ));
            if let Some(disk) = &machine.data_disk {
                let disk = id(ResourceKind::Disk, scope, &disk.name);
                looks.push(look_at!(
                    self,
                    cluster,
                    disk,
                    disks.set_disk,
                    set_zone(zone)
                ));
            }
        }
        for group in &spec.node_groups {
            let (cluster, zone) = (&group.machine.cluster, &group.machine.machine.zone);
            let own = id(
                ResourceKind::NodeGroup,
                Scope::Zone(zone.clone()),
                &group.name,
            );
            looks.push(look_at!(
                self,
                cluster,
                own,
                instance_group_managers.set_instance_group_manager,
                set_zone(zone)
            ));
            let template = id(
                ResourceKind::MachineTemplate,
                Scope::Global,
                &group.template,
            );
            looks.push(look_at!(
                self,
                cluster,
                template,
                instance_templates.set_instance_template
            ));
        }
        looks
    }

    fn balancing<'a>(&'a self, spec: &'a PreflightSpec) -> Vec<Look<'a>> {
        let region = &self.config.region;
        let mut looks: Vec<Look<'a>> = Vec::new();
        for balancer in &spec.balancers {
            let cluster = &balancer.cluster;
            let service = id(
                ResourceKind::BackendService,
                self.in_region(),
                &balancer.name,
            );
            looks.push(look_at!(
                self,
                cluster,
                service,
                backend_services.set_backend_service,
                set_region(region)
            ));
            let check = id(ResourceKind::HealthCheck, self.in_region(), &balancer.name);
            looks.push(look_at!(
                self,
                cluster,
                check,
                health_checks.set_health_check,
                set_region(region)
            ));
        }
        for endpoint in &spec.rules {
            let rule = id(
                ResourceKind::ForwardingRule,
                self.in_region(),
                &endpoint.rule,
            );
            looks.push(look_at!(
                self,
                &endpoint.cluster,
                rule,
                forwarding_rules.set_forwarding_rule,
                set_region(region)
            ));
        }
        looks
    }

    /// Any network of that name will do, whoever made it.
    fn network_there<'a>(&'a self, spec: &'a NetworkSpec) -> Look<'a> {
        async move {
            let id = id(ResourceKind::Network, Scope::Global, &spec.name);
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
            let id = id(ResourceKind::Subnetwork, self.in_region(), name);
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
                        .error(ErrorKind::Invalid, "there is no such subnetwork")
                        .with_hint(if self.config.is_shared() {
                            "SUBNETWORK names one of the network's in this region; administrators of its project make it"
                        } else {
                            "make it, or have it made: CREATE_CUSTOM_NETWORK=true"
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

fn id(kind: ResourceKind, scope: Scope, name: &str) -> ResourceId {
    ResourceId {
        kind,
        scope,
        name: name.to_owned(),
    }
}

/// A rule's ports and sources can be changed, its network can't.
fn stays(attempt: &Attempt, spec: &FirewallSpec, found: &model::Firewall) -> Result<()> {
    let network = name_in(found.network.as_deref().unwrap_or_default());
    if network == spec.network {
        return Ok(());
    }
    let message = format!(
        "it exists in network {network} and not in {}, and a rule can't be moved",
        spec.network
    );
    Err(attempt
        .error(ErrorKind::Conflict, message)
        .with_hint(format!(
            "`gcloud compute firewall-rules delete {}`, if nothing needs it",
            spec.name
        )))
}
