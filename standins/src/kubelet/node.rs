//! The Node object that this machine registers.

use std::path::Path;

use nix::sys::utsname::uname;
use serde_json::{Map, Value, json};

use super::config::KubeletConfiguration;
use crate::error::{Result, StartError};
use crate::flags::Flags;
use crate::version::{Version, go_arch};

/// What tells a node that runs no pods from one that does.
pub const HOLLOW_LABEL: &str = "hakube.io/hollow";

/// What the node says of itself. Fixed for the life of the process.
pub struct NodeDescription {
    name: String,
    labels: Map<String, Value>,
    taints: Vec<Value>,
    provider_id: Option<String>,
    status: Value,
}

impl NodeDescription {
    /// Of flags, configuration and machine.
    pub fn new(flags: &Flags, config: &KubeletConfiguration, version: &Version) -> Result<Self> {
        let system = uname().map_err(|error| StartError::System {
            what: "can't ask the system for its name",
            source: error.into(),
        })?;
        let host = system.nodename().to_string_lossy().to_lowercase();
        let name = flags.text("hostname-override").map_or(host, str::to_owned);
        let mut labels = Map::from_iter([
            (
                "kubernetes.io/hostname".to_owned(),
                Value::from(name.as_str()),
            ),
            ("kubernetes.io/os".to_owned(), "linux".into()),
            ("kubernetes.io/arch".to_owned(), go_arch().into()),
            ("beta.kubernetes.io/os".to_owned(), "linux".into()),
            ("beta.kubernetes.io/arch".to_owned(), go_arch().into()),
            (HOLLOW_LABEL.to_owned(), "true".into()),
        ]);
        for label in flags.list("node-labels") {
            let (key, value) = label.split_once('=').ok_or_else(|| {
                StartError::Usage(format!(
                    "--node-labels: {label:?} is not a label; the form is key=value,…"
                ))
            })?;
            labels.insert(key.to_owned(), value.into());
        }
        let mut taints = config.register_with_taints.clone();
        for taint in flags.list("register-with-taints") {
            taints.push(parse_taint(taint).ok_or_else(|| {
                StartError::Usage(format!(
                    "--register-with-taints: {taint:?} is not a taint; the form is key=value:effect,… with effect \
                     NoSchedule, PreferNoSchedule or NoExecute"
                ))
            })?);
        }
        let mut addresses: Vec<Value> = flags
            .list("node-ip")
            .iter()
            .map(|ip| json!({"type": "InternalIP", "address": ip}))
            .collect();
        addresses.push(json!({"type": "Hostname", "address": name}));
        let provider_id = flags.text("provider-id").unwrap_or(&config.provider_id);
        Ok(Self {
            labels,
            taints,
            provider_id: (!provider_id.is_empty()).then(|| provider_id.to_owned()),
            status: json!({
                "addresses": addresses,
                "capacity": capacity(config),
                "allocatable": capacity(config),
                "nodeInfo": {
                    "machineID": "",
                    "systemUUID": "",
                    "bootID": "",
                    "kernelVersion": system.release().to_string_lossy(),
                    "osImage": os_image(Path::new("/etc/os-release")),
                    "containerRuntimeVersion": "none://hakube.stand-in",
                    "kubeletVersion": version.to_string(),
                    "kubeProxyVersion": "",
                    "operatingSystem": "linux",
                    "architecture": go_arch(),
                },
            }),
            name,
        })
    }

    /// The node's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The object to register.
    pub fn object(&self) -> Value {
        let mut spec = json!({});
        if !self.taints.is_empty() {
            spec["taints"] = self.taints.clone().into();
        }
        if let Some(provider_id) = &self.provider_id {
            spec["providerID"] = provider_id.as_str().into();
        }
        json!({
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": self.name, "labels": self.labels},
            "spec": spec,
            "status": self.status(),
        })
    }

