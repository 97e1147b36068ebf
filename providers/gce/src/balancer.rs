//! The balancer, without its address.
//!
//! A regional passthrough balancer, external or internal: an HTTPS health check, a backend service,
//! and one unmanaged instance group for each zone with a backend.

mod groups;

use crate::Gce;
use crate::link::name_in;
use crate::mark::ours;
use crate::operation::{change, look, request};
use futures::future::join_all;
use google_cloud_compute_v1::model;
use google_cloud_compute_v1::model::backend::BalancingMode;
use google_cloud_compute_v1::model::backend_service::{
    LoadBalancingScheme, Protocol, SessionAffinity,
};
use google_cloud_compute_v1::model::health_check::Type as CheckType;
pub(crate) use groups::{GroupChange, group_changes, surplus};
use hakube_provider::{
    Attempt, BackendGroup, BalancerSpec, Reach, ResourceId, ResourceKind, Result, mark_description,
};
use std::collections::BTreeSet;

/// The connection draining timeout of a removed backend, in seconds.
const DRAINING_SECONDS: i32 = 10;

impl Gce {
    /// See [`hakube_provider::Provider::ensure_balancer`].
    pub(crate) async fn put_balancer(&self, spec: &BalancerSpec) -> Result<()> {
        let (check, groups) =
            futures::join!(self.ensure_health_check(spec), self.ensure_groups(spec));
        check?;
        let (groups, changes) = groups?;
        self.ensure_backend_service(spec, &changes).await?;
        // A patch can't remove all backends, because Google's client doesn't send an empty list. So
        // the last groups stay as empty backends.
        if spec.backends.is_empty() {
            return Ok(());
        }
        let surplus = surplus(spec, &groups, &changes).into_iter().map(|group| {
            let resource =
                ResourceId::in_zone(ResourceKind::BackendGroup, &group.zone, &group.name);
            async move { self.gone(&spec.cluster, &resource).await }
        });
        join_all(surplus).await.into_iter().collect()
    }

    /// Returns the groups as they were, and the changes made.
    async fn ensure_groups(
        &self,
        spec: &BalancerSpec,
    ) -> Result<(Vec<BackendGroup>, Vec<GroupChange>)> {
        let groups = self.backend_groups(&spec.cluster).await?;
        let changes = group_changes(spec, &groups);
        let changed = join_all(changes.iter().map(|change| self.change_group(spec, change))).await;
        changed.into_iter().collect::<Result<()>>()?;
        Ok((groups, changes))
    }

    async fn ensure_health_check(&self, spec: &BalancerSpec) -> Result<()> {
        let attempt = self.regional_attempt("create", ResourceKind::HealthCheck, &spec.name);
        let get = request!(self.health_checks.get in region).set_health_check(&spec.name);
        let wanted = health_check(spec);
        let Some(found) = look(&attempt, get.send()).await? else {
            let insert = request!(self.health_checks.insert in region).set_body(wanted);
            return self.insert(&attempt, change!(insert)).await;
        };
        let found = ours(&attempt, &spec.cluster, found)?;
        if checks_the_same(&found, &wanted) {
            return Ok(());
        }
        let patch = request!(self.health_checks.patch in region)
            .set_health_check(&spec.name)
            .set_body(wanted);
        self.run(&attempt.to("update"), change!(patch)).await
    }

    async fn change_group(&self, spec: &BalancerSpec, change: &GroupChange) -> Result<()> {
        let BackendGroup { name, zone, .. } = &change.group;
        let attempt = Attempt::new("create", format!("backend group {name} in {zone}"));
        if change.make {
            let group = model::InstanceGroup::new()
                .set_name(name)
                .set_description(mark_description(&spec.cluster))
                .set_network(self.network_link(&spec.network));
            let insert = request!(self.instance_groups.insert in zone).set_body(group);
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
            let add = request!(self.instance_groups.add_instances in zone)
                .set_instance_group(name)
                .set_body(
                    model::InstanceGroupsAddInstancesRequest::new()
                        .set_instances(references(&change.add)),
                );
            self.run(&attempt.to("add machines to"), change!(add))
                .await?;
        }
        if !change.remove.is_empty() {
            let remove = request!(self.instance_groups.remove_instances in zone)
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

    async fn ensure_backend_service(
        &self,
        spec: &BalancerSpec,
        changes: &[GroupChange],
    ) -> Result<()> {
        let attempt = self.regional_attempt("create", ResourceKind::BackendService, &spec.name);
        let backends: Vec<_> = changes
            .iter()
            .filter(|change| !change.group.machines.is_empty())
            .map(|change| self.backend(&change.group))
            .collect();
        let Some(found) = self.backend_service(&attempt, &spec.name).await? else {
            let insert = request!(self.backend_services.insert in region)
                .set_body(self.backend_service_body(spec).set_backends(backends));
            return self.insert(&attempt, change!(insert)).await;
        };
        let found = ours(&attempt, &spec.cluster, found)?;
        if backends.is_empty() || group_names(&found.backends) == group_names(&backends) {
            return Ok(());
        }
        let patch = request!(self.backend_services.patch in region)
            .set_backend_service(&spec.name)
            .set_body(
                model::BackendService::new()
                    .set_backends(backends)
                    .set_or_clear_fingerprint(found.fingerprint),
            );
        self.update(&attempt.to("update"), change!(patch)).await
    }

    pub(crate) async fn backend_service(
        &self,
        attempt: &Attempt,
        name: &str,
    ) -> Result<Option<model::BackendService>> {
        let get = request!(self.backend_services.get in region).set_backend_service(name);
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
}

/// A backend is unhealthy two seconds after it stops responding, and healthy again with its next response.
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

fn checks_the_same(one: &model::HealthCheck, other: &model::HealthCheck) -> bool {
    let key = |check: &model::HealthCheck| {
        let https = check.https_health_check.clone().unwrap_or_default();
        (check.r#type.clone(), https.port, https.request_path)
    };
    key(one) == key(other)
}

fn group_names(backends: &[model::Backend]) -> BTreeSet<(Option<&str>, Option<&str>)> {
    backends
        .iter()
        .filter_map(|backend| backend.group.as_deref())
        .map(|link| (link.rsplit('/').nth(2), Some(name_in(link))))
        .collect()
}
