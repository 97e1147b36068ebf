//! The balancer: everything but the address.
//!
//! A regional external passthrough balancer: an HTTPS health check, a backend service, and an unmanaged
//! group for each zone that has a backend.

use crate::Gce;
use crate::error::Attempt;
use crate::link::name_in;
use crate::mark::ours;
use crate::operation::{change, look};
use futures::future::join_all;
use google_cloud_compute_v1::model;
use google_cloud_compute_v1::model::backend::BalancingMode;
use google_cloud_compute_v1::model::backend_service::{
    LoadBalancingScheme, Protocol, SessionAffinity,
};
use google_cloud_compute_v1::model::health_check::Type as CheckType;
use hakube_provider::{
    BackendGroup, BalancerSpec, ResourceId, ResourceKind, Result, Scope, mark_description,
};
use std::collections::{BTreeMap, BTreeSet};

/// How long connections to a backend that was taken out may live on, in seconds.
const DRAINING_SECONDS: i32 = 10;

/// The groups as they should be and what that takes.
#[derive(Debug, PartialEq, Eq)]
struct GroupChange {
    group: BackendGroup,
    make: bool,
    add: Vec<String>,
    remove: Vec<String>,
}

impl Gce {
    /// See [`hakube_provider::Provider::ensure_balancer`].
    pub(crate) async fn balancer_exists(&self, spec: &BalancerSpec) -> Result<()> {
        let (check, groups) = futures::join!(
            self.health_check_exists(spec),
            self.backend_groups(&spec.cluster)
        );
        check?;
        let groups = groups?;
        let changes = group_changes(spec, &groups);
        let changed = join_all(changes.iter().map(|change| self.change_group(spec, change))).await;
        changed.into_iter().collect::<Result<()>>()?;
        self.backend_service_exists(spec, &changes).await?;
        // A backend service can't be patched to have no backends at all (an empty list isn't sent), so
        // that its last groups stay, empty: they are backends without a machine.
        if spec.backends.is_empty() {
            return Ok(());
        }
        let surplus = surplus(spec, &groups, &changes).into_iter().map(|group| {
            let resource = ResourceId {
                kind: ResourceKind::BackendGroup,
                scope: Scope::Zone(group.zone.clone()),
                name: group.name.clone(),
            };
            async move { self.gone(&spec.cluster, &resource).await }
        });
        join_all(surplus).await.into_iter().collect()
    }

    async fn health_check_exists(&self, spec: &BalancerSpec) -> Result<()> {
        let attempt = self.regional_attempt("create", ResourceKind::HealthCheck, &spec.name);
        let client = self.clients.health_checks().await?;
        let get = client
            .get()
            .set_project(&self.config.project)
            .set_region(&self.config.region)
            .set_health_check(&spec.name);
        let wanted = health_check(spec);
        let Some(found) = look(&attempt, get.send()).await? else {
            let insert = client
                .insert()
                .set_project(&self.config.project)
                .set_region(&self.config.region)
                .set_body(wanted);
            return self.insert(&attempt, change!(insert)).await;
        };
        let found = ours(&attempt, &spec.cluster, found)?;
        if asks_the_same(&found, &wanted) {
            return Ok(());
        }
        let patch = client
            .patch()
            .set_project(&self.config.project)
            .set_region(&self.config.region)
            .set_health_check(&spec.name)
            .set_body(wanted);
        self.run(&attempt.to("update"), change!(patch)).await
    }

    async fn change_group(&self, spec: &BalancerSpec, change: &GroupChange) -> Result<()> {
        let BackendGroup { name, zone, .. } = &change.group;
        let attempt = Attempt::new("create", format!("backend group {name} in {zone}"));
        let client = self.clients.instance_groups().await?;
        if change.make {
            let group = model::InstanceGroup::new()
                .set_name(name)
                .set_description(mark_description(&spec.cluster))
                .set_network(self.global_link("networks", &spec.network));
            let insert = client
                .insert()
                .set_project(&self.config.project)
                .set_zone(zone)
                .set_body(group);
            self.insert(&attempt, change!(insert)).await?;
        }
        let references = |machines: &[String]| {
            machines
                .iter()
                .map(|machine| {
                    model::InstanceReference::new().set_instance(self.zonal_link(
                        zone,
                        "instances",
                        machine,
                    ))
                })
                .collect::<Vec<_>>()
        };
        if !change.add.is_empty() {
            let add = client
                .add_instances()
                .set_project(&self.config.project)
                .set_zone(zone)
                .set_instance_group(name)
                .set_body(
                    model::InstanceGroupsAddInstancesRequest::new()
                        .set_instances(references(&change.add)),
                );
            self.run(&attempt.to("add machines to"), change!(add))
                .await?;
        }
        if !change.remove.is_empty() {
            let remove = client
                .remove_instances()
                .set_project(&self.config.project)
                .set_zone(zone)
                .set_instance_group(name)
                .set_body(
                    model::InstanceGroupsRemoveInstancesRequest::new()
                        .set_instances(references(&change.remove)),
                );
            self.run(&attempt.to("remove machines from"), change!(remove))
                .await?;
        }
        Ok(())
    }

