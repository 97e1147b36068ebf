//! The cloud's complete state, as plain data.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::base::{
    AnyTable, ApiError, Block, Key, Meta, Phase, Resource, Scope, Table, Target, Type, fresh_id,
    link, now,
};
use crate::types::{
    Address, BackendService, Disk, Firewall, ForwardingRule, HealthCheck, HttpHealthCheck,
    HttpsHealthCheck, Instance, InstanceGroup, InstanceGroupManager, InstanceTemplate, Job,
    Network, Operation, Project, Route, Subnetwork, TargetPool,
};

/// A project's limits, by scope (`global`, `regions/R`) and metric (`CPUS`). Everything else is effectively
/// unlimited.
pub type Limits = BTreeMap<String, BTreeMap<String, f64>>;

/// The version of `state.json` that this program writes.
pub const VERSION: u32 = 1;

/// The content of `state.json`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)] // One table per type; the names say it.
pub struct State {
    /// Layout version.
    pub version: u32,
    /// The project of this cloud, which has its instances.
    pub project: String,
    /// The URL at which the API is served; the prefix of links.
    pub base: String,
    /// The addresses that this cloud owns.
    pub block: Block,
    /// The cloud's own project, and others whose networks it may use.
    #[serde(default)]
    pub projects: Table<Project>,
    /// The Shared VPC host: the project whose networks it uses.
    #[serde(default)]
    pub shared_vpc: Option<String>,
    pub networks: Table<Network>,
    pub subnetworks: Table<Subnetwork>,
    pub firewalls: Table<Firewall>,
    pub addresses: Table<Address>,
    pub disks: Table<Disk>,
    pub instances: Table<Instance>,
    pub instance_groups: Table<InstanceGroup>,
    pub instance_templates: Table<InstanceTemplate>,
    pub instance_group_managers: Table<InstanceGroupManager>,
    pub health_checks: Table<HealthCheck>,
    #[serde(default)]
    pub http_health_checks: Table<HttpHealthCheck>,
    #[serde(default)]
    pub https_health_checks: Table<HttpsHealthCheck>,
    pub backend_services: Table<BackendService>,
    #[serde(default)]
    pub target_pools: Table<TargetPool>,
    pub forwarding_rules: Table<ForwardingRule>,
    #[serde(default)]
    pub routes: Table<Route>,
    pub operations: Table<Operation>,
    /// Quotas that were set, by scope and metric.
    #[serde(default)]
    pub quotas: Limits,
    /// Unfinished work, by the key of its operation. Resumed after a restart.
    pub jobs: BTreeMap<Key, Job>,
    /// Instances whose machines are due to boot; the API shows them as RUNNING already.
    pub due_boots: BTreeSet<Key>,
}

impl State {
    /// An empty project.
    pub fn new(project: &str, block: Block) -> Self {
        Self {
            version: VERSION,
            project: project.to_owned(),
            block,
            ..Self::default()
        }
    }

    /// The ID of a key's project.
    pub fn project_of<'a>(&'a self, key: &'a Key) -> &'a str {
        key.project.as_deref().unwrap_or(&self.project)
    }

    /// The key of a project as a resource; `None` is the cloud's own.
    pub fn project_key(&self, project: Option<&str>) -> Key {
        Key::new(Scope::Global, project.unwrap_or(&self.project)).of(project)
    }

    /// The project with that ID, as in keys: `None` for the cloud's own.
    pub fn project_called(&self, id: &str) -> Result<Option<String>, ApiError> {
        if id == self.project {
            return Ok(None);
        }
        let key = self.project_key(Some(id));
        match self.projects.get(&key) {
            Some(_) => Ok(key.project),
            None => Err(ApiError::missing(&format!("projects/{id}"))),
        }
    }

    /// The key of the resource of type `R` that `field` of a resource refers to. A reference without a
    /// project is resolved in that resource's own.
    pub fn reference<R: Resource>(
        &self,
        field: &str,
        text: &str,
        own: Option<&str>,
    ) -> Result<Key, ApiError> {
        let key = link::parse::<R>(field, text)?;
        Ok(match link::project(text) {
            Some(id) => key.of(self.project_called(id)?.as_deref()),
            None => key.of(own),
        })
    }

    /// `projects/P/zones/Z/disks/D`
    pub fn path(&self, target: &Target) -> String {
        target.kind.path(self.project_of(&target.key), &target.key)
    }

    /// The path of the resource of type `R` with this key.
    pub fn path_of<R: Resource>(&self, key: &Key) -> String {
        R::TYPE.path(self.project_of(key), key)
    }

    /// A URL below the cloud's own project.
    pub fn url(&self, rest: impl std::fmt::Display) -> String {
        self.url_in(None, rest)
    }

