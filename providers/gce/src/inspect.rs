//! Lists everything with a cluster's ownership label.
//!
//! Compute Engine filters the lists, and they are filtered again here: if a server ignores a
//! filter, another cluster's machine must not appear as ours.

use crate::Gce;
use crate::firewall::firewall;
use crate::link::name_in;
use crate::machine::machine;
use crate::mark::{GROUP_LABEL, Marked, description_filter, label_filter, ours_once};
use crate::operation::{every, every_zone, request};
use futures::future::try_join_all;
use google_cloud_compute_v1::model;
use google_cloud_gax::options::RequestOptionsBuilder as _;
use hakube_provider::{
    Address, Attempt, BackendGroup, Balancer, Disk, Inventory, NodeGroup, ProviderError,
    ResourceId, ResourceKind, Result, Scope,
};
use std::collections::BTreeSet;

/// The resources found, in Compute Engine's types.
#[derive(Debug, Default)]
struct Found {
    rules: Vec<model::ForwardingRule>,
    services: Vec<model::BackendService>,
    checks: Vec<model::HealthCheck>,
    groups: Vec<BackendGroup>,
    managers: Vec<model::InstanceGroupManager>,
    templates: Vec<model::InstanceTemplate>,
    instances: Vec<model::Instance>,
    disks: Vec<model::Disk>,
    addresses: Vec<model::Address>,
    firewalls: Vec<model::Firewall>,
    subnetworks: Vec<model::Subnetwork>,
    networks: Vec<model::Network>,
}

/// The owned resources of a service; in the region, if the service is regional.
macro_rules! list {
    ($gce:ident, $kind:ident, $cluster:ident, $service:ident $(, $set_region:ident)?) => {
        async {
            let project = $gce.config.project_of(ResourceKind::$kind);
            let owner = $gce.config.owner(ResourceKind::$kind, $cluster);
            let what = concat!("the ", stringify!($service), " of project");
            let attempt = Attempt::new("list", format!("{what} {project}"));
            let list = $gce
                .clients
                .$service()
                .await?
                .list()
                .set_project(project)
                $(.$set_region(&$gce.config.region))?
                .set_filter(description_filter(&owner));
            let all = every!(attempt, list);
            Ok::<_, ProviderError>(ours_once(&owner, all))
        }
    };
}

/// The owned resources of a service in all zones.
macro_rules! list_zones {
    ($gce:ident, $cluster:ident, $service:ident, $filter:ident) => {
        async {
            let all = every_zone!($gce.$service, $filter($cluster)).await?;
            Ok::<_, ProviderError>(ours_once($cluster, all))
        }
    };
}

impl Gce {
    /// See [`hakube_provider::Provider::inspect`].
    pub(crate) async fn inventory(&self, cluster: &str) -> Result<Inventory> {
        let (
            rules,
            services,
            checks,
            groups,
            managers,
            templates,
            instances,
            disks,
            addresses,
            firewalls,
            subnetworks,
            networks,
        ) = futures::try_join!(
            list!(self, ForwardingRule, cluster, forwarding_rules, set_region),
            list!(self, BackendService, cluster, backend_services, set_region),
            list!(self, HealthCheck, cluster, health_checks, set_region),
            self.backend_groups(cluster),
            list_zones!(self, cluster, instance_group_managers, description_filter),
            list!(self, MachineTemplate, cluster, instance_templates),
            self.marked_instances(cluster),
            list_zones!(self, cluster, disks, label_filter),
            list!(self, Address, cluster, addresses, set_region),
            self.marked_firewalls(cluster),
            self.marked_subnetworks(cluster),
            self.marked_networks(cluster),
        )?;
        let found = Found {
            rules,
            services,
            checks,
            groups,
            managers,
            templates,
            instances,
            disks,
            addresses,
            firewalls,
            subnetworks,
            networks,
        };
        found.inventory(&self.config.region)
    }

    async fn marked_firewalls(&self, cluster: &str) -> Result<Vec<model::Firewall>> {
        if !self.config.firewalls {
            return Ok(Vec::new());
        }
        let found = list!(self, Firewall, cluster, firewalls).await;
        found.map_err(|error| self.config.for_the_host(ResourceKind::Firewall, error))
    }