    async fn backend_service_exists(
        &self,
        spec: &BalancerSpec,
        changes: &[GroupChange],
    ) -> Result<()> {
        let attempt = self.regional_attempt("create", ResourceKind::BackendService, &spec.name);
        let client = self.clients.backend_services().await?;
        let backends: Vec<_> = changes
            .iter()
            .filter(|change| !change.group.machines.is_empty())
            .map(|change| self.backend(&change.group))
            .collect();
        let Some(found) = self.backend_service(&attempt, &spec.name).await? else {
            let insert = client
                .insert()
                .set_project(&self.config.project)
                .set_region(&self.config.region)
                .set_body(self.backend_service_body(spec).set_backends(backends));
            return self.insert(&attempt, change!(insert)).await;
        };
        let found = ours(&attempt, &spec.cluster, found)?;
        if backends.is_empty() || group_names(&found.backends) == group_names(&backends) {
            return Ok(());
        }
        let patch = client
            .patch()
            .set_project(&self.config.project)
            .set_region(&self.config.region)
            .set_backend_service(&spec.name)
            .set_body(
                model::BackendService::new()
                    .set_backends(backends)
                    .set_or_clear_fingerprint(found.fingerprint),
            );
        self.run(&attempt.to("update"), change!(patch)).await
    }

    /// The backend service of that name.
    pub(crate) async fn backend_service(
        &self,
        attempt: &Attempt,
        name: &str,
    ) -> Result<Option<model::BackendService>> {
        let get = self
            .clients
            .backend_services()
            .await?
            .get()
            .set_project(&self.config.project)
            .set_region(&self.config.region)
            .set_backend_service(name);
        look(attempt, get.send()).await
    }

    fn backend_service_body(&self, spec: &BalancerSpec) -> model::BackendService {
        model::BackendService::new()
            .set_name(&spec.name)
            .set_description(mark_description(&spec.cluster))
            .set_load_balancing_scheme(LoadBalancingScheme::External)
            .set_protocol(Protocol::Tcp)
            .set_session_affinity(SessionAffinity::None)
            .set_connection_draining(
                model::ConnectionDraining::new().set_draining_timeout_sec(DRAINING_SECONDS),
            )
            .set_health_checks([self.regional_link("healthChecks", &spec.name)])
    }

    fn backend(&self, group: &BackendGroup) -> model::Backend {
        model::Backend::new()
            .set_group(self.zonal_link(&group.zone, "instanceGroups", &group.name))
            .set_balancing_mode(BalancingMode::Connection)
    }

    /// An attempt on a resource of the provider's region.
    pub(crate) fn regional_attempt(
        &self,
        action: &'static str,
        kind: ResourceKind,
        name: &str,
    ) -> Attempt {
        Attempt::new(action, format!("{kind} {name} in {}", self.config.region))
    }
}

/// A backend is out two seconds after it stops to answer, and back as soon as it does again.
fn health_check(spec: &BalancerSpec) -> model::HealthCheck {
    model::HealthCheck::new()
        .set_name(&spec.name)
        .set_description(mark_description(&spec.cluster))
        .set_type(CheckType::Https)
        .set_check_interval_sec(1)
        .set_timeout_sec(1)
        .set_healthy_threshold(1)
        .set_unhealthy_threshold(2)
        .set_https_health_check(
            model::HTTPSHealthCheck::new()
                .set_port(i32::from(spec.port))
                .set_request_path(&spec.health_path),
        )
}

