//! Instances: what they are, and what an insert must hold.

mod access_config;
mod alias;
mod disks;
mod guest_attributes;
mod insert;
mod methods;
mod settings;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::error::ApiError;
use super::instance_group;
use super::labels::{Labelled, Labels};
use super::limits;
use super::project;
use super::resource::{Meta, fresh_fingerprint, resource};
use super::scope::Key;
use crate::store::State;

pub use access_config::release_ephemeral;
pub use alias::AliasIpRange;
pub use insert::insert;
pub use methods::routes;

/// The name that the API gives to an access config without one.
pub const ACCESS_CONFIG_NAME: &str = "External NAT";

/// A machine, as the API sees it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Instance {
    #[serde(flatten)]
    pub(crate) meta: Meta,
    /// URL.
    #[serde(default)]
    pub machine_type: String,
    /// Where it is in its life.
    #[serde(default)]
    pub status: Status,
    /// For people, when something happened to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_message: Option<String>,
    /// Exactly one is emulated.
    #[serde(default)]
    pub network_interfaces: Vec<NetworkInterface>,
    /// Boot disk and others.
    #[serde(default)]
    pub disks: Vec<AttachedDisk>,
    /// Key-value pairs that the machine can read; `user-data` is its cloud-config.
    #[serde(default)]
    pub metadata: Metadata,
    /// What firewall rules aim at.
    #[serde(default)]
    pub tags: Tags,
    #[serde(flatten)]
    labels: Labels,
    /// Everything that is kept and given back, without effect here.
    #[serde(flatten)]
    pub(crate) rest: Map<String, Value>,
}

resource!(Instance, instances);

impl Labelled for Instance {
    fn labels_mut(&mut self) -> &mut Labels {
        &mut self.labels
    }
}

/// `status` of an instance.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[allow(missing_docs)]
pub enum Status {
    #[default]
    Provisioning,
    Staging,
    Running,
    Stopping,
    Terminated,
}

/// A NIC.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NetworkInterface {
    /// `nic0`
    #[serde(default)]
    pub name: String,
    /// URL.
    #[serde(default)]
    pub network: String,
    /// URL.
    #[serde(default)]
    pub subnetwork: String,
    /// The internal address.
    #[serde(default, rename = "networkIP")]
    pub network_ip: Option<Ipv4Addr>,
    /// At most one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub access_configs: Vec<AccessConfig>,
    /// More internal addresses of the machine.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) alias_ip_ranges: Vec<AliasIpRange>,
    /// For patch.
    #[serde(default)]
    pub fingerprint: String,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// An external address, 1:1 to a NIC.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AccessConfig {
    /// Chosen by the client; the API's and gcloud's defaults differ.
    #[serde(default = "access_config_name")]
    pub name: String,
    /// `ONE_TO_ONE_NAT`
    #[serde(default = "one_to_one_nat", rename = "type")]
    pub kind: String,
    /// The address. An instance that is stopped has none if it was ephemeral.
    #[serde(
        default,
        rename = "natIP",
        skip_serializing_if = "Option::is_none",
        deserialize_with = "empty_is_none"
    )]
    pub nat_ip: Option<Ipv4Addr>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

fn access_config_name() -> String {
    ACCESS_CONFIG_NAME.into()
}

fn one_to_one_nat() -> String {
    "ONE_TO_ONE_NAT".into()
}

/// Clients write an absent address as an empty string, too.
pub(crate) fn empty_is_none<'de, D: serde::Deserializer<'de>>(
    from: D,
) -> Result<Option<Ipv4Addr>, D::Error> {
    match Option::<String>::deserialize(from)?.as_deref() {
        None | Some("") => Ok(None),
        Some(text) => text.parse().map(Some).map_err(serde::de::Error::custom),
    }
}

/// A disk of an instance.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AttachedDisk {
    /// Whether the machine boots from it.
    #[serde(default)]
    pub boot: bool,
    /// Whether it is deleted with the instance.
    #[serde(default)]
    pub auto_delete: bool,
    /// URL of the disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// What the machine sees it as.
    #[serde(default)]
    pub device_name: String,
    /// Asks for a new disk. Input only.
    #[serde(default, skip_serializing)]
    pub initialize_params: Option<InitializeParams>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

impl AttachedDisk {
    /// Fills in what the server decides.
    fn settle(&mut self, index: usize) {
        self.rest.insert("index".into(), index.into());
        self.rest
            .insert("kind".into(), "compute#attachedDisk".into());
        self.rest.insert("type".into(), "PERSISTENT".into());
        self.rest.entry("mode").or_insert("READ_WRITE".into());
    }
}

