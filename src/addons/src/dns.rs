//! What CoreDNS and its caches share.

use super::NODE_LOCAL_DNS;
use semver::Version;
use serde_json::{Value, json};

/// The label of DNS pods, which Kubernetes' own tests expect.
const LABELS: (&str, &str) = ("k8s-app", "kube-dns");

/// The label of CoreDNS' pods.
pub(super) fn selector() -> Value {
    let (key, value) = LABELS;
    json!({key: value})
}

/// The ports of a Service of either.
pub(super) fn ports() -> Value {
    json!([
        {"name": "dns", "port": 53, "protocol": "UDP", "targetPort": 53},
        {"name": "dns-tcp", "port": 53, "protocol": "TCP", "targetPort": 53},
        {"name": "metrics", "port": 9153, "protocol": "TCP", "targetPort": 9153},
    ])
}

/// The label of the caches' pods.
pub(super) fn cache_selector() -> Value {
    json!({"k8s-app": NODE_LOCAL_DNS})
}

/// How `kube-dns` prefers the cache on the client's node. Kubernetes before 1.34 can only require it.
pub(super) fn traffic(kubernetes: &Version) -> (&'static str, &'static str) {
    if (kubernetes.major, kubernetes.minor) >= (1, 34) {
        ("trafficDistribution", "PreferSameNode")
    } else {
        ("internalTrafficPolicy", "Local")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn old_versions_require_the_local_cache() {
        let traffic = |version: &str| traffic(&version.parse().unwrap());
        assert_eq!(traffic("1.36.3"), ("trafficDistribution", "PreferSameNode"));
        assert_eq!(traffic("1.34.0"), ("trafficDistribution", "PreferSameNode"));
        assert_eq!(traffic("1.33.9"), ("internalTrafficPolicy", "Local"));
    }
}
