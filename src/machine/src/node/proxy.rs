//! kube-proxy, which implements Services.

use super::kubelet::Registration;
use super::{File, PREPARE, Service, unit};
use hakube_model::ClusterSpec;

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
        // The kubelet writes it once it has a certificate.
        before: vec![wait],
        ..Service::new("kube-proxy", flags)
    };
    [
        File::text(CONFIG, 0o644, configuration(spec, kubeconfig)),
        unit("kube-proxy.service", &service.render()),
    ]
}

/// kubeproxy.config.k8s.io/v1alpha1. JSON is valid YAML.
fn configuration(spec: &ClusterSpec, kubeconfig: &str) -> String {
    let config = serde_json::json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": spec.network.proxy_mode,
        "clusterCIDR": spec.network.cluster_range,
        "clientConnection": {"kubeconfig": kubeconfig},
        // Host preparation sets these. kube-proxy would exit if the kernel refused them.
        "conntrack": {
            "maxPerCore": 0,
            "min": 0,
            "tcpEstablishedTimeout": "0s",
            "tcpCloseWaitTimeout": "0s",
        },
    });
    format!("{config:#}\n")
}