    /// A URL below a project; `None` is the cloud's own.
    pub fn url_in(&self, project: Option<&str>, rest: impl std::fmt::Display) -> String {
        let project = project.unwrap_or(&self.project);
        format!("{}/compute/v1/projects/{project}/{rest}", self.base)
    }

    /// A resource's URL.
    pub fn link(&self, target: &Target) -> String {
        format!("{}/compute/v1/{}", self.base, self.path(target))
    }

    /// The URL of the resource of type `R` with this key.
    pub fn link_of<R: Resource>(&self, key: &Key) -> String {
        self.link(&Target::of::<R>(key))
    }

    /// The URL of the zone, region or global scope that a resource lives in.
    pub fn scope_link(&self, key: &Key) -> String {
        self.url_in(key.project.as_deref(), &key.scope)
    }

    /// A resource in any phase.
    pub fn get<R: Stored>(&self, key: &Key) -> Result<&R, ApiError> {
        R::table(self)
            .get(key)
            .map(|record| &record.resource)
            .ok_or_else(|| ApiError::missing(&self.path_of::<R>(key)))
    }

    /// A resource that is ready: not being created or deleted.
    pub fn ready<R: Stored>(&self, key: &Key) -> Result<&R, ApiError> {
        match R::table(self).get(key) {
            None => Err(ApiError::missing(&self.path_of::<R>(key))),
            Some(record) if record.phase == Phase::Ready => Ok(&record.resource),
            Some(_) => Err(ApiError::not_ready(&self.path_of::<R>(key))),
        }
    }

    /// A ready resource, mutable.
    pub fn ready_mut<R: Stored>(&mut self, key: &Key) -> Result<&mut R, ApiError> {
        self.ready::<R>(key)?;
        let missing = ApiError::missing(&self.path_of::<R>(key));
        R::table_mut(self).get_mut(key).ok_or(missing)
    }

    /// The path of a resource of type `R` for which this is true.
    pub fn path_where<R: Stored>(&self, is_it: impl Fn(&R) -> bool) -> Option<String> {
        let found = R::table(self).iter().find(|(_, resource)| is_it(resource));
        found.map(|(key, _)| self.path_of::<R>(key))
    }

    /// Returns an error if an operation on this resource is in progress.
    pub fn idle(&self, target: &Target) -> Result<(), ApiError> {
        if self.jobs.values().any(|job| job.target == *target) {
            return Err(ApiError::not_ready(&self.path(target)));
        }
        Ok(())
    }
}

/// A resource of which a state has a table.
pub trait Stored: Resource {
    /// The table.
    fn table(state: &State) -> &Table<Self>;
    /// The table, mutable.
    fn table_mut(state: &mut State) -> &mut Table<Self>;
}

/// Which table of a state has the resources of which type.
macro_rules! tables {
    ($($type:ident: $table:ident,)*) => {
        $(
            impl Stored for $type {
                fn table(state: &State) -> &Table<Self> {
                    &state.$table
                }
                fn table_mut(state: &mut State) -> &mut Table<Self> {
                    &mut state.$table
                }
            }
        )*

        impl State {
            /// The table of a type known only at run time.
            pub fn table(&self, kind: Type) -> &dyn AnyTable {
                match kind {
                    $(Type::$type => &self.$table,)*
                }
            }

            /// The same table, mutable.
            pub fn table_mut(&mut self, kind: Type) -> &mut dyn AnyTable {
                match kind {
                    $(Type::$type => &mut self.$table,)*
                }
            }
        }
    };
}

tables! {
    Project: projects,
    Network: networks,
    Subnetwork: subnetworks,
    Firewall: firewalls,
    Address: addresses,
    Disk: disks,
    Instance: instances,
    InstanceGroup: instance_groups,
    InstanceTemplate: instance_templates,
    InstanceGroupManager: instance_group_managers,
    HealthCheck: health_checks,
    HttpHealthCheck: http_health_checks,
    HttpsHealthCheck: https_health_checks,
    BackendService: backend_services,
    TargetPool: target_pools,
    ForwardingRule: forwarding_rules,
    Route: routes,
    Operation: operations,
}

impl Meta {
    /// Sets the fields that the server decides, overwriting the client's.
    pub fn stamp(&mut self, state: &State, target: &Target) {
        self.kind = format!("compute#{}", target.kind.noun());
        self.id = fresh_id();
        self.creation_timestamp = now();
        self.self_link = state.link(target);
        let place = Some(state.scope_link(&target.key));
        self.zone = None;
        self.region = None;
        match target.key.scope {
            Scope::Global => {}
            Scope::Region(_) => self.region = place,
            Scope::Zone(_) => self.zone = place,
        }
    }
}
