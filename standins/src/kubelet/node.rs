//! The Node object that this machine registers.

use std::collections::BTreeMap;
use std::fs::read_to_string;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Node;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::Result;
use crate::flags::Flags;
use crate::version::{Version, go_arch};

/// The label of nodes that run no pods.
pub const HOLLOW_LABEL: &str = "hakube.io/hollow";

/// `--config`: `kubelet.config.k8s.io/v1beta1`, as far as a kubelet without pods uses it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Configuration {
    pub(super) node_lease_duration_seconds: u32,
    max_pods: u32,
    eviction_hard: BTreeMap<String, String>,
}

impl Default for Configuration {
    fn default() -> Self {
        Self {
            node_lease_duration_seconds: 40,
            max_pods: 110,
            eviction_hard: BTreeMap::new(),
        }
    }
}

/// The real kubelet's eviction signals.
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

impl Configuration {
    /// Reads the file of the flag, or returns the defaults.
    pub(super) fn read(flags: &Flags) -> Result<Self> {
        if flags.text("config").is_none() {
            return Ok(Self::default());
        }
        let text = flags.read("config")?;
        Self::parse(&String::from_utf8_lossy(&text)).map_err(|why| format!("--config: {why}"))
    }

    fn parse(text: &str) -> Result<Self> {
        let configuration: Self =
            serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
        let mut signals = configuration.eviction_hard.keys();
        match signals.find(|signal| !SIGNALS.contains(&signal.as_str())) {
            Some(signal) => Err(format!("unrecognized eviction signal {signal}")),
            None => Ok(configuration),
        }
    }
}

/// The node as flags, configuration and machine describe it: ready as of now.
pub(super) fn described(
    flags: &Flags,
    configuration: &Configuration,
    version: &Version,
) -> Result<Node> {
    let system = nix::sys::utsname::uname().map_err(|error| format!("uname: {error}"))?;
    let name = flags.required("hostname-override")?;
    let mut labels: Map<String, Value> = [
        ("kubernetes.io/hostname", name),
        ("kubernetes.io/os", "linux"),
        ("kubernetes.io/arch", go_arch()),
        (HOLLOW_LABEL, "true"),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value.into()))
    .collect();
    for label in flags.list("node-labels") {
        let (key, value) = label
            .split_once('=')
            .ok_or_else(|| format!("--node-labels: {label:?} is not of the form key=value"))?;
        labels.insert(key.to_owned(), value.into());
    }
    let mut taints = Vec::new();
    for taint in flags.list("register-with-taints") {
        taints.push(parse_taint(taint).ok_or_else(|| {
            format!("--register-with-taints: {taint:?} is not of the form key=value:effect")
        })?);
    }
    let mut addresses: Vec<Value> = flags
        .list("node-ip")
        .map(|ip| json!({"type": "InternalIP", "address": ip}))
        .collect();
    addresses.push(json!({"type": "Hostname", "address": name}));

    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let meminfo = read_to_string("/proc/meminfo").unwrap_or_default();
    let memory = after(&meminfo, "MemTotal:").and_then(|line| line.split_whitespace().next());
    let release = read_to_string("/etc/os-release").unwrap_or_default();
    let capacity = json!({
        "cpu": cpus.to_string(),
        "memory": format!("{}Ki", memory.unwrap_or("0")),
        "pods": configuration.max_pods.to_string(),
    });
    let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let node = json!({
        "metadata": {"name": name, "labels": labels},
        "spec": {"taints": taints},
        "status": {
            "addresses": addresses,
            "capacity": capacity,
            "allocatable": capacity,
            "conditions": [{
                "type": "Ready",
                "status": "True",
                "reason": "KubeletReady",
                "message": "hakube's stand-in for a kubelet is ready; it runs no pods",
                "lastHeartbeatTime": now,
                "lastTransitionTime": now,
            }],
            "nodeInfo": {
                "machineID": "",
                "systemUUID": "",
                "bootID": "",
                "kernelVersion": system.release().to_string_lossy(),
                "osImage": after(&release, "PRETTY_NAME=").unwrap_or("Linux").trim_matches('"'),
                "containerRuntimeVersion": "none://hakube.stand-in",
                "kubeletVersion": version.to_string(),
                "kubeProxyVersion": "",
                "operatingSystem": "linux",
                "architecture": go_arch(),
            },
        },
    });
    serde_json::from_value(node).map_err(|error| error.to_string())
}

/// Whether the registered node matches `described` and is ready.
pub(super) fn is_up_to_date(node: &Node, described: &Node) -> bool {
    let (Some(now), Some(wanted)) = (&node.status, &described.status) else {
        return false;
    };
    let mut conditions = now.conditions.iter().flatten();
    conditions.any(|condition| condition.type_ == "Ready" && condition.status == "True")
        && now.addresses == wanted.addresses
        && now.capacity == wanted.capacity
        && now.node_info == wanted.node_info
}

/// `key=value:effect` or `key:effect`
fn parse_taint(text: &str) -> Option<Value> {
    let (key, effect) = text.rsplit_once(':')?;
    let (key, value) = key.split_once('=').unwrap_or((key, ""));
    let is_known = matches!(effect, "NoSchedule" | "PreferNoSchedule" | "NoExecute");
    (is_known && !key.is_empty()).then(|| json!({"key": key, "value": value, "effect": effect}))
}

/// The rest of the first line that starts with `prefix`.
fn after<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(prefix))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::flags::KUBELET;

    fn describe(args: &[&str]) -> Result<Node> {
        let name = "--hostname-override=n1";
        let args = args.iter().chain([&name]).map(std::ffi::OsString::from);
        let flags = Flags::parse(KUBELET, args)?;
        let version = Version::take(&mut std::iter::empty().peekable())?;
        described(&flags, &Configuration::default(), &version)
    }

    #[test]
    fn a_node_follows_its_flags() {
        let node = describe(&[
            "--node-ip=127.0.0.9",
            "--node-labels=topology.kubernetes.io/zone=b,x=",
            "--register-with-taints=node-role.kubernetes.io/control-plane:NoSchedule,a=b:NoExecute",
        ]);
        let node = serde_json::to_value(node.unwrap()).unwrap();
        assert_eq!(node["metadata"]["name"], "n1");
        let labels = &node["metadata"]["labels"];
        assert_eq!(labels["topology.kubernetes.io/zone"], "b");
        assert_eq!(
            node["spec"]["taints"],
            json!([
                {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule", "value": ""},
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
        let described = describe(&[]).unwrap();
        let mut node = described.clone();
        assert!(is_up_to_date(&node, &described));
        let mut conditions = node.status.as_mut().unwrap().conditions.iter_mut();
        conditions.next().unwrap()[0].status = "Unknown".to_owned();
        assert!(!is_up_to_date(&node, &described));
    }

    #[test]
    fn eviction_thresholds_are_for_known_signals() {
        let parse = |thresholds| Configuration::parse(&format!("evictionHard: {thresholds}"));
        assert!(parse("{memory.available: 250Mi, nodefs.available: 10%}").is_ok());
        let said = parse("{memory.free: 250Mi}").unwrap_err();
        assert_eq!(said, "unrecognized eviction signal memory.free");
    }
}