/// A disk to make with the instance.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs)]
pub struct InitializeParams {
    pub disk_name: Option<String>,
    pub description: Option<String>,
    pub disk_size_gb: Option<Value>,
    pub disk_type: Option<String>,
    pub source_image: Option<String>,
    pub labels: BTreeMap<String, String>,
}

/// Metadata of an instance.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Metadata {
    /// For setMetadata.
    pub fingerprint: String,
    /// Key and value.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<MetadataItem>,
}

impl Metadata {
    /// The value of a key.
    pub fn item(&self, key: &str) -> Option<&str> {
        let mut items = self.items.iter();
        items
            .find(|item| item.key == key)
            .map(|item| item.value.as_str())
    }

    fn is_true(&self, key: &str) -> bool {
        self.item(key)
            .is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// What a client sent, if it is within the limits, with a fingerprint of its own.
    pub fn checked(body: Map<String, Value>) -> Result<Self, ApiError> {
        let mut metadata: Self = serde_json::from_value(Value::Object(body))
            .map_err(|error| ApiError::invalid("metadata", "", error))?;
        let items = metadata.items.iter();
        limits::metadata(items.map(|item| (item.key.as_str(), item.value.as_str())))?;
        metadata.fingerprint = fresh_fingerprint();
        Ok(metadata)
    }
}

/// One pair.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct MetadataItem {
    pub key: String,
    #[serde(default)]
    pub value: String,
}

/// Network tags.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct Tags {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<String>,
    pub fingerprint: String,
}

impl Instance {
    /// All access configs of all NICs.
    pub fn access_configs(&self) -> impl Iterator<Item = &AccessConfig> {
        self.network_interfaces
            .iter()
            .flat_map(|nic| &nic.access_configs)
    }

    /// The machine's own address.
    pub fn internal_ip(&self) -> Option<Ipv4Addr> {
        self.network_interfaces.first()?.network_ip
    }

    /// The address that reaches it from outside, if any.
    pub fn external_ip(&self) -> Option<Ipv4Addr> {
        self.access_configs().find_map(|config| config.nat_ip)
    }

    /// What the machine is made of at its first boot.
    pub fn user_data(&self) -> &str {
        self.metadata.item("user-data").unwrap_or_default()
    }

    /// Who may log in on it: lines `USER:KEY`, its own and the project's, unless it blocks those.
    pub fn ssh_keys(&self, state: &State) -> Vec<String> {
        let is_blocked = self.metadata.is_true("block-project-ssh-keys");
        let common = project::metadata(state).filter(|_| !is_blocked);
        let all = [Some(&self.metadata), common].into_iter().flatten();
        let lines = all.filter_map(|metadata| metadata.item("ssh-keys"));
        lines.flat_map(str::lines).map(str::to_owned).collect()
    }

    /// Whether the machine may say something of itself: what it says goes before what the project says.
    pub fn has_guest_attributes(&self, state: &State) -> bool {
        const KEY: &str = "enable-guest-attributes";
        match self.metadata.item(KEY) {
            Some(_) => self.metadata.is_true(KEY),
            None => project::metadata(state).is_some_and(|common| common.is_true(KEY)),
        }
    }

    /// Whether its owner has protected it from being deleted.
    fn is_protected(&self) -> bool {
        let protection = self.rest.get("deletionProtection");
        protection.and_then(Value::as_bool).unwrap_or_default()
    }

    fn renew_fingerprints(&mut self) {
        self.metadata.fingerprint = fresh_fingerprint();
        self.tags.fingerprint = fresh_fingerprint();
    }
}

/// Forgets an instance: its membership in unmanaged groups, the disks that go with it, itself.
pub fn forget(state: &mut State, key: &Key) {
    let Some(link) = state
        .instances
        .get(key)
        .map(|record| record.resource.meta.self_link.clone())
    else {
        return;
    };
    instance_group::forget_member(state, &link);
    let going: Vec<Key> = state
        .instances
        .get(key)
        .map(|record| record.resource.disks.iter())
        .into_iter()
        .flatten()
        .filter(|disk| disk.auto_delete)
        .filter_map(|disk| super::link::key_of(disk.source.as_deref()?))
        .collect();
    for disk in going {
        state.table_mut(super::resource::Type::Disk).remove(&disk);
    }
    state.due_boots.remove(key);
    state.table_mut(super::resource::Type::Instance).remove(key);
}