    /// In a Shared VPC, subnetworks aren't the cluster's, and the operator may not have permission
    /// to list them.
    async fn marked_subnetworks(&self, cluster: &str) -> Result<Vec<model::Subnetwork>> {
        if self.config.is_shared() {
            return Ok(Vec::new());
        }
        list!(self, Subnetwork, cluster, subnetworks, set_region).await
    }

    async fn marked_networks(&self, cluster: &str) -> Result<Vec<model::Network>> {
        if self.config.is_shared() {
            return Ok(Vec::new());
        }
        list!(self, Network, cluster, networks).await
    }

    /// The cluster's machines, including those of node groups.
    pub(crate) async fn marked_instances(&self, cluster: &str) -> Result<Vec<model::Instance>> {
        list_zones!(self, cluster, instances, label_filter).await
    }

    pub(crate) async fn backend_groups(&self, cluster: &str) -> Result<Vec<BackendGroup>> {
        let groups = list_zones!(self, cluster, instance_groups, description_filter).await?;
        let groups = groups.iter().map(|group| async {
            let name = owned(group.name.as_deref());
            let zone = last(group.zone.as_deref());
            let machines = self.group_machines(&zone, &name).await?;
            Ok(BackendGroup {
                name,
                zone,
                machines,
            })
        });
        try_join_all(groups).await
    }

    async fn group_machines(&self, zone: &str, name: &str) -> Result<Vec<String>> {
        let attempt = Attempt::new("list", format!("the machines of group {name} in {zone}"));
        let list = request!(self.instance_groups.list_instances in zone)
            .set_instance_group(name)
            .set_body(model::InstanceGroupsListInstancesRequest::new())
            // A read, although it is a POST.
            .with_idempotency(true);
        let mut machines: Vec<String> = every!(attempt, list)
            .iter()
            .map(|member| last(member.instance.as_deref()))
            .collect();
        machines.sort();
        Ok(machines)
    }
}

/// The last part of a link that may be missing.
fn last(link: Option<&str>) -> String {
    name_in(link.unwrap_or_default()).to_owned()
}

fn owned(name: Option<&str>) -> String {
    name.unwrap_or_default().to_owned()
}

/// The template that a group created the instance from. Compute Engine writes it into the instance's metadata.
/// <https://cloud.google.com/compute/docs/instance-groups/getting-info-about-migs>
fn template_of(instance: &model::Instance) -> Option<String> {
    let mut items = instance.metadata.as_ref()?.items.iter();
    let item = items.find(|item| item.key.as_deref() == Some("instance-template"))?;
    Some(last(item.value.as_deref()))
}

impl Found {
    /// Converts the resources to an inventory, and lists those that must be deleted individually.
    fn inventory(&self, region: &str) -> Result<Inventory> {
        let mut inventory = Inventory {
            address: self.addresses.iter().find_map(address),
            balancer: self.balancer(),
            node_groups: self.node_groups(),
            firewalls: self.firewalls.iter().map(firewall).collect(),
            resources: self.owners(region),
            ..Inventory::default()
        };
        for instance in &self.instances {
            let found = machine(&Attempt::new("read", "a machine"), instance)?;
            let group = found.labels.get(GROUP_LABEL);
            let owned = group.is_some_and(|group| {
                inventory
                    .node_groups
                    .iter()
                    .any(|owner| owner.name == *group && owner.zone == found.zone)
            });
            if !owned {
                inventory.resources.push(ResourceId::in_zone(
                    ResourceKind::Machine,
                    &found.zone,
                    &found.name,
                ));
            }
            if group.is_none() {
                inventory.machines.push(found);
            }
        }
        let boot_disks = self.boot_disks();
        for disk in &self.disks {
            let found = Disk {
                name: owned(disk.name.as_deref()),
                zone: last(disk.zone.as_deref()),
                user: disk.users.first().map(|user| name_in(user).to_owned()),
            };
            if boot_disks.contains(&(found.zone.clone(), found.name.clone())) {
                continue;
            }
            inventory.resources.push(ResourceId::in_zone(
                ResourceKind::Disk,
                &found.zone,
                &found.name,
            ));
            inventory.disks.push(found);
        }
        inventory.machines.sort_by(|a, b| a.name.cmp(&b.name));
        inventory.disks.sort_by(|a, b| a.name.cmp(&b.name));
        inventory.resources.sort();
        Ok(inventory)
    }

