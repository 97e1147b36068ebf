//! A shared VPC: the network is another project's, the host's.
//!
//! There are the network, its subnetworks and its firewall rules; machines, disks, addresses, balancers, templates
//! and groups are in the cluster's own project and name those by their whole links. Several projects use one host,
//! and their clusters may have one name: the mark of what is made in the host has the project in it.
//! Source: <https://cloud.google.com/vpc/docs/shared-vpc>.

use crate::Gce;
use crate::config::GceConfig;
use crate::error::{Fault, constraint_in};
use hakube_provider::{Attempt, ErrorKind, ProviderError, ResourceId, ResourceKind, Result, Scope};

impl GceConfig {
    /// Whether the network is another project's.
    pub(crate) fn is_shared(&self) -> bool {
        self.network_project != self.project
    }

    /// The project that resources of this kind are in.
    pub(crate) fn project_of(&self, kind: ResourceKind) -> &str {
        if belongs_to_network(kind) {
            &self.network_project
        } else {
            &self.project
        }
    }

    /// Whose resources of this kind are, as their marks have it: the cluster, and in another project than its own
    /// `PROJECT/CLUSTER`, which no cluster can be called.
    pub(crate) fn owner(&self, kind: ResourceKind, cluster: &str) -> String {
        if self.is_shared() && belongs_to_network(kind) {
            format!("{}/{cluster}", self.project)
        } else {
            cluster.to_owned()
        }
    }

    /// The error of a call about such a resource. Who may do what in another project is for others to say.
    pub(crate) fn for_the_host(&self, kind: ResourceKind, error: ProviderError) -> ProviderError {
        let host = self.project_of(kind);
        // An organisation's policy is nobody's permission to lack.
        let by_policy = constraint_in(&error.message).is_some();
        if host == self.project || error.kind != ErrorKind::Denied || by_policy {
            return error;
        }
        error.with_hint(match kind {
            ResourceKind::Firewall => format!(
                "the account needs roles/compute.securityAdmin in project {host}, or the role in docs/gce.md: ask its administrators; or leave rules to them: `hakube down`, then HAKUBE_FIREWALLS=false with `up`"
            ),
            _ => format!(
                "the account needs roles/compute.networkUser on the subnetwork: ask the administrators of project {host}"
            ),
        })
    }

    /// An attempt on a resource, with its project where that is another one than the cluster's.
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
    /// The host has a network of that name. Who was given no more than the use of one subnetwork may not look at its
    /// network: then that it is there shows in the subnetwork, which names it.
    pub(crate) async fn host_network_exists(&self, name: &str) -> Result<()> {
        let id = ResourceId {
            kind: ResourceKind::Network,
            scope: Scope::Global,
            name: name.to_owned(),
        };
        let attempt = self.config.attempt("use", &id);
        match self.network(&attempt, name).await {
            Ok(Some(_)) => Ok(()),
            Err(error) if error.kind == ErrorKind::Denied => Ok(()),
            Err(error) => Err(error),
            Ok(None) => Err(attempt
                .error(ErrorKind::Invalid, "there is no such network")
                .with_hint(format!(
                    "KUBE_GCE_NETWORK names one of project {} (NETWORK_PROJECT), which its administrators make: `gcloud compute networks list --project {0}`",
                    self.config.network_project
                ))),
        }
    }

    /// That the cluster's project may use no network of the host's: the two aren't tied to each other.
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
            // Who may not ask learns it from the first call that is refused.
            Err(_) => return None,
        };
        let message = match tied_to.as_deref() {
            Some(name) if name == host => return None,
            None | Some("") => format!("project {project} uses no shared VPC"),
            Some(other) => format!("project {project} uses the shared VPC of project {other}"),
        };
        Some(attempt.error(ErrorKind::Invalid, message).with_hint(format!(
            "set NETWORK_PROJECT right, or have an administrator of the shared VPC run `gcloud compute shared-vpc associated-projects add {project} --host-project {host}`"
        )))
    }
}

fn belongs_to_network(kind: ResourceKind) -> bool {
    matches!(
        kind,
        ResourceKind::Network | ResourceKind::Subnetwork | ResourceKind::Firewall
    )
}
