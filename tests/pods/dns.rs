//! The cluster's DNS: node-local caches, enabled and disabled under running pods.

use super::lab::Lab;
use super::workload;

const NAME: &str = "web.default.svc.cluster.local";

/// Pods use their node's cache while it exists, and CoreDNS before and after, without interruption.
pub fn caches_are_enabled_and_disabled_under_running_pods(lab: &Lab, nodes: &[&str]) {
    let (pod, node) = workload::a_pod(lab);
    resolves(lab, &pod);
    switch(lab, "true");
    let caches = caches(lab);
    let on: Vec<&str> = caches.iter().map(|(_, on)| on.as_str()).collect();
    assert_eq!(on, nodes, "one on each node");
    let (cache, _) = caches.iter().find(|(_, on)| *on == node).unwrap();
    // kube-proxy redirects a pod's queries within a second.
    let before = asked(lab, cache);
    lab.await_kubectl(
        "the pod's own node's cache is used",
        &["exec", &pod, "--", "nslookup", NAME],
        |_| asked(lab, cache) > before,
    );
    let before = asked(lab, cache);
    for _ in 0..20 {
        resolves(lab, &pod);
    }
    assert!(
        asked(lab, cache) >= before + 20,
        "all queries go to the cache"
    );

    switch(lab, "false");
    resolves(lab, &pod);
    let left = [
        "get",
        "daemonsets,services,configmaps",
        "--namespace=kube-system",
        "--selector=hakube.io/addon=node-local-dns",
        "--output=name",
    ];
    assert_eq!(lab.kubectl(&left), "");
    let status = lab.hakube(&["status", "--output", "json"]);
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    assert_eq!(status["drift"], serde_json::json!([]), "{status:#}");
}

/// An `up` that changes only this setting of an existing cluster.
fn switch(lab: &Lab, enabled: &str) {
    let arguments = ["up"];
    let mut command = lab.hakube_command(&arguments);
    command.env("KUBE_ENABLE_NODELOCAL_DNS", enabled);
    lab.succeeds(&mut command, &arguments);
}

/// An existing pod can resolve the Service.
fn resolves(lab: &Lab, pod: &str) {
    let said = lab.kubectl(&["exec", pod, "--", "nslookup", NAME]);
    assert!(said.contains(NAME) && said.contains("Address"), "{said}");
}

/// The caches' pods and their nodes, sorted by node.
fn caches(lab: &Lab) -> Vec<(String, String)> {
    let text = lab.kubectl(&[
        "get",
        "pods",
        "--namespace=kube-system",
        "--selector=k8s-app=node-local-dns",
        "--output=jsonpath={range .items[*]}{.spec.nodeName} {.metadata.name}{\"\\n\"}{end}",
    ]);
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    let pairs = lines.into_iter().filter_map(|line| line.split_once(' '));
    pairs
        .map(|(node, pod)| (pod.to_owned(), node.to_owned()))
        .collect()
}

/// The number of queries to a cache for names of the cluster.
fn asked(lab: &Lab, cache: &str) -> u64 {
    let path = format!("--raw=/api/v1/namespaces/kube-system/pods/{cache}:9153/proxy/metrics");
    let metrics = lab.kubectl(&["get", &path]);
    let counts = metrics.lines().filter(|line| {
        line.starts_with("coredns_dns_requests_total{") && line.contains("cluster.local.")
    });
    counts
        .filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok())
        .sum::<f64>() as u64
}
