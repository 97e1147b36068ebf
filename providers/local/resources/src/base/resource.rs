//! Definitions shared by all resources.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::base::scope::Key;

/// The types of resources that this cloud stores.
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
    Route,
    Operation,
}

/// The kind of scope of a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Level {
    Global,
    Region,
    Zone,
    /// Health checks live in a region, or globally.
    GlobalOrRegion,
    /// Operations live in the scope of their target.
    Any,
}

impl Type {
    /// Singular, plural and kind of scope.
    const fn facts(self) -> (&'static str, &'static str, Level) {
        match self {
            Self::Project => ("project", "projects", Level::Global),
            Self::Network => ("network", "networks", Level::Global),
            Self::Subnetwork => ("subnetwork", "subnetworks", Level::Region),
            Self::Firewall => ("firewall", "firewalls", Level::Global),
            Self::Address => ("address", "addresses", Level::Region),
            Self::Disk => ("disk", "disks", Level::Zone),
            Self::Instance => ("instance", "instances", Level::Zone),
            Self::InstanceGroup => ("instanceGroup", "instanceGroups", Level::Zone),
            Self::InstanceTemplate => ("instanceTemplate", "instanceTemplates", Level::Global),
            Self::InstanceGroupManager => {
                ("instanceGroupManager", "instanceGroupManagers", Level::Zone)
            }
            Self::HealthCheck => ("healthCheck", "healthChecks", Level::GlobalOrRegion),
            Self::HttpHealthCheck => ("httpHealthCheck", "httpHealthChecks", Level::Global),
            Self::HttpsHealthCheck => ("httpsHealthCheck", "httpsHealthChecks", Level::Global),
            Self::BackendService => ("backendService", "backendServices", Level::Region),
            Self::TargetPool => ("targetPool", "targetPools", Level::Region),
            Self::ForwardingRule => ("forwardingRule", "forwardingRules", Level::Region),
            Self::Route => ("route", "routes", Level::Global),
            Self::Operation => ("operation", "operations", Level::Any),
        }
    }

    /// The singular, as in `kind` (`compute#disk`) and error texts.
    pub const fn noun(self) -> &'static str {
        self.facts().0
    }

    /// The plural, as in paths.
    pub const fn collection(self) -> &'static str {
        self.facts().1
    }

    /// The kind of scope.
    pub const fn level(self) -> Level {
        self.facts().2
    }

    /// `projects/P/zones/Z/disks/D`, as in error texts.
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
    /// The target of type `R` with this key.
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
    /// Free text; also the ownership label of types without labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// URL of the zone, if it is zonal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// URL of the region, if it is regional.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// URL.
    pub self_link: String,
}

/// A new resource ID: a uint64 as a string.
pub fn fresh_id() -> String {
    // Real IDs have about 19 digits and are never zero.
    rand::random_range(1_000_000_000_000_000_000..u64::MAX).to_string()
}

/// The current time, in the API's format.
pub fn now() -> String {
    jiff::Timestamp::now()
        .strftime("%Y-%m-%dT%H:%M:%S.%3f+00:00")
        .to_string()
}

/// A new fingerprint: opaque, URL-safe base64 as clients decode it, different after each change.
pub fn fresh_fingerprint() -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE.encode(rand::random::<[u8; 8]>())
}

/// A resource of some type.
pub trait Resource: Serialize + DeserializeOwned + Clone + Send + Sync + 'static {
    /// Its type.
    const TYPE: Type;
    /// The common fields.
    fn meta(&self) -> &Meta;
    /// The common fields, mutable.
    fn meta_mut(&mut self) -> &mut Meta;
}

/// Implements [`Resource`] for a struct with a field `meta`.
macro_rules! resource {
    ($type:ident) => {
        impl $crate::base::resource::Resource for $type {
            const TYPE: $crate::base::resource::Type = $crate::base::resource::Type::$type;
            fn meta(&self) -> &$crate::base::resource::Meta {
                &self.meta
            }
            fn meta_mut(&mut self) -> &mut $crate::base::resource::Meta {
                &mut self.meta
            }
        }
    };
}
pub(crate) use resource;
