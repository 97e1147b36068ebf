//! Deleting: what is the cluster's, and nothing else.

use crate::Gce;
use crate::link::name_in;
use crate::mark::ours;
use crate::operation::{change, look};
use hakube_provider::{Attempt, ErrorKind, ResourceId, ResourceKind, Result, Scope};

/// Looks, checks the mark, deletes, waits. Expands to the result.
macro_rules! delete {
    (
        $gce:ident, $owned:ident, $attempt:ident,
        $service:ident.$set_name:ident($name:expr) $(, $set_scope:ident($scope:expr))?
        $(, unless $refuse:expr)?
    ) => {{
        let (project, owner) = &$owned;
        let client = $gce.clients.$service().await?;
        let get = client
            .get()
            .set_project(*project)
            $(.$set_scope($scope))?
            .$set_name($name);
        let Some(found) = look(&$attempt, get.send()).await? else {
            return Ok(());
        };
        let _found = ours(&$attempt, owner, found)?;
        $($refuse(&_found)?;)?
        let delete = client
            .delete()
            .set_project(*project)
            $(.$set_scope($scope))?
            .$set_name($name);
        $gce.remove(&$attempt, change!(delete)).await
    }};
}

impl Gce {
    /// See [`hakube_provider::Provider::delete`].
    pub(crate) async fn gone(&self, cluster: &str, resource: &ResourceId) -> Result<()> {
        let deleted = self.delete_resource(cluster, resource).await;
        deleted.map_err(|error| self.config.for_the_host(resource.kind, error))
    }

    async fn delete_resource(&self, cluster: &str, resource: &ResourceId) -> Result<()> {
        use ResourceKind as Kind;
        let attempt = self.config.attempt("delete", resource);
        let owned = (
            self.config.project_of(resource.kind),
            self.config.owner(resource.kind, cluster),
        );
        let name = &resource.name;
        match (resource.kind, &resource.scope) {
            (Kind::ForwardingRule, Scope::Region(region)) => {
                delete!(
                    self,
                    owned,
                    attempt,
                    forwarding_rules.set_forwarding_rule(name),
                    set_region(region)
                )
            }
            (Kind::BackendService, Scope::Region(region)) => {
                delete!(
                    self,
                    owned,
                    attempt,
                    backend_services.set_backend_service(name),
                    set_region(region)
                )
            }
            (Kind::HealthCheck, Scope::Region(region)) => {
                delete!(
                    self,
                    owned,
                    attempt,
                    health_checks.set_health_check(name),
                    set_region(region)
                )
            }
            (Kind::BackendGroup, Scope::Zone(zone)) => {
                delete!(
                    self,
                    owned,
                    attempt,
                    instance_groups.set_instance_group(name),
                    set_zone(zone)
                )
            }
            (Kind::NodeGroup, Scope::Zone(zone)) => {
                delete!(
                    self,
                    owned,
                    attempt,
                    instance_group_managers.set_instance_group_manager(name),
                    set_zone(zone)
                )
            }
            (Kind::MachineTemplate, Scope::Global) => {
                delete!(
                    self,
                    owned,
                    attempt,
                    instance_templates.set_instance_template(name)
                )
            }
            (Kind::Machine, Scope::Zone(zone)) => {
                delete!(
                    self,
                    owned,
                    attempt,
                    instances.set_instance(name),
                    set_zone(zone)
                )
            }
            (Kind::Disk, Scope::Zone(zone)) => {
                delete!(self, owned, attempt, disks.set_disk(name), set_zone(zone))
            }
            (Kind::Address, Scope::Region(region)) => {
                // Compute Engine would delete it in use, and give the address to the next who asks.
                let unless_used = |found: &google_cloud_compute_v1::model::Address| {
                    unused(&attempt, &found.users)
                };
                delete!(self, owned, attempt, addresses.set_address(name), set_region(region), unless unless_used)
            }
            (Kind::Firewall, Scope::Global) => {
                delete!(self, owned, attempt, firewalls.set_firewall(name))
            }
            (Kind::Subnetwork, Scope::Region(region)) => {
                delete!(
                    self,
                    owned,
                    attempt,
                    subnetworks.set_subnetwork(name),
                    set_region(region)
                )
            }
            (Kind::Network, Scope::Global) => {
                delete!(self, owned, attempt, networks.set_network(name))
            }
            (kind, scope) => {
                let message = format!("a {kind} doesn't live in scope {scope:?}");
                Err(attempt.error(ErrorKind::Invalid, message))
            }
        }
    }
}

/// Refuses an address that something uses.
fn unused(attempt: &Attempt, users: &[String]) -> Result<()> {
    let Some(user) = users.first() else {
        return Ok(());
    };
    let message = format!("{} still uses it, and would lose it", name_in(user));
    Err(attempt
        .error(ErrorKind::Transient { retry_after: None }, message)
        .with_hint("delete what uses it first"))
}