fn asks_the_same(one: &model::HealthCheck, other: &model::HealthCheck) -> bool {
    let question = |check: &model::HealthCheck| {
        let https = check.https_health_check.clone().unwrap_or_default();
        (check.r#type.clone(), https.port, https.request_path)
    };
    question(one) == question(other)
}

fn group_names(backends: &[model::Backend]) -> BTreeSet<(Option<&str>, Option<&str>)> {
    backends
        .iter()
        .filter_map(|backend| backend.group.as_deref())
        .map(|link| (link.rsplit('/').nth(2), Some(name_in(link))))
        .collect()
}

/// What it takes to have a group for each zone with exactly its backends, and no machine in the groups of
/// other zones.
fn group_changes(spec: &BalancerSpec, found: &[BackendGroup]) -> Vec<GroupChange> {
    let mut wanted: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for backend in &spec.backends {
        wanted
            .entry(&backend.zone)
            .or_default()
            .insert(&backend.name);
    }
    for group in found.iter().filter(|group| is_of(spec, group)) {
        wanted.entry(&group.zone).or_default();
    }
    let change = |(zone, machines): (&str, BTreeSet<&str>)| {
        let there = found
            .iter()
            .find(|group| group.zone == zone && is_of(spec, group));
        let present: BTreeSet<&str> = there
            .iter()
            .flat_map(|group| group.machines.iter().map(String::as_str))
            .collect();
        let names = |set: BTreeSet<&str>| set.into_iter().map(str::to_owned).collect::<Vec<_>>();
        GroupChange {
            make: there.is_none(),
            add: names(&machines - &present),
            remove: names(&present - &machines),
            group: BackendGroup {
                name: format!("{}-{zone}", spec.name),
                zone: zone.to_owned(),
                machines: names(machines),
            },
        }
    };
    wanted.into_iter().map(change).collect()
}

/// Whether it is one of this balancer's groups.
fn is_of(spec: &BalancerSpec, group: &BackendGroup) -> bool {
    group
        .name
        .strip_prefix(&spec.name)
        .and_then(|rest| rest.strip_prefix('-'))
        == Some(&group.zone)
}

/// The groups that no machine is left in.
fn surplus<'a>(
    spec: &BalancerSpec,
    found: &'a [BackendGroup],
    changes: &[GroupChange],
) -> Vec<&'a BackendGroup> {
    let empty = |group: &BackendGroup| {
        changes
            .iter()
            .any(|change| change.group.zone == group.zone && change.group.machines.is_empty())
    };
    found
        .iter()
        .filter(|group| is_of(spec, group) && empty(group))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hakube_provider::MachineRef;

    fn spec(backends: &[(&str, &str)]) -> BalancerSpec {
        BalancerSpec {
            cluster: "kubernetes".into(),
            name: "kubernetes-master".into(),
            network: "default".into(),
            port: 6443,
            health_path: "/readyz".into(),
            backends: backends
                .iter()
                .map(|(zone, name)| MachineRef {
                    name: (*name).into(),
                    zone: (*zone).into(),
                })
                .collect(),
        }
    }

    fn group(zone: &str, machines: &[&str]) -> BackendGroup {
        BackendGroup {
            name: format!("kubernetes-master-{zone}"),
            zone: zone.into(),
            machines: machines.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn each_zone_gets_a_group_of_its_own() {
        let changes = group_changes(
            &spec(&[("z-b", "m-1"), ("z-c", "m-2"), ("z-b", "m-3")]),
            &[],
        );
        assert_eq!(changes.len(), 2);
        assert!(changes.iter().all(|change| change.make));
        assert_eq!(changes[0].group, group("z-b", &["m-1", "m-3"]));
        assert_eq!(changes[0].add, ["m-1", "m-3"]);
        assert_eq!(changes[1].add, ["m-2"]);
    }

    #[test]
    fn what_is_there_already_is_not_touched() {
        let spec = spec(&[("z-b", "m-1"), ("z-c", "m-2")]);
        let found = [group("z-b", &["m-1"]), group("z-c", &["m-2"])];
        let changes = group_changes(&spec, &found);
        assert!(
            changes
                .iter()
                .all(|c| !c.make && c.add.is_empty() && c.remove.is_empty())
        );
        assert!(surplus(&spec, &found, &changes).is_empty());
    }

    #[test]
    fn a_group_without_backends_is_emptied_and_surplus() {
        let spec = spec(&[("z-b", "m-1")]);
        let found = [group("z-b", &["m-1", "m-9"]), group("z-c", &["m-2"])];
        let changes = group_changes(&spec, &found);
        assert_eq!(changes[0].remove, ["m-9"]);
        assert_eq!(changes[1].remove, ["m-2"]);
        assert_eq!(surplus(&spec, &found, &changes), [&found[1]]);
    }

    #[test]
    fn groups_of_another_balancer_are_not_this_ones() {
        let mut other = group("z-b", &["m-1"]);
        other.name = "kubernetes-master-2-z-b".into();
        let changes = group_changes(&spec(&[]), &[other]);
        assert!(changes.is_empty(), "{changes:?}");
    }
}
