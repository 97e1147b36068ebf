//! The calls that a change would make, for plans. Pure.
//!
//! This reuses the pure decisions of the methods that make the calls, and repeats the others. An end-to-end
//! test compares the result with the requests that the emulator received (tests/e2e/planned_calls.rs).

use crate::Gce;
use crate::balancer::{GroupChange, group_changes, surplus};
use crate::config::GceConfig;
use crate::endpoint::{self, Call, NicChange};
use hakube_provider::{
    BalancerSpec, Change, EndpointSpec, EndpointTarget, Inventory, MachineRef, MachineSpec, Method,
    NetworkSpec, NodeGroupSpec, ResourceId, ResourceKind, Scope, WireCall,
};

impl Gce {
    /// See [`hakube_provider::Provider::calls_for`].
    pub(crate) fn wire_calls(&self, change: &Change<'_>, there: &Inventory) -> Vec<WireCall> {
        Paths(&self.config).of(change, there)
    }
}

struct Paths<'a>(&'a GceConfig);

impl Paths<'_> {
    fn of(&self, change: &Change<'_>, there: &Inventory) -> Vec<WireCall> {
        match *change {
            Change::Network(spec) => self.network(spec, there),
            Change::Firewall(spec) => {
                let rules = format!("projects/{}/global/firewalls", self.0.network_project);
                match there.firewall(&spec.name) {
                    None => vec![post(rules)],
                    Some(_) => vec![call(Method::Put, format!("{rules}/{}", spec.name))],
                }
            }
            Change::Address(_) if there.address.is_some() => Vec::new(),
            Change::Address(_) => vec![post(self.regional("addresses"))],
            Change::Machine(spec) => self.machine(spec, there),
            Change::Balancer(spec) => self.balancer(spec, there),
            Change::Endpoint(spec, target) => self.endpoint(spec, target, there),
            Change::NodeGroup(spec) => self.node_group(spec, there),
            Change::Delete(resource) => vec![call(Method::Delete, self.resource(resource))],
        }
    }

    /// An existing network without the ownership label isn't in the inventory. The call shown here
    /// is then not made.
    fn network(&self, spec: &NetworkSpec, there: &Inventory) -> Vec<WireCall> {
        if self.0.is_shared() {
            return Vec::new();
        }
        let network =
            (!there.has(ResourceKind::Network, &spec.name)).then(|| post(self.global("networks")));
        let subnetwork = spec.subnetwork.as_ref();
        let subnetwork = subnetwork.filter(|(name, _)| !there.has(ResourceKind::Subnetwork, name));
        let subnetwork = subnetwork.map(|_| post(self.regional("subnetworks")));
        network.into_iter().chain(subnetwork).collect()
    }

    fn machine(&self, spec: &MachineSpec, there: &Inventory) -> Vec<WireCall> {
        let MachineRef { name, zone } = &spec.machine;
        if there.machine(name).is_some() {
            return vec![post(self.zonal(zone, &format!("instances/{name}/start")))];
        }
        let disk = spec.data_disk.as_ref();
        let disk = disk.filter(|disk| !there.has(ResourceKind::Disk, &disk.name));
        let disk = disk.map(|_| post(self.zonal(zone, "disks")));
        let machine = post(self.zonal(zone, "instances"));
        disk.into_iter().chain([machine]).collect()
    }

    fn balancer(&self, spec: &BalancerSpec, there: &Inventory) -> Vec<WireCall> {
        let balancer = &there.balancer;
        let mut calls = Vec::new();
        if !balancer.health_check {
            calls.push(post(self.regional("healthChecks")));
        }
        let changes = group_changes(spec, &balancer.groups);
        for GroupChange {
            group,
            make,
            add,
            remove,
        } in &changes
        {
            let at = |verb: &str| {
                let path = format!("instanceGroups/{}/{verb}", group.name);
                post(self.zonal(&group.zone, &path))
            };
            calls.extend(make.then(|| post(self.zonal(&group.zone, "instanceGroups"))));
            calls.extend((!add.is_empty()).then(|| at("addInstances")));
            calls.extend((!remove.is_empty()).then(|| at("removeInstances")));
        }
        let filled = changes.iter().map(|change| &change.group);
        let mut wanted: Vec<&String> = filled
            .filter(|group| !group.machines.is_empty())
            .map(|group| &group.name)
            .collect();
        wanted.sort_unstable();
        match &balancer.backends {
            None => calls.push(post(self.regional("backendServices"))),
            Some(found) => {
                let mut found: Vec<&String> = found.iter().collect();
                found.sort_unstable();
                if !wanted.is_empty() && wanted != found {
                    let path = self.regional(&format!("backendServices/{}", spec.name));
                    calls.push(call(Method::Patch, path));
                }
            }
        }
        if !spec.backends.is_empty() {
            for group in surplus(spec, &balancer.groups, &changes) {
                let path = format!("instanceGroups/{}", group.name);
                calls.push(call(Method::Delete, self.zonal(&group.zone, &path)));
            }
        }
        calls
    }

    fn endpoint(
        &self,
        spec: &EndpointSpec,
        target: &EndpointTarget,
        there: &Inventory,
    ) -> Vec<WireCall> {
        let rule = || self.regional(&format!("forwardingRules/{}", spec.rule));
        let on = |machine: &MachineRef, verb: &str| {
            self.zonal(&machine.zone, &format!("instances/{}/{verb}", machine.name))
        };
        let calls = endpoint::calls(spec, target, there).into_iter();
        calls
            .map(|step| match &step {
                Call::DeleteRule => call(Method::Delete, rule()),
                Call::InsertRule => post(self.regional("forwardingRules")),
                Call::On {
                    machine, change, ..
                } => match change {
                    NicChange::RemoveConfig(_) => post(on(machine, "deleteAccessConfig")),
                    NicChange::AddConfig(_) => post(on(machine, "addAccessConfig")),
                    NicChange::RemoveAlias(_) | NicChange::AddAlias(_) => {
                        call(Method::Patch, on(machine, "updateNetworkInterface"))
                    }
                },
            })
            .collect()
    }

    fn node_group(&self, spec: &NodeGroupSpec, there: &Inventory) -> Vec<WireCall> {
        let zone = &spec.machine.machine.zone;
        let mut calls = Vec::new();
        if !there.has(ResourceKind::MachineTemplate, &spec.template) {
            calls.push(post(self.global("instanceTemplates")));
        }
        let is_it =
            |group: &&hakube_provider::NodeGroup| group.name == spec.name && group.zone == *zone;
        let Some(found) = there.node_groups.iter().find(is_it) else {
            calls.push(post(self.zonal(zone, "instanceGroupManagers")));
            return calls;
        };
        let at = |verb: &str| {
            let path = format!("instanceGroupManagers/{}/{verb}", spec.name);
            post(self.zonal(zone, &path))
        };
        calls.extend((found.template != spec.template).then(|| at("setInstanceTemplate")));
        let (named, resize) = spec.leaving_of(found.size);
        calls.extend((!named.is_empty()).then(|| at("deleteInstances")));
        calls.extend(resize.then(|| at("resize")));
        calls
    }

    fn resource(&self, resource: &ResourceId) -> String {
        let path = format!("{}/{}", collection(resource.kind), resource.name);
        let project = self.0.project_of(resource.kind);
        match &resource.scope {
            Scope::Global => format!("projects/{project}/global/{path}"),
            Scope::Region(_) => self.regional(&path),
            Scope::Zone(zone) => self.zonal(zone, &path),
        }
    }

    fn global(&self, path: &str) -> String {
        format!("projects/{}/global/{path}", self.0.project)
    }

    fn regional(&self, path: &str) -> String {
        format!(
            "projects/{}/regions/{}/{path}",
            self.0.project, self.0.region
        )
    }

    fn zonal(&self, zone: &str, path: &str) -> String {
        format!("projects/{}/zones/{zone}/{path}", self.0.project)
    }
}

fn call(method: Method, path: String) -> WireCall {
    WireCall { method, path }
}

fn post(path: String) -> WireCall {
    call(Method::Post, path)
}

fn collection(kind: ResourceKind) -> &'static str {
    match kind {
        ResourceKind::ForwardingRule => "forwardingRules",
        ResourceKind::BackendService => "backendServices",
        ResourceKind::HealthCheck => "healthChecks",
        ResourceKind::BackendGroup => "instanceGroups",
        ResourceKind::NodeGroup => "instanceGroupManagers",
        ResourceKind::MachineTemplate => "instanceTemplates",
        ResourceKind::Machine => "instances",
        ResourceKind::Disk => "disks",
        ResourceKind::Image => "images",
        ResourceKind::Address => "addresses",
        ResourceKind::Firewall => "firewalls",
        ResourceKind::Subnetwork => "subnetworks",
        ResourceKind::Network => "networks",
    }
}
