//! Zonal managed instance groups. Updates change all instances at once; autohealing is not emulated.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::base::{Key, Meta, link, resource};

/// Keeps a number of identical instances.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InstanceGroupManager {
    /// The common fields.
    #[serde(flatten)]
    pub meta: Meta,
    /// The intended number of instances.
    pub target_size: u32,
    /// The prefix of their names.
    #[serde(default)]
    pub base_instance_name: String,
    /// URL.
    #[serde(default)]
    pub instance_template: String,
    /// URLs of its instances.
    #[serde(default)]
    pub members: Vec<String>,
    /// The version that its instances are to have; exactly one.
    #[serde(default)]
    pub versions: Vec<Version>,
    /// How instances get a new version.
    #[serde(default)]
    pub update_policy: Map<String, Value>,
    /// The instances of an earlier version, by URL.
    #[serde(default)]
    pub outdated: BTreeMap<String, Version>,
    /// The fingerprint that a patch must repeat.
    #[serde(default)]
    pub fingerprint: String,
    /// Fields without an effect here.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// What instances are made from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Version {
    /// Chosen by the client. Another name makes another version, of the same template too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// URL.
    pub instance_template: String,
    /// The group's size if there is one version.
    #[serde(skip_serializing)]
    pub target_size: Option<Value>,
}

impl InstanceGroupManager {
    /// The keys of its instances.
    pub fn member_keys(&self) -> impl Iterator<Item = Key> {
        self.members
            .iter()
            .filter_map(|member| link::key_of(member))
    }

    /// Whether a field of the update policy has this value.
    pub fn policy_is(&self, field: &str, value: &str) -> bool {
        self.update_policy.get(field).and_then(Value::as_str) == Some(value)
    }

    /// The version of future instances. A cloud that an earlier program stored has only the template.
    pub fn present_version(&self) -> Version {
        let known = self.versions.first().cloned();
        known.unwrap_or_else(|| Version {
            instance_template: self.instance_template.clone(),
            ..Version::default()
        })
    }

    /// The version of an instance.
    pub fn version_of(&self, member: &str) -> Version {
        let outdated = self.outdated.get(member).cloned();
        outdated.unwrap_or_else(|| self.present_version())
    }

    /// Whether future instances are made from this template. Existing ones don't keep a template from being deleted.
    pub fn uses(&self, template: &Key) -> bool {
        link::key_of(&self.present_version().instance_template).as_ref() == Some(template)
    }

    /// The instances of an earlier version, and whether they are of the same template.
    pub fn outdated(&self) -> impl Iterator<Item = (Key, bool)> {
        self.outdated.iter().filter_map(|(member, version)| {
            let same = version.instance_template == self.instance_template;
            Some((link::key_of(member)?, same))
        })
    }
}

resource!(InstanceGroupManager);
