//! The balancer: everything but the address.
//!
//! A regional passthrough balancer, external or internal: an HTTPS health check, a backend service, and an unmanaged
//! group for each zone that has a backend.

mod groups;

use crate::Gce;
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
pub(crate) use groups::{GroupChange, group_changes, surplus};
use hakube_provider::{
    Attempt, BackendGroup, BalancerSpec, Reach, ResourceId, ResourceKind, Result, Scope,
    mark_description,
};
use std::collections::BTreeSet;

/// How long connections to a backend that was taken out may live on, in seconds.
const DRAINING_SECONDS: i32 = 10;

impl Gce {
    /// See [`hakube_provider::Provider::ensure_balancer`].
    pub(crate) async fn balancer_exists(&self, spec: &BalancerSpec) -> Result<()> {
        let (check, groups) =
            futures::join!(self.health_check_exists(spec), self.groups_exist(spec));
        check?;
        let (groups, changes) = groups?;
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

    /// The groups as they were, and what was changed.
    async fn groups_exist(
        &self,
        spec: &BalancerSpec,
    ) -> Result<(Vec<BackendGroup>, Vec<GroupChange>)> {
        let groups = self.backend_groups(&spec.cluster).await?;
        let changes = group_changes(spec, &groups);
        let changed = join_all(changes.iter().map(|change| self.change_group(spec, change))).await;
        changed.into_iter().collect::<Result<()>>()?;
        Ok((groups, changes))
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
                .set_network(self.network_link(&spec.network));
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
        self.update(&attempt.to("update"), change!(patch)).await
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
        let scheme = match spec.reach {
            Reach::Anywhere => LoadBalancingScheme::External,
            Reach::Within { .. } => LoadBalancingScheme::Internal,
        };
        model::BackendService::new()
            .set_name(&spec.name)
            .set_description(mark_description(&spec.cluster))
            .set_load_balancing_scheme(scheme)
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
