//! `--config`: KubeletConfiguration, as far as a kubelet without pods uses it.

use serde::Deserialize;
use serde_json::Value;

use crate::error::Result;
use crate::flags::Flags;

/// `kubelet.config.k8s.io/v1beta1`. The many other fields are left unread.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct KubeletConfiguration {
    kind: String,
    /// Seconds.
    pub node_lease_duration_seconds: u64,
    /// How many pods the node says it would run.
    pub max_pods: u32,
    /// Taints of a new node.
    pub register_with_taints: Vec<Value>,
    /// What the cloud calls the machine.
    #[serde(rename = "providerID")]
    pub provider_id: String,
}

impl Default for KubeletConfiguration {
    fn default() -> Self {
        Self {
            kind: KIND.to_owned(),
            node_lease_duration_seconds: 40,
            max_pods: 110,
            register_with_taints: Vec::new(),
            provider_id: String::new(),
        }
    }
}

const KIND: &str = "KubeletConfiguration";

impl KubeletConfiguration {
    /// Reads the file that the flag names, or takes the defaults.
    pub fn of(flags: &Flags) -> Result<Self> {
        if flags.text("config").is_none() {
            return Ok(Self::default());
        }
        let text = flags.read("config")?;
        let text =
            std::str::from_utf8(&text).map_err(|error| flags.bad_content("config", error))?;
        let config: Self =
            serde_saphyr::from_str(text).map_err(|error| flags.bad_content("config", error))?;
        if config.kind != KIND {
            return Err(flags.bad_content(
                "config",
                format!("its kind is {:?}, not {KIND}", config.kind),
            ));
        }
        Ok(config)
    }
}
