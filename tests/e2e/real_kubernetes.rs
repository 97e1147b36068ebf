//! The local cloud with Kubernetes' own programs: addons are applied, restored, removed; hollow nodes join.
//!
//! scripts/lib/kubernetes-programs builds the programs, once per machine.

use crate::support::{Home, eventually};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

const WITHOUT: &str = "HAKUBE_TESTS_WITHOUT_KUBERNETES";

/// The directory of the programs; `None` if the environment says that this machine has none.
pub fn programs() -> Option<PathBuf> {
    if std::env::var_os(WITHOUT).is_some() {
        return None;
    }
    let built = std::env::var_os("HAKUBE_TEST_KUBERNETES").map(PathBuf::from);
    assert!(
        built.is_some(),
        "HAKUBE_TEST_KUBERNETES isn't set to the directory that scripts/lib/kubernetes-programs prints: run scripts/test, \
         or set {WITHOUT}=1"
    );
    built.map(|built| built.join("bin"))
}

struct Cluster {
    home: Home,
    programs: PathBuf,
}

impl Cluster {
    fn kubectl(&self, arguments: &[&str]) -> Result<String, String> {
        let output = Command::new(self.programs.join("kubectl"))
            .env("KUBECONFIG", self.home.kubeconfig())
            .args(arguments)
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() {
            Ok(text(&output.stdout))
        } else {
            Err(text(&output.stderr))
        }
    }

    fn corefile(&self) -> String {
        let path = "jsonpath={.data.Corefile}";
        let arguments = [
            "-n",
            "kube-system",
            "get",
            "configmap",
            "coredns",
            "-o",
            path,
        ];
        self.kubectl(&arguments).unwrap()
    }

    async fn addons(&self) -> Vec<(String, String)> {
        let status = self.home.status().await;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let addons = status["addons"].as_array().unwrap().iter();
        addons
            .map(|addon| (text(&addon["name"]), text(&addon["state"])))
            .collect()
    }
}

/// A cluster with Kubernetes' own control plane.
fn real(programs: PathBuf) -> Cluster {
    let mut home = Home::new();
    home.set("HAKUBE_STAND_INS", "false");
    home.set("HAKUBE_KUBE_BINARIES", programs.to_str().unwrap());
    Cluster { home, programs }
}

const OWN: &str = "\
apiVersion: example.test/v1
kind: Widget
metadata: {name: first}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.test}
spec:
  group: example.test
  names: {kind: Widget, plural: widgets}
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object}}
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn addons_are_applied_restored_and_removed() {
    let Some(programs) = programs() else { return };
    let mut cluster = real(programs);
    cluster.home.set("MULTIZONE", "true");
    let home = &cluster.home;
    let own = home.beside("own.yaml");
    std::fs::write(&own, OWN).unwrap();

    home.run(&format!("up --manifests {}", own.display()))
        .await
        .succeeded();
    let names: Vec<String> = cluster
        .addons()
        .await
        .into_iter()
        .map(|one| one.0)
        .collect();
    assert_eq!(
        names,
        [
            "coredns",
            "flannel",
            "identity",
            "manifests",
            "metrics-server",
            "rbac"
        ]
    );
    assert_eq!(home.status().await["drift"], serde_json::json!([]));
    cluster
        .kubectl(&["create", "deployment", "web", "--image=web"])
        .unwrap();
    cluster.kubectl(&["get", "widget", "first"]).unwrap();

    // Manual changes are detected and reverted.
    let wanted = cluster.corefile();
    let patch = r#"{"data":{"Corefile":"changed"}}"#;
    let namespaced = ["-n", "kube-system"];
    let change = ["patch", "configmap", "coredns", "--type=merge", "-p", patch];
    cluster
        .kubectl(&[&namespaced[..], &change].concat())
        .unwrap();
    let delete = ["delete", "service", "kube-dns"];
    cluster
        .kubectl(&[&namespaced[..], &delete].concat())
        .unwrap();
    let drift = home.status().await["drift"].to_string();
    assert!(drift.contains("addon coredns"), "{drift}");
    home.run("repair").await.succeeded();
    assert_eq!(cluster.corefile(), wanted);
    home.run("repair")
        .await
        .succeeded()
        .says(&["Nothing to do"]);

    home.run("replicate").await.succeeded();
    assert_eq!(home.status().await["drift"], serde_json::json!([]));

    // A disabled addon is removed; the others are kept.
    home.run_with(
        &[
            ("KUBE_ENABLE_METRICS_SERVER", "false"),
            ("HAKUBE_MANIFESTS", "none"),
        ],
        "up",
    )
    .await
    .succeeded();
    let gone = cluster.kubectl(&["-n", "kube-system", "get", "deployment", "metrics-server"]);
    assert!(gone.unwrap_err().contains("NotFound"));
    assert!(cluster.kubectl(&["get", "widgets"]).is_err());
    cluster.kubectl(&["get", "deployment", "web"]).unwrap();
    let names: Vec<String> = cluster
        .addons()
        .await
        .into_iter()
        .map(|one| one.0)
        .collect();
    assert_eq!(names, ["coredns", "flannel", "identity", "rbac"]);

    // A manifest that the API server rejects is reported with file, document and line.
    std::fs::write(
        &own,
        "apiVersion: v1\nkind: Service\nmetadata: {name: bad}\nspec: {ports: [{port: 99999}]}\n",
    )
    .unwrap();
    home.run(&format!("up --manifests {}", own.display()))
        .await
        .exited(2)
        .says(&["Service bad", "own.yaml", "99999"]);
    assert_eq!(home.status().await["drift"], serde_json::json!([]));
    home.run("down --yes").await.succeeded();
}

