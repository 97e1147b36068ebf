//! Everything that the cloud knows, as plain data.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::addresses::Block;
use super::table::{AnyTable, Phase, Table};
use crate::compute::address::Address;
use crate::compute::backend_service::BackendService;
use crate::compute::disk::Disk;
use crate::compute::error::ApiError;
use crate::compute::firewall::Firewall;
use crate::compute::forwarding_rule::ForwardingRule;
use crate::compute::health_check::HealthCheck;
use crate::compute::instance::Instance;
use crate::compute::instance_group::InstanceGroup;
use crate::compute::instance_group_manager::InstanceGroupManager;
use crate::compute::instance_template::InstanceTemplate;
use crate::compute::legacy_health_check::{HttpHealthCheck, HttpsHealthCheck};
use crate::compute::link;
use crate::compute::network::Network;
use crate::compute::project::{self, Project};
use crate::compute::quota::Limits;
use crate::compute::resource::{Resource, Target, Type};
use crate::compute::scope::Key;
use crate::compute::subnetwork::Subnetwork;
use crate::compute::target_pool::TargetPool;
use crate::operation::{Job, Operation};

/// The layout of `state.json` that this program writes.
pub const VERSION: u32 = 1;

/// What `state.json` holds.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)] // One table per type; the names say it.
pub struct State {
    /// Layout version.
    pub version: u32,
    /// The project of this cloud: what runs is in it.
    pub project: String,
    /// Where the API is served: what links start with.
    pub base: String,
    /// The addresses that this cloud owns.
    pub block: Block,
    /// That one, and others whose networks it may use.
    #[serde(default)]
    pub projects: Table<Project>,
    /// The other project whose networks it uses: a shared VPC's host.
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
    pub operations: Table<Operation>,
    /// Limits that were set, by scope and metric.
    #[serde(default)]
    pub quotas: Limits,
    /// Unfinished work, by the key of its operation. Carried on with after a crash.
    pub jobs: BTreeMap<Key, Job>,
    /// Instances whose machines are to be booted: they are RUNNING to the API already.
    pub due_boots: BTreeSet<Key>,
}

impl State {
    /// A project that has nothing yet.
    pub fn new(project: &str, block: Block) -> Self {
        Self {
            version: VERSION,
            project: project.to_owned(),
            base: String::new(),
            block,
            projects: Table::default(),
            shared_vpc: None,
            networks: Table::default(),
            subnetworks: Table::default(),
            firewalls: Table::default(),
            addresses: Table::default(),
            disks: Table::default(),
            instances: Table::default(),
            instance_groups: Table::default(),
            instance_templates: Table::default(),
            instance_group_managers: Table::default(),
            health_checks: Table::default(),
            http_health_checks: Table::default(),
            https_health_checks: Table::default(),
            backend_services: Table::default(),
            target_pools: Table::default(),
            forwarding_rules: Table::default(),
            operations: Table::default(),
            quotas: Limits::new(),
            jobs: BTreeMap::new(),
            due_boots: BTreeSet::new(),
        }
    }

    /// The id of a key's project.
    pub fn project_of<'a>(&'a self, key: &'a Key) -> &'a str {
        key.project.as_deref().unwrap_or(&self.project)
    }

    /// The project of that id, as keys have it: none for the cloud's own.
    pub fn project_called(&self, id: &str) -> Result<Option<String>, ApiError> {
        if id == self.project {
            return Ok(None);
        }
        let key = project::key_of(self, Some(id));
        match self.projects.get(&key) {
            Some(_) => Ok(key.project),
            None => Err(ApiError::missing(&format!("projects/{id}"))),
        }
    }

    /// The key of the resource of type `R` that `field` of a resource refers to. What names no project is in that
    /// resource's own.
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

    /// The URL of anything below the cloud's own project.
    pub fn url(&self, rest: impl std::fmt::Display) -> String {
        self.url_in(None, rest)
    }

    /// The URL of anything below a project; below the cloud's own for `None`.
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

    /// A resource, in whatever phase.
    pub fn get<R: Resource>(&self, key: &Key) -> Result<&R, ApiError> {
        R::table(self)
            .get(key)
            .map(|record| &record.resource)
            .ok_or_else(|| ApiError::missing(&self.path_of::<R>(key)))
    }

    /// A resource that can be used: not one that is being made or deleted.
    pub fn ready<R: Resource>(&self, key: &Key) -> Result<&R, ApiError> {
        match R::table(self).get(key) {
            None => Err(ApiError::missing(&self.path_of::<R>(key))),
            Some(record) if record.phase == Phase::Ready => Ok(&record.resource),
            Some(_) => Err(ApiError::not_ready(&self.path_of::<R>(key))),
        }
    }

    /// A usable resource, to write.
    pub fn ready_mut<R: Resource>(&mut self, key: &Key) -> Result<&mut R, ApiError> {
        self.ready::<R>(key)?;
        let missing = ApiError::missing(&self.path_of::<R>(key));
        R::table_mut(self).get_mut(key).ok_or(missing)
    }

    /// Refuses when an operation on this resource is under way.
    pub fn idle(&self, target: &Target) -> Result<(), ApiError> {
        if self.jobs.values().any(|job| job.target == *target) {
            return Err(ApiError::not_ready(&self.path(target)));
        }
        Ok(())
    }

    /// The table of a type that is known only at run time.
    pub fn table(&self, kind: Type) -> &dyn AnyTable {
        match kind {
            Type::Project => &self.projects,
            Type::Network => &self.networks,
            Type::Subnetwork => &self.subnetworks,
            Type::Firewall => &self.firewalls,
            Type::Address => &self.addresses,
            Type::Disk => &self.disks,
            Type::Instance => &self.instances,
            Type::InstanceGroup => &self.instance_groups,
            Type::InstanceTemplate => &self.instance_templates,
            Type::InstanceGroupManager => &self.instance_group_managers,
            Type::HealthCheck => &self.health_checks,
            Type::HttpHealthCheck => &self.http_health_checks,
            Type::HttpsHealthCheck => &self.https_health_checks,
            Type::BackendService => &self.backend_services,
            Type::TargetPool => &self.target_pools,
            Type::ForwardingRule => &self.forwarding_rules,
            Type::Operation => &self.operations,
        }
    }

    /// The same, to write.
    pub fn table_mut(&mut self, kind: Type) -> &mut dyn AnyTable {
        match kind {
            Type::Project => &mut self.projects,
            Type::Network => &mut self.networks,
            Type::Subnetwork => &mut self.subnetworks,
            Type::Firewall => &mut self.firewalls,
            Type::Address => &mut self.addresses,
            Type::Disk => &mut self.disks,
            Type::Instance => &mut self.instances,
            Type::InstanceGroup => &mut self.instance_groups,
            Type::InstanceTemplate => &mut self.instance_templates,
            Type::InstanceGroupManager => &mut self.instance_group_managers,
            Type::HealthCheck => &mut self.health_checks,
            Type::HttpHealthCheck => &mut self.http_health_checks,
            Type::HttpsHealthCheck => &mut self.https_health_checks,
            Type::BackendService => &mut self.backend_services,
            Type::TargetPool => &mut self.target_pools,
            Type::ForwardingRule => &mut self.forwarding_rules,
            Type::Operation => &mut self.operations,
        }
    }
}
