//! Deletes resources that are the cluster's, and nothing else.

use crate::Gce;
use crate::link::name_in;
use crate::mark::ours;
use crate::operation::{change, look};
use hakube_provider::{Attempt, ErrorKind, ResourceId, ResourceKind, Result, Scope};

impl Gce {
    /// See [`hakube_provider::Provider::delete`].
    pub(crate) async fn gone(&self, cluster: &str, resource: &ResourceId) -> Result<()> {
        let deleted = self.delete_resource(cluster, resource).await;
        deleted.map_err(|error| self.config.for_the_host(resource.kind, error))
    }

    async fn delete_resource(&self, cluster: &str, resource: &ResourceId) -> Result<()> {
        use ResourceKind as Kind;
        let attempt = self.config.attempt("delete", resource);
        let project = self.config.project_of(resource.kind);
        let owner = self.config.owner(resource.kind, cluster);
        // Reads the resource, checks its ownership label, deletes it and waits.
        macro_rules! delete {
            (
                $service:ident.$set_name:ident $(, $set_scope:ident($scope:expr))?
                $(; unless $refuse:expr)?
            ) => {{
                let client = self.clients.$service().await?;
                let get = client.get().set_project(project).$set_name(&resource.name)
                    $(.$set_scope($scope))?;
                let Some(found) = look(&attempt, get.send()).await? else {
                    return Ok(());
                };
                let _found = ours(&attempt, &owner, found)?;
                $($refuse(&_found)?;)?
                let delete = client.delete().set_project(project).$set_name(&resource.name)
                    $(.$set_scope($scope))?;
                self.remove(&attempt, change!(delete)).await
            }};
        }
        match (resource.kind, &resource.scope) {
            (Kind::ForwardingRule, Scope::Region(region)) => {
                delete!(forwarding_rules.set_forwarding_rule, set_region(region))
            }
            (Kind::BackendService, Scope::Region(region)) => {
                delete!(backend_services.set_backend_service, set_region(region))
            }
            (Kind::HealthCheck, Scope::Region(region)) => {
                delete!(health_checks.set_health_check, set_region(region))
            }
            (Kind::BackendGroup, Scope::Zone(zone)) => {
                delete!(instance_groups.set_instance_group, set_zone(zone))
            }
            (Kind::NodeGroup, Scope::Zone(zone)) => {
                delete!(
                    instance_group_managers.set_instance_group_manager,
                    set_zone(zone)
                )
            }
            (Kind::MachineTemplate, Scope::Global) => {
                delete!(instance_templates.set_instance_template)
            }
            (Kind::Machine, Scope::Zone(zone)) => {
                delete!(instances.set_instance, set_zone(zone))
            }
            (Kind::Disk, Scope::Zone(zone)) => {
                delete!(disks.set_disk, set_zone(zone))
            }
            (Kind::Address, Scope::Region(region)) => {
                // Compute Engine would delete an address in use and could give it to another customer.
                let unless_used = |found: &google_cloud_compute_v1::model::Address| {
                    unused(&attempt, &found.users)
                };
                delete!(addresses.set_address, set_region(region); unless unless_used)
            }
            (Kind::Firewall, Scope::Global) => {
                delete!(firewalls.set_firewall)
            }
            (Kind::Subnetwork, Scope::Region(region)) => {
                delete!(subnetworks.set_subnetwork, set_region(region))
            }
            (Kind::Network, Scope::Global) => {
                delete!(networks.set_network)
            }
            (kind, scope) => {
                let message = format!("a {kind} can't be in scope {scope:?}");
                Err(attempt.error(ErrorKind::Invalid, message))
            }
        }
    }
}

/// Fails if something uses the address.
fn unused(attempt: &Attempt, users: &[String]) -> Result<()> {
    let Some(user) = users.first() else {
        return Ok(());
    };
    let message = format!("{} still uses it", name_in(user));
    Err(attempt
        .error(ErrorKind::TRANSIENT, message)
        .with_hint("delete that resource first"))
}
