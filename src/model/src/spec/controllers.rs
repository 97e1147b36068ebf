//! kube-up's RUN_CONTROLLERS: the controllers that the controller manager runs.
//!
//! The grammar is that of kube-controller-manager's `--controllers`: `*` is all that run by
//! default, `name` runs a controller, `-name` doesn't. kube-up passes the list on unchanged. hakube
//! adds the controllers that it requires, and refuses a list that switches them off.

use super::malformed::Malformed;
use serde::{Deserialize, Serialize};

/// A controller that nodes need to join, by both of its names.
struct Needed {
    name: &'static str,
    alias: &'static str,
    /// Whether `*` includes it.
    by_default: bool,
}

const NEEDED: [Needed; 4] = [
    Needed {
        name: "bootstrap-signer-controller",
        alias: "bootstrapsigner",
        by_default: false,
    },
    Needed {
        name: "token-cleaner-controller",
        alias: "tokencleaner",
        by_default: false,
    },
    Needed {
        name: "certificatesigningrequest-approving-controller",
        alias: "csrapproving",
        by_default: true,
    },
    Needed {
        name: "certificatesigningrequest-signing-controller",
        alias: "csrsigning",
        by_default: true,
    },
];

impl Needed {
    fn is(&self, name: &str) -> bool {
        name == self.name || name == self.alias
    }
}

/// The other controllers of Kubernetes 1.31 to 1.36, by name and alias. Source:
/// cmd/kube-controller-manager/names, and the aliases next to it.
const OTHERS: &[(&str, &str)] = &[
    ("serviceaccount-token-controller", "serviceaccount-token"),
    ("endpoints-controller", "endpoint"),
    ("endpointslice-controller", "endpointslice"),
    (
        "endpointslice-mirroring-controller",
        "endpointslicemirroring",
    ),
    ("replicationcontroller-controller", "replicationcontroller"),
    ("pod-garbage-collector-controller", "podgc"),
    ("resourcequota-controller", "resourcequota"),
    ("namespace-controller", "namespace"),
    ("serviceaccount-controller", "serviceaccount"),
    ("garbage-collector-controller", "garbagecollector"),
    ("daemonset-controller", "daemonset"),
    ("job-controller", "job"),
    ("deployment-controller", "deployment"),
    ("replicaset-controller", "replicaset"),
    (
        "horizontal-pod-autoscaler-controller",
        "horizontalpodautoscaling",
    ),
    ("disruption-controller", "disruption"),
    ("statefulset-controller", "statefulset"),
    ("cronjob-controller", "cronjob"),
    ("certificatesigningrequest-cleaner-controller", "csrcleaner"),
    ("ttl-controller", "ttl"),
    ("node-ipam-controller", "nodeipam"),
    ("node-lifecycle-controller", "nodelifecycle"),
    ("service-lb-controller", "service"),
    ("node-route-controller", "route"),
    ("cloud-node-lifecycle-controller", "cloud-node-lifecycle"),
    (
        "persistentvolume-binder-controller",
        "persistentvolume-binder",
    ),
    ("persistentvolume-attach-detach-controller", "attachdetach"),
    (
        "persistentvolume-expander-controller",
        "persistentvolume-expander",
    ),
    (
        "clusterrole-aggregation-controller",
        "clusterrole-aggregation",
    ),
    (
        "persistentvolumeclaim-protection-controller",
        "pvc-protection",
    ),
    ("persistentvolume-protection-controller", "pv-protection"),
    ("ttl-after-finished-controller", "ttl-after-finished"),
    (
        "root-ca-certificate-publisher-controller",
        "root-ca-cert-publisher",
    ),
    ("ephemeral-volume-controller", "ephemeral-volume"),
    (
        "storageversion-garbage-collector-controller",
        "storage-version-gc",
    ),
    ("resourceclaim-controller", "resource-claim-controller"),
    (
        "legacy-serviceaccount-token-cleaner-controller",
        "legacy-service-account-token-cleaner",
    ),
    ("taint-eviction-controller", ""),
    ("device-taint-eviction-controller", ""),
    ("validatingadmissionpolicy-status-controller", ""),
    ("service-cidr-controller", ""),
    ("storage-version-migrator-controller", ""),
    ("selinux-warning-controller", ""),
    ("podcertificaterequest-cleaner-controller", ""),
    (
        "kube-apiserver-serving-clustertrustbundle-publisher-controller",
        "",
    ),
];

