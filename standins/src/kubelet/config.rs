//! `--config`: KubeletConfiguration, as far as a kubelet without pods uses it.

use std::collections::BTreeMap;

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
    /// Below what pods would be evicted.
    eviction_hard: BTreeMap<String, String>,
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
            eviction_hard: BTreeMap::new(),
            provider_id: String::new(),
        }
    }
}

const KIND: &str = "KubeletConfiguration";

/// What the real kubelet has thresholds for.
const SIGNALS: [&str; 9] = [
    "memory.available",
    "allocatableMemory.available",
    "nodefs.available",
    "nodefs.inodesFree",
    "imagefs.available",
    "imagefs.inodesFree",
    "containerfs.available",
    "containerfs.inodesFree",
    "pid.available",
];

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
        let mut signals = config.eviction_hard.keys();
        if let Some(signal) = signals.find(|signal| !SIGNALS.contains(&signal.as_str())) {
            let reason = format!("unrecognized eviction signal {signal}");
            return Err(flags.bad_content("config", reason));
        }
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::flags::kubelet::FLAGS;

    fn read(thresholds: &str) -> Result<KubeletConfiguration> {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = format!("kind: {KIND}\nevictionHard: {thresholds}\n");
        std::fs::write(file.path(), text).unwrap();
        let flag = format!("--config={}", file.path().display());
        let flags = Flags::parse("kubelet", &[FLAGS], [flag.into()].into_iter()).unwrap();
        KubeletConfiguration::of(&flags)
    }

    #[test]
    fn thresholds_are_for_what_a_kubelet_watches() {
        assert!(read("{memory.available: 250Mi, nodefs.available: 10%}").is_ok());
        let said = read("{memory.free: 250Mi}").unwrap_err().to_string();
        assert!(
            said.contains("unrecognized eviction signal memory.free"),
            "{said}"
        );
    }
}
