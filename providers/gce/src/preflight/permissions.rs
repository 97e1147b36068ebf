//! Which permissions lack for what will be made.
//!
//! Compute Engine's own `testIamPermissions` methods answer for a resource that exists. Cloud Resource Manager's
//! answers for the project, in which everything is made: `projects.testIamPermissions`,
//! <https://cloud.google.com/resource-manager/reference/rest/v3/projects/testIamPermissions>. What is often given
//! for a resource alone (to use a subnetwork, an image, a service account) isn't asked for. Which method needs
//! which: <https://cloud.google.com/compute/docs/access/iam-permissions>.

use super::machines;
use crate::Gce;
use hakube_provider::{
    Attempt, ErrorKind, PreflightSpec, ProviderError, Reach, ResourceId, ResourceKind,
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
    /// One finding of all permissions that lack. None where nobody can be asked: the service isn't enabled in the
    /// project, or isn't reached.
    pub(super) async fn permission_finding(
        &self,
        spec: &PreflightSpec,
        there: &BTreeSet<ResourceId>,
    ) -> Option<ProviderError> {
        let manager = self.config.resource_manager.as_ref()?;
        let needed = needed(spec, there);
        if needed.is_empty() {
            return None;
        }
        let project = &self.config.project;
        let url = format!("{manager}/v3/projects/{project}:testIamPermissions");
        let body = json!({"permissions": needed});
        let asked = self.clients.rest().post::<Answer>(&url, &body);
        let answer = tokio::time::timeout(PATIENCE, asked).await.ok()?.ok()?;
        let lacking: Vec<&str> = needed
            .into_iter()
            .filter(|permission| !answer.permissions.contains(*permission))
            .collect();
        if lacking.is_empty() {
            return None;
        }
        let attempt = Attempt::new("make things in", format!("project {project}"));
        let message = format!("the account lacks {}", lacking.join(", "));
        Some(attempt.error(ErrorKind::Denied, message).with_hint(
            "give it roles/compute.admin in the project, or a role of its own with these (what can't be finished is taken back, so even `up` must be allowed to delete); if it has them under a condition, set HAKUBE_CHECK_PERMISSIONS=false",
        ))
    }
}

/// The permissions in the project that it takes to make what isn't there, and to take it back.
fn needed(spec: &PreflightSpec, there: &BTreeSet<ResourceId>) -> BTreeSet<&'static str> {
    let mut needed = BTreeSet::new();
    let mut add = |permissions: &[&'static str]| needed.extend(permissions);
    let is_there = |kind, name: &str| there.iter().any(|id| id.kind == kind && id.name == name);
    for network in &spec.networks {
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
