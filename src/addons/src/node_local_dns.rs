//! A DNS cache on every node.
//!
//! The caches are CoreDNS too, as pods in the pod network. They replace the central pods behind the Service
//! `kube-dns`: kube-proxy directs a pod's query to the cache on its node. Pods keep the address in their
//! `resolv.conf` for life. A cache at its own address (169.254.20.10) would therefore only serve new pods,
//! and cut them off once it is disabled. It would also need rules before those of kube-proxy, which differ
//! between iptables and nftables. A Service works the same with both, and falls back to another node's cache.

use super::images::Image;
use super::{NODE_LOCAL_DNS, SYSTEM, coredns, dns, object};
use hakube_model::ClusterSpec;
use serde_json::{Value, json};
use std::net::IpAddr;

/// The Service of the caches' upstream: the pods that `kube-dns` has without caches.
const UPSTREAM: &str = "kube-dns-upstream";

/// The caches, and the Service through which they reach CoreDNS.
pub fn objects(spec: &ClusterSpec) -> Vec<Value> {
    let upstream = upstream_address(spec);
    let mut settings = object("v1", "ConfigMap", Some(SYSTEM), NODE_LOCAL_DNS);
    settings["data"] = json!({"Corefile": corefile(&spec.network.dns_domain, upstream)});
    let mut service = object("v1", "Service", Some(SYSTEM), UPSTREAM);
    service["spec"] = json!({
        // The caches themselves can't resolve its name.
        "clusterIP": upstream,
        "selector": dns::selector(),
        "ports": dns::ports(),
    });
    vec![settings, service, daemon_set(spec)]
}

/// The address after that of `kube-dns`, or before it at the end of the range. It is low in the
/// range, from which Kubernetes doesn't assign addresses automatically.
pub fn upstream_address(spec: &ClusterSpec) -> IpAddr {
    let (dns, range) = (spec.network.dns_address, spec.network.service_range);
    let next = match dns {
        IpAddr::V4(address) => IpAddr::from(address.to_bits().wrapping_add(1).to_be_bytes()),
        IpAddr::V6(address) => IpAddr::from(address.to_bits().wrapping_add(1).to_be_bytes()),
    };
    if range.contains(&next) && next != range.broadcast() {
        return next;
    }
    match dns {
        IpAddr::V4(address) => IpAddr::from(address.to_bits().wrapping_sub(1).to_be_bytes()),
        IpAddr::V6(address) => IpAddr::from(address.to_bits().wrapping_sub(1).to_be_bytes()),
    }
}

/// The cluster's names are resolved by CoreDNS over TCP, which avoids timeouts of five seconds
/// after a lost packet. Other names are forwarded to the machine's resolvers.
fn corefile(domain: &str, upstream: IpAddr) -> String {
    format!(
        "{domain}:53 in-addr.arpa:53 ip6.arpa:53 {{
    errors
    cache 30 {{
        success 9984
        denial 9984 5
    }}
    forward . {upstream} {{
        force_tcp
    }}
    prometheus :9153
    reload
}}
.:53 {{
    errors
    health {{
        lameduck 5s
    }}
    ready
    cache 30
    forward . /etc/resolv.conf
    prometheus :9153
    reload
}}
"
    )
}

fn daemon_set(spec: &ClusterSpec) -> Value {
    let mut set = object("apps/v1", "DaemonSet", Some(SYSTEM), NODE_LOCAL_DNS);
    let mut container = coredns::container(spec);
    container["name"] = json!(NODE_LOCAL_DNS);
    container["image"] = json!(Image::CoreDns.reference(spec.addons.image_repository.as_deref()));
    container["resources"] = json!({
        "requests": {"cpu": "25m", "memory": "30Mi"},
        "limits": {"memory": "128Mi"},
    });
    set["spec"] = json!({
        "selector": {"matchLabels": dns::cache_selector()},
        // The new pod serves before the old one is deleted.
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "100%", "maxUnavailable": 0}},
        "template": {
            "metadata": {"labels": dns::cache_selector()},
            "spec": {
                "automountServiceAccountToken": false,
                "priorityClassName": "system-node-critical",
                "nodeSelector": {"kubernetes.io/os": "linux"},
                "tolerations": [{"operator": "Exists"}],
                "dnsPolicy": "Default",
                "containers": [container],
                "volumes": [{
                    "name": "config",
                    "configMap": {
                        "name": NODE_LOCAL_DNS,
                        "items": [{"key": "Corefile", "path": "Corefile"}],
                    },
                }],
            },
        },
    });
    set
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use hakube_testing::fixtures;

    #[test]
    fn the_upstreams_address_is_next_to_that_of_dns_and_in_the_range() {
        let upstream = |dns: &str| {
            let mut spec = fixtures::spec(&[]);
            spec.network.service_range = "10.0.0.0/26".parse().unwrap();
            spec.network.dns_address = dns.parse().unwrap();
            upstream_address(&spec).to_string()
        };
        assert_eq!(upstream("10.0.0.10"), "10.0.0.11");
        assert_eq!(upstream("10.0.0.61"), "10.0.0.62");
        assert_eq!(upstream("10.0.0.62"), "10.0.0.61", "63 is the range's last");
    }
}
