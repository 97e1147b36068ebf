//! Shared VPC: the network is in another project, the host project.
//!
//! The host project has the network, its subnetworks and its firewall rules. Machines, disks, addresses,
//! balancers, templates and groups are in the cluster's own project, and refer to the network by full links.
//! Several projects can use one host project, and their clusters may have the same name. So the ownership
//! label of a resource in the host project includes the cluster's project.
//! Source: <https://cloud.google.com/vpc/docs/shared-vpc>.

use crate::Gce;
use crate::config::GceConfig;
use crate::error::{Fault, constraint_in};
use hakube_provider::{Attempt, ErrorKind, ProviderError, ResourceId, ResourceKind, Result, Scope};

impl GceConfig {
    /// Whether the network is in another project.
    pub(crate) fn is_shared(&self) -> bool {
        self.network_project != self.project
    }

    /// The project of resources of this kind.
    pub(crate) fn project_of(&self, kind: ResourceKind) -> &str {
        if belongs_to_network(kind) {
            &self.network_project
        } else {
            &self.project
        }
    }

    /// The owner in the labels of resources of this kind: the cluster, or `PROJECT/CLUSTER` in a
    /// host project. No cluster can have a name like that.
    pub(crate) fn owner(&self, kind: ResourceKind, cluster: &str) -> String {
        if self.is_shared() && belongs_to_network(kind) {
            format!("{}/{cluster}", self.project)
        } else {
            cluster.to_owned()
        }
    }

    /// Adjusts the hint of an error about such a resource: the host project's administrators grant
    /// permissions there.
    pub(crate) fn for_the_host(&self, kind: ResourceKind, error: ProviderError) -> ProviderError {
        let host = self.project_of(kind);
        // An organization policy violation isn't a missing permission.
        let by_policy = constraint_in(&error.message).is_some();
        if host == self.project || error.kind != ErrorKind::Denied || by_policy {
            return error;
        }
        error.with_hint(match kind {
            ResourceKind::Firewall => format!(
                "the account needs roles/compute.securityAdmin in project {host}, or the role in docs/gce.md: ask its administrators; or let them manage the rules: `hakube down`, then `up` with HAKUBE_FIREWALLS=false"
            ),
            _ => format!(
                "the account needs roles/compute.networkUser on the subnetwork: ask the administrators of project {host}"
            ),
        })
    }

    /// An attempt on a resource. Names its project if that isn't the cluster's.
    pub(crate) fn attempt(&self, action: &'static str, resource: &ResourceId) -> Attempt {
        match self.project_of(resource.kind) {
            project if project != self.project => {
                Attempt::new(action, format!("{resource} of project {project}"))
            }
            _ => Attempt::new(action, resource),
        }
    }
}

impl Gce {
    /// Ensures that the host project has a network of this name. An operator who may only use a
    /// subnetwork may not have permission to read the network. Its existence then follows from the
    /// subnetwork, which names it.
    pub(crate) async fn host_network_exists(&self, name: &str) -> Result<()> {
        let id = ResourceId::new(ResourceKind::Network, Scope::Global, name);
        let attempt = self.config.attempt("use", &id);
        match self.network(&attempt, name).await {
            Ok(Some(_)) => Ok(()),
            Err(error) if error.kind == ErrorKind::Denied => Ok(()),
            Err(error) => Err(error),
            Ok(None) => Err(attempt
                .error(ErrorKind::Invalid, "the network doesn't exist")
                .with_hint(format!(
                    "set KUBE_GCE_NETWORK to a network of project {} (NETWORK_PROJECT), whose administrators manage it: `gcloud compute networks list --project {0}`",
                    self.config.network_project
                ))),
        }
    }

    /// The finding that the cluster's project isn't attached to the host project, and so can't use
    /// its networks.
    pub(crate) async fn host_finding(&self) -> Option<ProviderError> {
        let GceConfig {
            project,
            network_project: host,
            ..
        } = &self.config;
        let attempt = Attempt::new("use", format!("the networks of project {host}"));
        let get = async {
            let client = self.clients.projects().await?;
            let get = client.get_xpn_host().set_project(project).send().await;
            get.map_err(|error| attempt.failed(&Fault::from(error)))
        };
        let tied_to = match get.await {
            Ok(tied_to) => tied_to.name,
            Err(error) if error.is_transient() => return Some(error),
            // Without permission to check this, the first call that needs the network will fail.
            Err(_) => return None,
        };
        let message = match tied_to.as_deref() {
            Some(name) if name == host => return None,
            None | Some("") => format!("project {project} doesn't use a Shared VPC"),
            Some(other) => format!("project {project} uses the Shared VPC of project {other}"),
        };
        Some(attempt.error(ErrorKind::Invalid, message).with_hint(format!(
            "correct NETWORK_PROJECT, or ask an administrator of the Shared VPC to run `gcloud compute shared-vpc associated-projects add {project} --host-project {host}`"
        )))
    }
}

fn belongs_to_network(kind: ResourceKind) -> bool {
    matches!(
        kind,
        ResourceKind::Network | ResourceKind::Subnetwork | ResourceKind::Firewall
    )
}
