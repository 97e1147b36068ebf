//! What all resources have in common.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::error::ApiError;
use super::scope::{Key, Scope};
use crate::store::{State, Table};

/// The types of resources that this cloud keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum Type {
    Project,
    Network,
    Subnetwork,
    Firewall,
    Address,
    Disk,
    Instance,
    InstanceGroup,
    InstanceTemplate,
    InstanceGroupManager,
    HealthCheck,
    HttpHealthCheck,
    HttpsHealthCheck,
    BackendService,
    TargetPool,
    ForwardingRule,
    Operation,
}

/// Which scope the resources of a type live in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Level {
    Global,
    Region,
    Zone,
    /// Health checks live in a region, or globally.
    GlobalOrRegion,
    /// Operations live where what they work on does.
    Any,
}

impl Type {
    /// The singular, as `kind` (`compute#disk`) and error texts have it.
    pub const fn noun(self) -> &'static str {
        match self {
            Self::Project => "project",
            Self::Network => "network",
            Self::Subnetwork => "subnetwork",
            Self::Firewall => "firewall",
            Self::Address => "address",
            Self::Disk => "disk",
            Self::Instance => "instance",
            Self::InstanceGroup => "instanceGroup",
            Self::InstanceTemplate => "instanceTemplate",
            Self::InstanceGroupManager => "instanceGroupManager",
            Self::HealthCheck => "healthCheck",
            Self::HttpHealthCheck => "httpHealthCheck",
            Self::HttpsHealthCheck => "httpsHealthCheck",
            Self::BackendService => "backendService",
            Self::TargetPool => "targetPool",
            Self::ForwardingRule => "forwardingRule",
            Self::Operation => "operation",
        }
    }

    /// The plural, as paths have it.
    pub const fn collection(self) -> &'static str {
        match self {
            Self::Project => "projects",
            Self::Network => "networks",
            Self::Subnetwork => "subnetworks",
            Self::Firewall => "firewalls",
            Self::Address => "addresses",
            Self::Disk => "disks",
            Self::Instance => "instances",
            Self::InstanceGroup => "instanceGroups",
            Self::InstanceTemplate => "instanceTemplates",
            Self::InstanceGroupManager => "instanceGroupManagers",
            Self::HealthCheck => "healthChecks",
            Self::HttpHealthCheck => "httpHealthChecks",
            Self::HttpsHealthCheck => "httpsHealthChecks",
            Self::BackendService => "backendServices",
            Self::TargetPool => "targetPools",
            Self::ForwardingRule => "forwardingRules",
            Self::Operation => "operations",
        }
    }

    /// Where they live.
    pub const fn level(self) -> Level {
        match self {
            Self::Project
            | Self::Network
            | Self::Firewall
            | Self::InstanceTemplate
            | Self::HttpHealthCheck
            | Self::HttpsHealthCheck => Level::Global,
            Self::HealthCheck => Level::GlobalOrRegion,
            Self::Subnetwork
            | Self::Address
            | Self::BackendService
            | Self::TargetPool
            | Self::ForwardingRule => Level::Region,
            Self::Disk | Self::Instance | Self::InstanceGroup | Self::InstanceGroupManager => {
                Level::Zone
            }
            Self::Operation => Level::Any,
        }
    }

    /// `projects/P/zones/Z/disks/D`, as error texts have it.
    pub fn path(self, project: &str, key: &Key) -> String {
        if self == Self::Project {
            return format!("projects/{project}");
        }
        format!(
            "projects/{project}/{}/{}/{}",
            key.scope,
            self.collection(),
            key.name
        )
    }
}

/// A resource by type and key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Target {
    /// Its type.
    pub kind: Type,
    /// Its key among those of its type.
    pub key: Key,
}

impl Target {
    /// The target that has `R`'s type.
    pub fn of<R: Resource>(key: &Key) -> Self {
        Self {
            kind: R::TYPE,
            key: key.clone(),
        }
    }
}

/// The fields that every resource has.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Meta {
    /// `compute#disk`
    pub kind: String,
    /// uint64, as a string.
    pub id: String,
    /// RFC 3339.
    pub creation_timestamp: String,
    /// Name, unique in its scope.
    pub name: String,
    /// For people, and for marks where there are no labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// URL of the zone, if it lives in one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// URL of the region, if it lives in one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// URL.
    pub self_link: String,
}

impl Meta {
    /// Fills in what the server decides; whatever the client sent there is overwritten.
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

/// A uint64 as a string, as ids of resources are.
pub fn fresh_id() -> String {
    // Real ones have 19 digits or so; zero is never one.
    rand::random_range(1_000_000_000_000_000_000..u64::MAX).to_string()
}

/// The time, as the API writes it.
pub fn now() -> String {
    jiff::Timestamp::now()
        .strftime("%Y-%m-%dT%H:%M:%S.%3f+00:00")
        .to_string()
}

/// A fresh fingerprint: opaque, URL-safe base64 as clients decode it, different after each change.
pub fn fresh_fingerprint() -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE.encode(rand::random::<[u8; 8]>())
}

/// Something that can be got and listed.
pub trait Resource: Serialize + DeserializeOwned + Clone + Send + Sync + 'static {
    /// Its type.
    const TYPE: Type;
    /// The fields that all resources have.
    fn meta(&self) -> &Meta;
    /// The same, to write.
    fn meta_mut(&mut self) -> &mut Meta;
    /// Where resources of this type are kept.
    fn table(state: &State) -> &Table<Self>;
    /// The same, to write.
    fn table_mut(state: &mut State) -> &mut Table<Self>;
    /// Adds the fields that follow from other resources (`users`, `size`): what can be computed
    /// isn't stored.
    fn complete(&self, _state: &State, _view: &mut Map<String, Value>) {}
}

/// Something that clients make and delete.
pub trait Managed: Resource {
    /// Validates a body, fills in defaults, takes what it needs. Runs in a transaction: an error
    /// leaves no trace in `state`. `meta` is stamped already.
    fn prepare(&mut self, state: &mut State, key: &Key) -> Result<(), ApiError>;

    /// Refuses when it may not be deleted whoever uses it.
    fn deletable(&self) -> Result<(), ApiError> {
        Ok(())
    }

    /// The path of a resource that keeps this one from being deleted.
    fn user(&self, state: &State, key: &Key) -> Option<String>;
}

/// Ties a struct to its type and table.
macro_rules! resource {
    ($type:ident, $table:ident) => {
        impl $crate::compute::resource::Resource for $type {
            const TYPE: $crate::compute::resource::Type =
                $crate::compute::resource::Type::$type;
            $crate::compute::resource::resource!(@accessors $table);
        }
    };
    ($type:ident, $table:ident, complete = $complete:path) => {
        impl $crate::compute::resource::Resource for $type {
            const TYPE: $crate::compute::resource::Type =
                $crate::compute::resource::Type::$type;
            $crate::compute::resource::resource!(@accessors $table);
            fn complete(
                &self,
                state: &$crate::store::State,
                view: &mut serde_json::Map<String, serde_json::Value>,
            ) {
                $complete(self, state, view);
            }
        }
    };
    (@accessors $table:ident) => {
        fn meta(&self) -> &$crate::compute::resource::Meta {
            &self.meta
        }
        fn meta_mut(&mut self) -> &mut $crate::compute::resource::Meta {
            &mut self.meta
        }
        fn table(state: &$crate::store::State) -> &$crate::store::Table<Self> {
            &state.$table
        }
        fn table_mut(state: &mut $crate::store::State) -> &mut $crate::store::Table<Self> {
            &mut state.$table
        }
    };
}
pub(crate) use resource;
