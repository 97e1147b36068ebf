//! Scopes and keys of resources.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A scope in its wire form: `global`, `regions/R`, `zones/Z`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Networks, firewalls, templates.
    Global,
    /// Addresses, balancers, subnetworks.
    Region(String),
    /// Instances, disks, groups.
    Zone(String),
}

impl Scope {
    /// The region of this scope; `None` for `global`.
    pub fn region(&self) -> Option<&str> {
        match self {
            Self::Global => None,
            Self::Region(region) => Some(region),
            Self::Zone(zone) => Some(region_of(zone)),
        }
    }
}

/// `europe-west1` of `europe-west1-b`.
pub fn region_of(zone: &str) -> &str {
    zone.rsplit_once('-').map_or(zone, |(region, _)| region)
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Global => f.write_str("global"),
            Self::Region(region) => write!(f, "regions/{region}"),
            Self::Zone(zone) => write!(f, "zones/{zone}"),
        }
    }
}

/// A resource's identity within its type.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Key {
    /// Its project, if that isn't the cloud's own.
    pub project: Option<String>,
    /// Its scope.
    pub scope: Scope,
    /// Its name, unique in the scope.
    pub name: String,
}

impl Key {
    /// The key of a resource in the cloud's own project.
    pub fn new(scope: Scope, name: impl Into<String>) -> Self {
        Self {
            project: None,
            scope,
            name: name.into(),
        }
    }

    /// The same key in another project; `None` is the cloud's own.
    #[must_use]
    pub fn of(self, project: Option<&str>) -> Self {
        Self {
            project: project.map(str::to_owned),
            ..self
        }
    }

    /// The key of a zonal resource.
    pub fn zonal(zone: &str, name: &str) -> Self {
        Self::new(Scope::Zone(zone.to_owned()), name)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(project) = &self.project {
            write!(f, "projects/{project}/")?;
        }
        write!(f, "{}/{}", self.scope, self.name)
    }
}

impl From<Key> for String {
    fn from(key: Key) -> Self {
        key.to_string()
    }
}

impl TryFrom<String> for Key {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl FromStr for Key {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.split('/').collect();
        match parts.as_slice() {
            ["global", name] => Ok(Self::new(Scope::Global, *name)),
            ["regions", region, name] => Ok(Self::new(Scope::Region((*region).to_owned()), *name)),
            ["zones", zone, name] => Ok(Self::zonal(zone, name)),
            ["projects", project, rest @ ..] => {
                let key: Self = rest.join("/").parse()?;
                Ok(key.of(Some(project)))
            }
            _ => Err(format!("`{text}` is not the key of a resource")),
        }
    }
}
