//! Finds missing permissions.
//!
//! Compute Engine's `testIamPermissions` methods work only on existing resources. Cloud Resource
//! Manager's works on the project that everything is created in: `projects.testIamPermissions`,
//! <https://cloud.google.com/resource-manager/reference/rest/v3/projects/testIamPermissions>.
//! Permissions that are often granted on a single resource (to use a subnetwork, an image, a
//! service account) aren't checked. An exception is a shared subnetwork, which exists and can be
//! queried itself. The permissions that each method needs:
//! <https://cloud.google.com/compute/docs/access/iam-permissions>.

use crate::Gce;
use crate::config::GceConfig;
use futures::future::join_all;
use hakube_provider::{
    Attempt, ErrorKind, ExternalAddress, MachineSpec, PreflightSpec, ProviderError, Reach,
    ResourceId, ResourceKind, Scope,
};
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;

/// The timeout. The check isn't worth a longer wait, because the calls themselves would report
/// missing permissions too.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, Default, Deserialize)]
struct Answer {
    /// The permissions that the caller has, of those queried.
    #[serde(default)]
    permissions: BTreeSet<String>,
}

impl Gce {
    /// A finding with all missing permissions, for each project and each shared subnetwork. Empty if they
    /// can't be queried, because the service isn't enabled in the project or is unreachable.
    pub(super) async fn permission_findings(
        &self,
        spec: &PreflightSpec,
        there: &BTreeSet<ResourceId>,
    ) -> Vec<ProviderError> {
        if self.config.resource_manager.is_none() {
            return Vec::new();
        }
        let GceConfig {
            project,
            network_project: host,
            ..
        } = &self.config;
        let (own, on_network) = (needed(spec), self.needed_on_network(spec, there));
        if !self.config.is_shared() {
            let all = own.into_iter().chain(on_network).collect();
            let finding = self.missing_in(project, all, "roles/compute.admin").await;
            return finding.into_iter().collect();
        }
        let (own, in_host, in_subnetworks) = futures::join!(
            self.missing_in(project, own, "roles/compute.admin"),
            self.missing_in(host, on_network, "roles/compute.securityAdmin"),
            self.missing_in_subnetworks(spec),
        );
        own.into_iter()
            .chain(in_host)
            .chain(in_subnetworks)
            .collect()
    }

    async fn missing_in(
        &self,
        project: &str,
        needed: BTreeSet<&'static str>,
        role: &str,
    ) -> Option<ProviderError> {
        let manager = self.config.resource_manager.as_ref()?;
        if needed.is_empty() {
            return None;
        }
        let url = format!("{manager}/v3/projects/{project}:testIamPermissions");
        let missing = self.missing(&url, needed).await?;
        let attempt = Attempt::new("create resources in", format!("project {project}"));
        Some(attempt.error(ErrorKind::Denied, missing).with_hint(format!(
            "grant it {role} in project {project}, or a custom role with these permissions (some delete: hakube removes what it can't finish); if it has them only under a condition, set HAKUBE_CHECK_PERMISSIONS=false",
        )))
    }

    /// In a Shared VPC, permissions may be granted on individual subnetworks only.
    async fn missing_in_subnetworks(&self, spec: &PreflightSpec) -> Vec<ProviderError> {
        let used = spec
            .all_machines()
            .filter_map(|(machine, _)| machine.subnetwork.as_deref());
        let used: BTreeSet<&str> = used.collect();
        let is_external = |machine: &MachineSpec| machine.external != ExternalAddress::None;
        let mut needed = BTreeSet::from(["compute.subnetworks.use"]);
        if spec.all_machines().any(|(machine, _)| is_external(machine)) {
            needed.insert("compute.subnetworks.useExternalIp");
        }
        let findings = used.into_iter().map(|name| {
            let needed = needed.clone();
            async move {
                let id = ResourceId::new(ResourceKind::Subnetwork, Scope::Region(self.config.region.clone()), name);
                let path = format!("{}/testIamPermissions", self.subnetwork_link(name));
                let url = self.clients.rest().compute(&path);
                let missing = self.missing(&url, needed).await?;
                let attempt = self.config.attempt("use", &id);
                Some(attempt.error(ErrorKind::Denied, missing).with_hint(
                    "ask an administrator of the Shared VPC to grant it roles/compute.networkUser on the subnetwork",
                ))
            }
        });
        join_all(findings).await.into_iter().flatten().collect()
    }

