//! Real kubectl against the API server. HAKUBE_TEST_KUBECTL names another than the one in PATH.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::json;
use support::ControlPlane;

struct Kubectl {
    program: PathBuf,
    plane: ControlPlane,
}

impl Kubectl {
    /// `None`, said on stderr, where there is no kubectl.
    fn new() -> Option<Self> {
        let program = PathBuf::from(
            std::env::var_os("HAKUBE_TEST_KUBECTL").unwrap_or_else(|| "kubectl".into()),
        );
        if Command::new(&program)
            .args(["version", "--client"])
            .stdout(Stdio::null())
            .status()
            .is_err()
        {
            eprintln!("skipped: no kubectl");
            return None;
        }
        Some(Self {
            program,
            plane: ControlPlane::start(),
        })
    }

    fn run(&self, args: &[&str]) -> String {
        let output = self.plane.machine.kubectl(&self.program, args);
        let (out, err) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        assert!(output.status.success(), "kubectl {args:?}: {out}{err}");
        out.into_owned()
    }

    fn refused(&self, args: &[&str]) -> String {
        let output = self.plane.machine.kubectl(&self.program, args);
        assert!(!output.status.success(), "kubectl {args:?} succeeded");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.plane.machine.file(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

/// A table's cells.
fn cells(table: &str) -> Vec<Vec<&str>> {
    table
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect()
}

#[test]
fn configmaps_and_secrets() {
    let Some(kubectl) = Kubectl::new() else {
        return;
    };
    assert_eq!(
        kubectl.run(&["create", "configmap", "a", "--from-literal=k=v"]),
        "configmap/a created\n"
    );
    assert_eq!(
        kubectl.run(&["create", "secret", "generic", "s", "--from-literal=k=v"]),
        "secret/s created\n"
    );
    assert!(
        kubectl
            .refused(&["create", "configmap", "a"])
            .contains("configmaps \"a\" already exists")
    );
    let table = kubectl.run(&["get", "cm,secret"]);
    assert_eq!(&cells(&table)[0], &["NAME", "DATA", "AGE"]);
    assert_eq!(&cells(&table)[1][..2], &["configmap/a", "1"]);
    assert_eq!(&cells(&table)[4][..3], &["secret/s", "Opaque", "1"]);
    assert_eq!(
        kubectl.run(&["get", "secret", "s", "-o", "jsonpath={.data.k}"]),
        "dg=="
    );
    assert_eq!(
        kubectl.run(&["get", "cm", "-A", "-o", "name"]),
        "configmap/a\n"
    );

    assert_eq!(
        kubectl.run(&["label", "configmap", "a", "x=y"]),
        "configmap/a labeled\n"
    );
    assert_eq!(
        kubectl.run(&["get", "cm", "-l", "x in (y,z)", "-o", "name"]),
        "configmap/a\n"
    );
    kubectl.run(&["patch", "configmap", "a", "-p", "{\"data\":{\"l\":\"m\"}}"]);
    assert_eq!(
        kubectl.run(&["get", "cm", "a", "-o", "jsonpath={.data}"]),
        "{\"k\":\"v\",\"l\":\"m\"}"
    );
    assert_eq!(
        kubectl.run(&["delete", "configmap", "a"]).lines().next(),
        Some("configmap \"a\" deleted")
    );
    assert!(
        kubectl
            .refused(&["get", "configmap", "a"])
            .contains("configmaps \"a\" not found")
    );
    assert!(
        kubectl
            .refused(&["get", "pods"])
            .contains("the server doesn't have a resource type \"pods\"")
    );
}

#[test]
fn manifests_apply_and_apply_again() {
    let Some(kubectl) = Kubectl::new() else {
        return;
    };
    let manifest = |value: &str| {
        format!(
            "apiVersion: v1\nkind: Namespace\nmetadata: {{name: team}}\n---\n\
             apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a, namespace: team}}\ndata: {{k: {value}}}\n---\n\
             apiVersion: coordination.k8s.io/v1\nkind: Lease\nmetadata: {{name: l, namespace: team}}\n\
             spec: {{holderIdentity: me}}\n---\n\
             apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {{name: 'hakube:b'}}\n\
             roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: c}}\n"
        )
    };
    let file = kubectl.write("m.yaml", &manifest("v"));
    let said = kubectl.run(&["apply", "-f", &file]);
    assert_eq!(
        said.lines()
            .filter(|line| line.ends_with("created"))
            .count(),
        4,
        "{said}"
    );
    let said = kubectl.run(&["apply", "-f", &file]);
    assert_eq!(
        said.lines()
            .filter(|line| line.ends_with("unchanged"))
            .count(),
        4,
        "{said}"
    );
    kubectl.write("m.yaml", &manifest("w"));
    assert!(
        kubectl
            .run(&["apply", "-f", &file])
            .contains("configmap/a configured")
    );
    assert_eq!(
        kubectl.run(&["get", "-n", "team", "cm", "a", "-o", "jsonpath={.data.k}"]),
        "w"
    );
    assert!(
        kubectl
            .run(&["apply", "--server-side", "-f", &file])
            .contains("configmap/a serverside-applied")
    );
    let table = kubectl.run(&["get", "-n", "team", "leases"]);
    assert_eq!(
        (&cells(&table)[0][..], &cells(&table)[1][..2]),
        (&["NAME", "HOLDER", "AGE"][..], &["l", "me"][..])
    );

    kubectl.run(&["delete", "namespace", "team"]);
    assert!(
        kubectl
            .refused(&["get", "namespace", "team"])
            .contains("namespaces \"team\" not found")
    );
    assert_eq!(kubectl.run(&["get", "-n", "team", "cm", "-o", "name"]), "");
}

#[test]
fn nodes_read_well() {
    let Some(kubectl) = Kubectl::new() else {
        return;
    };
    let node = json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {"name": "n1", "labels": {"node-role.kubernetes.io/control-plane": ""}},
        "status": {
            "conditions": [{"type": "Ready", "status": "True"}],
            "addresses": [{"type": "InternalIP", "address": "10.0.0.7"}],
            "nodeInfo": {"kubeletVersion": "v1.36.0+hakube.stand-in"},
        },
    });
    let file = kubectl.write("node.json", &node.to_string());
    kubectl.run(&["create", "-f", &file]);
    let table = kubectl.run(&["get", "nodes"]);
    assert_eq!(
        &cells(&table)[0],
        &["NAME", "STATUS", "ROLES", "AGE", "VERSION"]
    );
    assert_eq!(&cells(&table)[1][..3], &["n1", "Ready", "control-plane"]);
    assert_eq!(cells(&table)[1][4], "v1.36.0+hakube.stand-in");
    assert!(
        kubectl
            .run(&["get", "nodes", "-o", "wide"])
            .contains("10.0.0.7")
    );
    kubectl.run(&["cordon", "n1"]);
    assert!(
        kubectl
            .run(&["get", "nodes"])
            .contains("Ready,SchedulingDisabled")
    );
    kubectl.run(&["taint", "nodes", "n1", "a=b:NoSchedule"]);
    assert!(
        kubectl
            .run(&["get", "nodes", "n1", "-o", "jsonpath={.spec.taints[*].key}"])
            .contains('a')
    );
    kubectl.run(&["delete", "node", "n1"]);
}

#[test]
fn a_watch_prints_what_happens() {
    let Some(kubectl) = Kubectl::new() else {
        return;
    };
    kubectl.run(&["create", "configmap", "first"]);
    let mut watching = kubectl
        .plane
        .machine
        .kubectl_command(
            &kubectl.program,
            &["get", "configmaps", "--watch", "--output-watch-events"],
        )
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(watching.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap);
    assert!(lines.next().unwrap().starts_with("EVENT"));
    assert!(lines.next().unwrap().starts_with("ADDED      first"));
    kubectl.run(&["create", "configmap", "second"]);
    assert!(lines.next().unwrap().starts_with("ADDED      second"));
    kubectl.run(&["delete", "configmap", "first"]);
    assert!(lines.next().unwrap().starts_with("DELETED    first"));
    watching.kill().unwrap();
    watching.wait().unwrap();
}

#[test]
fn the_version_says_what_it_is() {
    let Some(kubectl) = Kubectl::new() else {
        return;
    };
    let version = kubectl.run(&["version", "-o", "json"]);
    let version: serde_json::Value = serde_json::from_str(&version).unwrap();
    assert_eq!(
        version["serverVersion"]["gitVersion"],
        "v1.36.0+hakube.stand-in"
    );
    let resources = kubectl.run(&["api-resources", "--no-headers", "-o", "name"]);
    assert!(
        resources.contains("configmaps\n") && resources.contains("leases.coordination.k8s.io\n"),
        "{resources}"
    );
}
