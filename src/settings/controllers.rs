//! kube-up's RUN_CONTROLLERS: which of the controller manager's controllers run.
//!
//! The grammar is that of kube-controller-manager's `--controllers`: `*` is all that run by default, `name` is one
//! that runs, `-name` one that doesn't. kube-up hands the list on as it is. hakube adds those to it that it rests on,
//! and refuses one that switches these off.

use super::parse::{Malformed, Parsed};
use serde::{Deserialize, Serialize};

/// A controller without which no node joins, by both of its names.
struct Needed {
    name: &'static str,
    alias: &'static str,
    /// Whether `*` has it.
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

/// The others that Kubernetes 1.31 to 1.36 knows, by both of their names.
/// Source: cmd/kube-controller-manager/names, and the aliases beside it.
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
    /// All that run by default.
    fn default() -> Self {
        Self(vec!["*".to_owned()])
    }
}

impl Controllers {
    /// The flag's value: the list, and what hakube adds to it.
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

    /// Names that no version of Kubernetes has that hakube knows. One that the controller manager doesn't know either
    /// keeps it from starting.
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
pub fn controllers(text: &str) -> Parsed<Controllers> {
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
                "{item:?} switches off what nodes join by, and hakube's rely on it"
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
    fn what_nodes_join_by_is_added_to_every_list() {
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
    fn names_that_kubernetes_does_not_have_are_known_as_such() {
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
