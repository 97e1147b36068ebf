//! Which permissions lack for what will be made.
//!
//! Compute Engine's own `testIamPermissions` methods answer for a resource that exists. Cloud Resource Manager's
//! answers for the project, in which everything is made: `projects.testIamPermissions`,
//! <https://cloud.google.com/resource-manager/reference/rest/v3/projects/testIamPermissions>. What is often given
//! for a resource alone (to use a subnetwork, an image, a service account) isn't asked for, but for a shared
//! subnetwork, which is there and can be asked itself. Which method needs
//! which: <https://cloud.google.com/compute/docs/access/iam-permissions>.

use super::machines;
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

/// How long the answer may take. It is worth a moment, and not more: the calls themselves tell, too.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, Default, Deserialize)]
struct Answer {
    /// Those of the ones asked about that the caller has.
    #[serde(default)]
    permissions: BTreeSet<String>,
}

impl Gce {
    /// A finding of all permissions that lack, for each project that things are made in, and each shared
    /// subnetwork. None where nobody can be asked: the service isn't enabled in the project, or isn't reached.
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
            let finding = self.lacking_in(project, all, "roles/compute.admin").await;
            return finding.into_iter().collect();
        }
        let (own, in_host, in_subnetworks) = futures::join!(
            self.lacking_in(project, own, "roles/compute.admin"),
            self.lacking_in(host, on_network, "roles/compute.securityAdmin"),
            self.lacking_in_subnetworks(spec),
        );
        own.into_iter()
            .chain(in_host)
            .chain(in_subnetworks)
            .collect()
    }

    async fn lacking_in(
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
        let lacking = self.lacking(&url, needed).await?;
        let attempt = Attempt::new("make things in", format!("project {project}"));
        Some(attempt.error(ErrorKind::Denied, lacking).with_hint(format!(
            "give it {role} in project {project}, or a role of its own with these (what can't be finished is taken back, so even `up` must be allowed to delete); if it has them under a condition, set HAKUBE_CHECK_PERMISSIONS=false",
        )))
    }

    /// Whoever uses a host's network may be given no more than single subnetworks of it.
    async fn lacking_in_subnetworks(&self, spec: &PreflightSpec) -> Vec<ProviderError> {
        let used = machines(spec).filter_map(|(machine, _)| machine.subnetwork.as_deref());
        let used: BTreeSet<&str> = used.collect();
        let is_external = |machine: &MachineSpec| machine.external != ExternalAddress::None;
        let mut needed = BTreeSet::from(["compute.subnetworks.use"]);
        if machines(spec).any(|(machine, _)| is_external(machine)) {
            needed.insert("compute.subnetworks.useExternalIp");
        }
        let findings = used.into_iter().map(|name| {
            let needed = needed.clone();
            async move {
                let id = ResourceId {
                    kind: ResourceKind::Subnetwork,
                    scope: Scope::Region(self.config.region.clone()),
                    name: name.to_owned(),
                };
                let path = format!("{}/testIamPermissions", self.subnetwork_link(name));
                let url = self.clients.rest().compute(&path);
                let lacking = self.lacking(&url, needed).await?;
                let attempt = self.config.attempt("use", &id);
                Some(attempt.error(ErrorKind::Denied, lacking).with_hint(
                    "have an administrator of the shared VPC give it roles/compute.networkUser on the subnetwork",
                ))
            }
        });
        join_all(findings).await.into_iter().flatten().collect()
    }

    /// The permissions in the network's project that it takes to make what isn't there, and to take it back.
    fn needed_on_network(
        &self,
        spec: &PreflightSpec,
        there: &BTreeSet<ResourceId>,
    ) -> BTreeSet<&'static str> {
        let mut needed = BTreeSet::new();
        let mut add = |permissions: &[&'static str]| needed.extend(permissions);
        let is_there = |kind, name: &str| there.iter().any(|id| id.kind == kind && id.name == name);
        // A host's network is its administrators' to make.
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

    /// Which of these the account lacks, in words.
    async fn lacking(&self, url: &str, needed: BTreeSet<&'static str>) -> Option<String> {
        let body = json!({"permissions": needed});
        let asked = self.clients.rest().post::<Answer>(url, &body);
        let answer = tokio::time::timeout(PATIENCE, asked).await.ok()?.ok()?;
        let lacking: Vec<&str> = needed
            .into_iter()
            .filter(|permission| !answer.permissions.contains(*permission))
            .collect();
        (!lacking.is_empty()).then(|| format!("the account lacks {}", lacking.join(", ")))
    }
}

/// The permissions in the cluster's own project that it takes to make all the rest, and to take it back.
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
    for (machine, _) in machines(spec) {
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