    /// The status: ready, since now.
    pub fn status(&self) -> Value {
        let now = jiff::Timestamp::now()
            .strftime("%Y-%m-%dT%H:%M:%SZ")
            .to_string();
        let mut status = self.status.clone();
        status["conditions"] = json!([{
            "type": "Ready",
            "status": "True",
            "reason": "KubeletReady",
            "message": "hakube's stand-in for a kubelet is ready; it runs no pods",
            "lastHeartbeatTime": now,
            "lastTransitionTime": now,
        }]);
        status
    }
}

/// Whether the registered node says what `described` says, and that it is ready.
pub fn is_up_to_date(node: &Value, described: &Value) -> bool {
    let ready = |node: &Value| {
        node["status"]["conditions"].as_array().is_some_and(|all| {
            all.iter()
                .any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
        })
    };
    let fixed = ["addresses", "nodeInfo", "capacity"];
    ready(node)
        && fixed
            .iter()
            .all(|field| node["status"][field] == described["status"][field])
}

/// `key=value:effect` or `key:effect`
fn parse_taint(text: &str) -> Option<Value> {
    let (key, effect) = text.rsplit_once(':')?;
    let (key, value) = key.split_once('=').unwrap_or((key, ""));
    let known = matches!(effect, "NoSchedule" | "PreferNoSchedule" | "NoExecute");
    (known && !key.is_empty()).then(|| {
        let mut taint = json!({"key": key, "effect": effect});
        if !value.is_empty() {
            taint["value"] = value.into();
        }
        taint
    })
}

fn capacity(config: &KubeletConfiguration) -> Value {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:")?.split_whitespace().next());
    json!({
        "cpu": cpus.to_string(),
        "memory": format!("{}Ki", kib.unwrap_or("0")),
        "pods": config.max_pods.to_string(),
    })
}

fn os_image(release: &Path) -> String {
    let text = std::fs::read_to_string(release).unwrap_or_default();
    let pretty = text
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="));
    pretty.map_or_else(
        || "Linux".to_owned(),
        |name| name.trim_matches('"').to_owned(),
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::flags::{COMMON, kubelet};

    fn describe(args: &[&str]) -> Result<NodeDescription> {
        let args = args.iter().map(std::ffi::OsString::from);
        let flags = Flags::parse("kubelet", &[kubelet::FLAGS, COMMON], args)?;
        NodeDescription::new(
            &flags,
            &KubeletConfiguration::default(),
            &Version::default(),
        )
    }

    #[test]
    fn a_node_is_what_its_flags_say() {
        let node = describe(&[
            "--hostname-override=n1",
            "--node-ip=127.0.0.9",
            "--node-labels=topology.kubernetes.io/zone=b,x=",
            "--register-with-taints=node-role.kubernetes.io/control-plane:NoSchedule,a=b:NoExecute",
        ])
        .unwrap()
        .object();
        assert_eq!(node["metadata"]["name"], "n1");
        assert_eq!(
            node["metadata"]["labels"]["topology.kubernetes.io/zone"],
            "b"
        );
        assert_eq!(
            node["spec"]["taints"],
            json!([
                {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"},
                {"key": "a", "effect": "NoExecute", "value": "b"},
            ])
        );
        assert_eq!(
            node["status"]["addresses"][0],
            json!({"type": "InternalIP", "address": "127.0.0.9"})
        );
        assert_eq!(
            node["status"]["nodeInfo"]["kubeletVersion"],
            "v1.36.0+hakube.stand-in"
        );
    }

    #[test]
    fn malformed_labels_and_taints_are_refused() {
        assert!(describe(&["--node-labels=zone"]).is_err());
        assert!(describe(&["--register-with-taints=a=b:Never"]).is_err());
    }

    #[test]
    fn a_node_marked_unknown_is_out_of_date() {
        let mut node = describe(&["--hostname-override=n1"]).unwrap().object();
        let described = node.clone();
        assert!(is_up_to_date(&node, &described));
        node["status"]["conditions"][0]["status"] = "Unknown".into();
        assert!(!is_up_to_date(&node, &described));
    }
}
