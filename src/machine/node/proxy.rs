//! kube-proxy: Services' addresses.

use super::kubelet::Registration;
use super::{File, PREPARE, Service, unit};
use crate::cluster::ClusterSpec;

const CONFIG: &str = "/etc/kubernetes/kube-proxy.yaml";

pub(super) fn files(
    spec: &ClusterSpec,
    registration: &Registration<'_>,
    downloads: Option<&str>,
) -> [File; 2] {
    let kubeconfig = registration.kubeconfig();
    let wait = format!("/bin/sh -c 'until [ -s {kubeconfig} ]; do sleep 1; done'");
    let flags = vec![
        format!("--config={CONFIG}"),
        format!("--hostname-override={}", registration.name()),
    ];
    let service = Service {
        requires: [Some(PREPARE), downloads].into_iter().flatten().collect(),
        environment: registration.environment(),
        variables: registration.variables(),
        // The kubelet writes it when it has a certificate.
        before: vec![wait],
        ..Service::new("kube-proxy", flags)
    };
    [
        File::text(CONFIG, 0o644, configuration(spec, kubeconfig)),
        unit("kube-proxy.service", &service.render()),
    ]
}

/// kubeproxy.config.k8s.io/v1alpha1. JSON is YAML.
fn configuration(spec: &ClusterSpec, kubeconfig: &str) -> String {
    let config = serde_json::json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": spec.network.proxy_mode,
        "clusterCIDR": spec.network.cluster_range,
        "clientConnection": {"kubeconfig": kubeconfig},
        // The preparation of the host sets these: where the kernel won't let it, kube-proxy would end.
        "conntrack": {
            "maxPerCore": 0,
            "min": 0,
            "tcpEstablishedTimeout": "0s",
            "tcpCloseWaitTimeout": "0s",
        },
    });
    format!("{config:#}\n")
}