    /// The permissions in the network's project to create missing resources, and to delete them for
    /// a rollback.
    fn needed_on_network(
        &self,
        spec: &PreflightSpec,
        there: &BTreeSet<ResourceId>,
    ) -> BTreeSet<&'static str> {
        let mut needed = BTreeSet::new();
        let mut add = |permissions: &[&'static str]| needed.extend(permissions);
        let is_there = |kind, name: &str| there.iter().any(|id| id.kind == kind && id.name == name);
        // A Shared VPC's network is managed by its administrators.
        let networks = spec.networks.iter().filter(|_| !self.config.is_shared());
        for network in networks {
            if !is_there(ResourceKind::Network, &network.name) {
                add(&["compute.networks.create", "compute.networks.delete"]);
            }
            if let Some((name, _)) = &network.subnetwork
                && !is_there(ResourceKind::Subnetwork, name)
            {
                add(&["compute.subnetworks.create", "compute.subnetworks.delete"]);
            }
        }
        if !spec.firewalls.is_empty() {
            add(&[
                "compute.firewalls.create",
                "compute.firewalls.delete",
                "compute.firewalls.update",
                "compute.networks.updatePolicy",
            ]);
        }
        needed
    }

    /// A message with the permissions that the account is missing.
    async fn missing(&self, url: &str, needed: BTreeSet<&'static str>) -> Option<String> {
        let body = json!({"permissions": needed});
        let request = self.clients.rest().post::<Answer>(url, &body);
        let answer = tokio::time::timeout(PATIENCE, request).await.ok()?.ok()?;
        let missing: Vec<&str> = needed
            .into_iter()
            .filter(|permission| !answer.permissions.contains(*permission))
            .collect();
        (!missing.is_empty()).then(|| format!("the account is missing {}", missing.join(", ")))
    }
}

/// The permissions in the cluster's project to create everything else, and to delete it for a rollback.
fn needed(spec: &PreflightSpec) -> BTreeSet<&'static str> {
    let mut needed = BTreeSet::new();
    let mut add = |permissions: &[&'static str]| needed.extend(permissions);
    for address in &spec.addresses {
        add(match address.reach {
            Reach::Anywhere => &[
                "compute.addresses.create",
                "compute.addresses.delete",
                "compute.addresses.use",
            ],
            Reach::Within { .. } => &[
                "compute.addresses.createInternal",
                "compute.addresses.deleteInternal",
                "compute.addresses.useInternal",
            ],
        });
    }
    for (machine, _) in spec.all_machines() {
        add(&[
            "compute.disks.create",
            "compute.instances.create",
            "compute.instances.delete",
            "compute.instances.setLabels",
            "compute.instances.setMetadata",
            "compute.instances.setTags",
        ]);
        if !machine.scopes.is_empty() {
            add(&["compute.instances.setServiceAccount"]);
        }
        if machine.data_disk.is_some() {
            add(&[
                "compute.disks.delete",
                "compute.disks.setLabels",
                "compute.disks.use",
            ]);
        }
        if machine.login.is_some() {
            add(&["compute.instances.getGuestAttributes"]);
        }
    }
    if !spec.balancers.is_empty() {
        add(&[
            "compute.instanceGroups.create",
            "compute.instanceGroups.delete",
            "compute.instanceGroups.update",
            "compute.instanceGroups.use",
            "compute.instances.use",
            "compute.regionBackendServices.create",
            "compute.regionBackendServices.delete",
            "compute.regionBackendServices.update",
            "compute.regionHealthChecks.create",
            "compute.regionHealthChecks.delete",
            "compute.regionHealthChecks.useReadOnly",
        ]);
    }
    for rule in &spec.rules {
        add(&[
            "compute.forwardingRules.create",
            "compute.forwardingRules.delete",
            "compute.regionBackendServices.use",
        ]);
        add(match rule.reach {
            Reach::Anywhere => &[
                "compute.instances.addAccessConfig",
                "compute.instances.deleteAccessConfig",
            ],
            Reach::Within { .. } => &["compute.instances.updateNetworkInterface"],
        });
    }
    if !spec.node_groups.is_empty() {
        add(&[
            "compute.instanceGroupManagers.create",
            "compute.instanceGroupManagers.delete",
            "compute.instanceGroupManagers.update",
            "compute.instanceTemplates.create",
            "compute.instanceTemplates.delete",
            "compute.instanceTemplates.useReadOnly",
        ]);
    }
    needed
}