    fn balancer(&self) -> Balancer {
        Balancer {
            health_check: !self.checks.is_empty(),
            groups: self.groups.clone(),
            backends: self.services.first().map(|service| {
                service
                    .backends
                    .iter()
                    .map(|backend| last(backend.group.as_deref()))
                    .collect()
            }),
            forwarding: self
                .rules
                .iter()
                .find_map(|rule| rule.ip_address.as_ref()?.parse().ok()),
        }
    }

    fn node_groups(&self) -> Vec<NodeGroup> {
        let group = |manager: &model::InstanceGroupManager| {
            let name = owned(manager.name.as_deref());
            let zone = last(manager.zone.as_deref());
            let members = self.instances.iter().filter(|instance| {
                instance.labels.get(GROUP_LABEL) == Some(&name)
                    && last(instance.zone.as_deref()) == zone
            });
            let origins = members.clone().filter_map(|instance| {
                let template = template_of(instance)?;
                Some((owned(instance.name.as_deref()), template))
            });
            let origins = origins.collect();
            let mut machines: Vec<String> = members
                .map(|instance| owned(instance.name.as_deref()))
                .collect();
            machines.sort();
            let size = manager.target_size.unwrap_or_default();
            NodeGroup {
                name,
                zone,
                size: u32::try_from(size).unwrap_or_default(),
                template: last(manager.instance_template.as_deref()),
                machines,
                origins,
            }
        };
        self.managers.iter().map(group).collect()
    }

    /// Zones and names of the disks that are deleted with the machine that boots from them.
    fn boot_disks(&self) -> BTreeSet<(String, String)> {
        let of = |instance: &model::Instance| {
            let zone = last(instance.zone.as_deref());
            let boot = instance.disks.iter().filter(|disk| {
                disk.boot.unwrap_or_default() && disk.auto_delete.unwrap_or_default()
            });
            boot.map(|disk| (zone.clone(), last(disk.source.as_deref())))
                .collect::<Vec<_>>()
        };
        self.instances.iter().flat_map(of).collect()
    }

    /// All resources except machines and disks, which other resources may own.
    fn owners(&self, region: &str) -> Vec<ResourceId> {
        fn ids<T: Marked>(kind: ResourceKind, scope: &Scope, found: &[T]) -> Vec<ResourceId> {
            let names = found.iter().filter_map(Marked::name);
            let id = |name| ResourceId::new(kind, scope.clone(), name);
            names.map(id).collect()
        }
        let region = Scope::Region(region.to_owned());
        let groups = self
            .groups
            .iter()
            .map(|group| ResourceId::in_zone(ResourceKind::BackendGroup, &group.zone, &group.name));
        let managers = self.managers.iter().filter_map(|manager| {
            let zone = last(manager.zone.as_deref());
            Some(ResourceId::in_zone(
                ResourceKind::NodeGroup,
                zone,
                manager.name()?,
            ))
        });
        [
            ids(ResourceKind::ForwardingRule, &region, &self.rules),
            ids(ResourceKind::BackendService, &region, &self.services),
            ids(ResourceKind::HealthCheck, &region, &self.checks),
            groups.chain(managers).collect(),
            ids(
                ResourceKind::MachineTemplate,
                &Scope::Global,
                &self.templates,
            ),
            ids(ResourceKind::Address, &region, &self.addresses),
            ids(ResourceKind::Firewall, &Scope::Global, &self.firewalls),
            ids(ResourceKind::Subnetwork, &region, &self.subnetworks),
            ids(ResourceKind::Network, &Scope::Global, &self.networks),
        ]
        .concat()
    }
}

fn address(found: &model::Address) -> Option<Address> {
    Some(Address {
        name: found.name.clone()?,
        address: found.address.as_ref()?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests;
