//! Which checksums are fetched, and when. They come from the operator's own list, so no server is needed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use hakube_model::IsNode;
use hakube_output::Event;
use hakube_testing::fixtures;

/// The one that the program installs when it starts: a client can't be made without.
fn with_tls() {
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
}

struct Silent;

impl Reporter for Silent {
    fn event(&self, _: &Event) {}
}

/// A URL where no server listens.
const IMAGES: &str = "http://127.0.0.1:9/images";
const CONTROL_PLANE_SUMS: [&str; 4] = [
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "etcd-v3.6.16-linux-amd64.tar.gz",
];
const NODE_SUMS: [&str; 5] = [
    "kubelet",
    "kube-proxy",
    "containerd-2.2.9-linux-amd64.tar.gz",
    "runc.amd64",
    "cni-plugins-linux-amd64-v1.9.1.tgz",
];

fn list(directory: &Path, names: &[&str]) -> String {
    let text: String = names
        .iter()
        .map(|name| format!("{}  {name}\n", "a".repeat(64)))
        .collect();
    let path = directory.join("SHA256SUMS");
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

fn settings(sums: &str, variables: &[(&str, &str)]) -> Settings {
    let base = [
        ("KUBERNETES_PROVIDER", "gce"),
        ("PROJECT", "demo-project"),
        ("ETCD_VERSION", "3.6.16"),
        ("HAKUBE_CONTAINERD_VERSION", "2.2.9"),
        ("HAKUBE_RUNC_VERSION", "1.3.4"),
        ("HAKUBE_CNI_VERSION", "1.9.1"),
        ("HAKUBE_SHA256SUMS", sums),
    ];
    fixtures::settings(&[&base, variables].concat())
}

/// A mirror needn't have programs that no machine runs.
#[tokio::test]
async fn a_cluster_without_nodes_asks_for_nothing_that_only_nodes_run() {
    with_tls();
    let scratch = tempfile::tempdir().unwrap();
    let sums = list(scratch.path(), &CONTROL_PLANE_SUMS);
    let alone = [("REGISTER_MASTER", "false"), ("NUM_NODES", "0")];
    let settings_of = |more: &[(&str, &str)]| {
        let mut variables = alone.to_vec();
        variables.extend(more);
        settings(&sums, &variables)
    };
    let alone = settings_of(&[("HAKUBE_IMAGES", IMAGES)]);
    let programs = find(&alone, "", &Silent).await.unwrap();
    assert!(
        matches!(programs.kubelet, Program::Deferred(_)),
        "{programs:?}"
    );
    assert_eq!(programs.downloads(IsNode::No).len(), 4);
    assert_eq!(programs.node_downloads(), [""; 0]);
    for more in [("REGISTER_MASTER", "true"), ("NUM_NODES", "1")] {
        let error = find(&settings_of(&[more]), "", &Silent).await.unwrap_err();
        assert!(error.message.contains("SHA-256 of"), "{more:?}: {error}");
    }

    // With its first node, what they run is asked for.
    let mut spec = alone.spec(programs);
    let stored = serde_json::to_string(&spec.programs).unwrap();
    spec.programs = serde_json::from_str(&stored).unwrap();
    let own = alone.releases.sums.as_deref();
    let error = complete(&mut spec, own).await.unwrap_err();
    assert!(error.message.contains("/kubelet is unknown"), "{error}");
    list(
        scratch.path(),
        &[&CONTROL_PLANE_SUMS[..], &NODE_SUMS].concat(),
    );
    let error = complete(&mut spec, own).await.unwrap_err();
    assert!(error.to_string().contains(IMAGES), "{error}");
    spec.programs.pods.as_mut().unwrap().deferred_images = None;
    complete(&mut spec, own).await.unwrap();
    assert_eq!(spec.programs.node_downloads().len(), 5);
    let complete_already = spec.clone();
    complete(&mut spec, None).await.unwrap();
    assert_eq!(spec, complete_already, "nothing is fetched twice");
}
