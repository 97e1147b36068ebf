//! Links: partial URLs by which resources refer to each other, `projects/P/zones/Z/instances/I`.

use crate::Gce;

/// The name in a link: its last part.
pub(crate) fn name_in(link: &str) -> &str {
    link.rsplit('/').next().unwrap_or(link)
}

impl Gce {
    /// A link to a resource of a zone.
    pub(crate) fn zonal_link(&self, zone: &str, collection: &str, name: &str) -> String {
        let project = &self.config.project;
        format!("projects/{project}/zones/{zone}/{collection}/{name}")
    }

    /// A link to a resource of the provider's region.
    pub(crate) fn regional_link(&self, collection: &str, name: &str) -> String {
        let (project, region) = (&self.config.project, &self.config.region);
        format!("projects/{project}/regions/{region}/{collection}/{name}")
    }

    /// A link to a network, possibly in another project.
    pub(crate) fn network_link(&self, name: &str) -> String {
        let project = &self.config.network_project;
        format!("projects/{project}/global/networks/{name}")
    }

    /// A link to a network's subnetwork in the provider's region.
    pub(crate) fn subnetwork_link(&self, name: &str) -> String {
        let (project, region) = (&self.config.network_project, &self.config.region);
        format!("projects/{project}/regions/{region}/subnetworks/{name}")
    }

    /// A link to a global resource.
    pub(crate) fn global_link(&self, collection: &str, name: &str) -> String {
        let project = &self.config.project;
        format!("projects/{project}/global/{collection}/{name}")
    }
}