/// Whether a file below the directory contains the text.
fn is_on_disk(directory: &Path, text: &str) -> bool {
    let entries = std::fs::read_dir(directory).unwrap().flatten();
    entries.into_iter().any(|entry| {
        let path = entry.path();
        match entry.file_type().unwrap() {
            kind if kind.is_dir() => is_on_disk(&path, text),
            kind if kind.is_file() => {
                let content = std::fs::read(&path).unwrap_or_default();
                String::from_utf8_lossy(&content).contains(text)
            }
            _ => false,
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_are_encrypted_before_etcd_stores_them() {
    let Some(programs) = programs() else { return };
    let cluster = real(programs);
    let home = &cluster.home;
    home.run("up").await.succeeded();
    let secret = [
        "create",
        "secret",
        "generic",
        "one",
        "--from-literal=password=hidden-4711",
    ];
    cluster.kubectl(&secret).unwrap();
    let plain = [
        "create",
        "configmap",
        "one",
        "--from-literal=name=seen-4711",
    ];
    cluster.kubectl(&plain).unwrap();
    let machine = home.machine_root("europe-west1-b", "kubernetes-master");
    assert!(is_on_disk(&machine, "seen-4711"), "the search works");
    assert!(!is_on_disk(&machine, "hidden-4711"));
    // Every replica can read it.
    home.run("replicate").await.succeeded();
    for _ in 0..8 {
        let read = ["get", "secret", "one", "-o", "jsonpath={.data.password}"];
        assert_eq!(cluster.kubectl(&read).unwrap(), "aGlkZGVuLTQ3MTE=");
    }
    home.run("down --yes").await.succeeded();
}

const DEAD_WEBHOOK: &str = "\
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: policy}
webhooks:
- name: policy.example.test
  clientConfig: {service: {namespace: default, name: policy}}
  rules: [{apiGroups: [example.test], apiVersions: [v1], operations: [CREATE], resources: [widgets]}]
  admissionReviewVersions: [v1]
  sideEffects: None
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upgrade_names_a_webhook_that_can_not_answer() {
    let Some(programs) = programs() else { return };
    let cluster = real(programs);
    let home = &cluster.home;
    home.run("up").await.succeeded();
    let file = home.beside("webhook.yaml");
    std::fs::write(&file, DEAD_WEBHOOK).unwrap();
    cluster
        .kubectl(&["apply", "-f", file.to_str().unwrap()])
        .unwrap();
    // There is no second version of the programs here.
    let stand_ins = [("HAKUBE_STAND_INS", "true"), ("HAKUBE_KUBE_BINARIES", "")];
    let upgrade = "upgrade --kubernetes-version v1.36.9 --dry-run";
    home.run_with(&stand_ins, upgrade).await.exited(3).says(&[
        "webhook/validatingwebhookconfiguration/policy",
        "default/policy",
        "kubectl delete validatingwebhookconfiguration policy",
        "--ignore",
    ]);
    home.run_with(&stand_ins, &format!("{upgrade} --ignore webhook"))
        .await
        .succeeded()
        .says(&["ignored as requested: webhook/validatingwebhookconfiguration/policy"]);
    home.run("down --yes").await.succeeded();
}

/// Their kubelets are stand-ins. They join as Kubernetes' own do, with a token that they exchange for a
/// certificate.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hollow_nodes_join_a_real_control_plane_by_tls_bootstrap() {
    let Some(programs) = programs() else { return };
    let cluster = real(programs);
    let home = &cluster.home;
    home.run("up --nodes 2").await.succeeded();
    let status = home.status().await;
    let nodes = status["nodes"].as_array().unwrap();
    assert_eq!(nodes.len(), 2, "{status:#}");
    for node in nodes {
        assert_eq!(node["ready"], true, "{status:#}");
        assert_eq!(node["hollow"], true, "{status:#}");
    }
    assert_eq!(status["drift"], serde_json::json!([]));
    let shown = home.run("status").await.succeeded().stdout;
    assert!(shown.contains("hollow"), "{shown}");
    // Requests by the bootstrap token's user, signed for each node's own name.
    let signed = "jsonpath={range .items[*]}{.spec.signerName} {.spec.groups} {.status.conditions[*].type}{'\\n'}{end}";
    let requests = cluster.kubectl(&["get", "csr", "-o", signed]).unwrap();
    assert_eq!(requests.lines().count(), 2, "{requests}");
    for request in requests.lines() {
        for words in [
            "kube-apiserver-client-kubelet",
            "system:bootstrappers",
            "Approved",
        ] {
            assert!(request.contains(words), "{requests}");
        }
    }
    // With their certificates, they work without the token.
    let tokens = [
        "-n",
        "kube-system",
        "delete",
        "secret",
        "--field-selector",
        "type=bootstrap.kubernetes.io/token",
    ];
    cluster.kubectl(&tokens).unwrap();
    let lease = |node: &str| {
        let time = "jsonpath={.spec.renewTime}";
        cluster.kubectl(&["-n", "kube-node-lease", "get", "lease", node, "-o", time])
    };
    let name = nodes[0]["name"].as_str().unwrap();
    let before = lease(name).unwrap();
    eventually(
        "the node renews its lease by its own certificate",
        async || lease(name).is_ok_and(|now| now != before).then_some(()),
    )
    .await;
    home.run("down --yes").await.succeeded();
}
