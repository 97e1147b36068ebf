//! Instances, their disks, network interfaces and metadata.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::base::{Labelled, Labels, Meta, resource};

/// The API's default name of an access config.
pub const ACCESS_CONFIG_NAME: &str = "External NAT";

/// An instance.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Instance {
    /// The common fields.
    #[serde(flatten)]
    pub meta: Meta,
    /// URL.
    #[serde(default)]
    pub machine_type: String,
    /// Its lifecycle state.
    #[serde(default)]
    pub status: Status,
    /// The reason for its status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_message: Option<String>,
    /// Exactly one is emulated.
    #[serde(default)]
    pub network_interfaces: Vec<NetworkInterface>,
    /// The boot disk and others.
    #[serde(default)]
    pub disks: Vec<AttachedDisk>,
    /// Key-value pairs that the machine can read; `user-data` is its cloud-config.
    #[serde(default)]
    pub metadata: Metadata,
    /// Network tags, which firewall rules refer to.
    #[serde(default)]
    pub tags: Tags,
    /// Its labels.
    #[serde(flatten)]
    pub labels: Labels,
    /// Fields that are stored and returned, without effect here.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

impl Labelled for Instance {
    fn labels_mut(&mut self) -> &mut Labels {
        &mut self.labels
    }
}

/// The `status` of an instance.
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

/// A network interface.
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
    /// Additional internal addresses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alias_ip_ranges: Vec<AliasIpRange>,
    /// The fingerprint that a patch must repeat.
    #[serde(default)]
    pub fingerprint: String,
    /// Fields without an effect here.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// An external address, mapped 1:1 to a NIC.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AccessConfig {
    /// Chosen by the client; the defaults of the API and gcloud differ.
    #[serde(default = "access_config_name")]
    pub name: String,
    /// `ONE_TO_ONE_NAT`
    #[serde(default = "one_to_one_nat", rename = "type")]
    pub kind: String,
    /// The address. A stopped instance has none if it was ephemeral.
    #[serde(
        default,
        rename = "natIP",
        skip_serializing_if = "Option::is_none",
        deserialize_with = "empty_is_none"
    )]
    pub nat_ip: Option<Ipv4Addr>,
    /// Fields without an effect here.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

fn access_config_name() -> String {
    ACCESS_CONFIG_NAME.into()
}

fn one_to_one_nat() -> String {
    "ONE_TO_ONE_NAT".into()
}

/// Clients may write an absent address as an empty string.
pub fn empty_is_none<'de, D: serde::Deserializer<'de>>(
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
    /// The device name inside the machine.
    #[serde(default)]
    pub device_name: String,
    /// Requests a new disk. Input only.
    #[serde(default, skip_serializing)]
    pub initialize_params: Option<InitializeParams>,
    /// Fields without an effect here.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

impl AttachedDisk {
    /// Fills in server-side defaults.
    pub fn settle(&mut self, index: usize) {
        self.rest.insert("index".into(), index.into());
        self.rest
            .insert("kind".into(), "compute#attachedDisk".into());
        self.rest.insert("type".into(), "PERSISTENT".into());
        self.rest.entry("mode").or_insert("READ_WRITE".into());
    }
}

/// A disk to create with the instance.
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

/// Metadata of an instance or project.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Metadata {
    /// The fingerprint that setMetadata must repeat.
    pub fingerprint: String,
    /// The pairs.
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

    /// Whether a key has the value TRUE.
    pub fn is_true(&self, key: &str) -> bool {
        self.item(key)
            .is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }
}

/// A key and its value.
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

    /// The internal address.
    pub fn internal_ip(&self) -> Option<Ipv4Addr> {
        self.network_interfaces.first()?.network_ip
    }

    /// The external address, if any.
    pub fn external_ip(&self) -> Option<Ipv4Addr> {
        self.access_configs().find_map(|config| config.nat_ip)
    }

    /// The email addresses of its service accounts.
    pub fn service_accounts(&self) -> impl Iterator<Item = &str> {
        let accounts = self.rest.get("serviceAccounts").and_then(Value::as_array);
        let accounts = accounts.into_iter().flatten();
        accounts.filter_map(|account| account.get("email")?.as_str())
    }

    /// The cloud-config that the machine's first boot runs.
    pub fn user_data(&self) -> &str {
        self.metadata.item("user-data").unwrap_or_default()
    }

    /// Whether deletion protection is on.
    pub fn is_protected(&self) -> bool {
        let protection = self.rest.get("deletionProtection");
        protection.and_then(Value::as_bool).unwrap_or_default()
    }
}

resource!(Instance);

/// An alias range of a NIC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AliasIpRange {
    /// `10.0.0.7/32`, the address alone, or only a length (`/24`): then the first free range is taken.
    pub ip_cidr_range: String,
    /// The secondary range of the subnetwork that it is of; the primary one without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subnetwork_range_name: Option<String>,
    /// Fields without an effect here.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

impl AliasIpRange {
    /// The range, unless it is only a length, or malformed.
    pub fn range(&self) -> Option<Ipv4Net> {
        let text = self.ip_cidr_range.as_str();
        let alone = text.parse::<Ipv4Addr>().ok().map(Ipv4Net::from);
        let range = alone.or_else(|| text.parse().ok());
        range.filter(|range| *range == range.trunc())
    }

    /// The name of its secondary range.
    pub fn secondary_name(&self) -> Option<&str> {
        let name = self.subnetwork_range_name.as_deref();
        name.filter(|name| !name.is_empty())
    }
}

impl NetworkInterface {
    /// Its alias addresses in the primary range, which are of this host and can be served.
    pub fn aliases(&self) -> impl Iterator<Item = Ipv4Addr> {
        let primary = self.alias_ip_ranges.iter();
        let primary = primary.filter(|alias| alias.secondary_name().is_none());
        primary.filter_map(|alias| Some(alias.range()?.addr()))
    }

    /// All its alias ranges.
    pub fn alias_ranges(&self) -> impl Iterator<Item = Ipv4Net> {
        self.alias_ip_ranges.iter().filter_map(AliasIpRange::range)
    }
}