/// A list of controllers, as the operator wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Controllers(Vec<String>);

impl Default for Controllers {
    /// All controllers that run by default.
    fn default() -> Self {
        Self(vec!["*".to_owned()])
    }
}

impl Controllers {
    /// The flag's value: the list and the required controllers.
    pub fn flag(&self) -> String {
        let all = self.0.iter().any(|item| item == "*");
        let runs =
            |needed: &Needed| all && needed.by_default || self.0.iter().any(|item| needed.is(item));
        let added = NEEDED
            .iter()
            .filter(|needed| !runs(needed))
            .map(|needed| needed.alias);
        let items = self.0.iter().map(String::as_str);
        items.chain(added).collect::<Vec<_>>().join(",")
    }

    /// Names that hakube doesn't know from any version of Kubernetes. The controller manager
    /// doesn't start with a name that it doesn't know.
    pub fn unknown(&self) -> Vec<&str> {
        let names = self.0.iter().map(|item| item.trim_start_matches('-'));
        names
            .filter(|name| {
                let other = |known: &(&str, &str)| known.0 == *name || known.1 == *name;
                *name != "*"
                    && !NEEDED.iter().any(|needed| needed.is(name))
                    && !OTHERS.iter().any(other)
            })
            .collect()
    }
}

/// The controllers of a list such as `*,-ttl-controller`.
pub fn controllers(text: &str) -> Result<Controllers, Malformed> {
    let items: Vec<String> = text.split(',').map(|item| item.trim().to_owned()).collect();
    for item in &items {
        let name = item.strip_prefix('-').unwrap_or(item);
        let is_name = name.starts_with(|c: char| c.is_ascii_lowercase())
            && name
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        if item != "*" && !is_name {
            return Err(Malformed(format!("{item:?} isn't a controller's name")));
        }
        if item.starts_with('-') && NEEDED.iter().any(|needed| needed.is(name)) {
            return Err(Malformed(format!(
                "{item:?} switches off a controller that nodes need to join"
            )));
        }
    }
    Ok(Controllers(items))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn controllers_required_to_join_are_added_to_every_list() {
        for (list, flag) in [
            ("*", "*,bootstrapsigner,tokencleaner"),
            ("*,-ttl", "*,-ttl,bootstrapsigner,tokencleaner"),
            (
                "*, bootstrap-signer-controller",
                "*,bootstrap-signer-controller,tokencleaner",
            ),
            (
                "deployment,replicaset",
                "deployment,replicaset,bootstrapsigner,tokencleaner,csrapproving,csrsigning",
            ),
        ] {
            assert_eq!(controllers(list).unwrap().flag(), flag);
        }
        assert_eq!(
            Controllers::default().flag(),
            "*,bootstrapsigner,tokencleaner"
        );
    }

    #[test]
    fn unknown_controller_names_are_found() {
        let list = controllers("*,-nodeipam,-deploymant,csrsigning,job-controller").unwrap();
        assert_eq!(list.unknown(), ["deploymant"]);
    }

    #[test]
    fn no_two_controllers_share_a_name() {
        let mut names = std::collections::BTreeSet::new();
        let both = |(name, alias): &(&'static str, &'static str)| [*name, *alias];
        let needed = NEEDED.iter().flat_map(|needed| [needed.name, needed.alias]);
        for name in OTHERS.iter().flat_map(both).chain(needed) {
            assert!(name.is_empty() || names.insert(name), "{name}");
        }
    }
}
