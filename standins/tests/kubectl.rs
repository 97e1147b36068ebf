//! kubectl against the API server, as in the tutorial. HAKUBE_TEST_KUBECTL overrides the one in PATH.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::process::Command;

use serde_json::{Value, json};
use support::ControlPlane;

struct Kubectl {
    program: std::ffi::OsString,
    plane: ControlPlane,
}

impl Kubectl {
    /// kubectl's output; `Err` is what it says when it fails.
    fn run(&self, args: &str) -> Result<String, String> {
        let machine = &self.plane.machine;
        let output = Command::new(&self.program)
            .args(args.split(' '))
            .arg(format!("--kubeconfig={}", machine.file("admin.kubeconfig")))
            .arg(format!("--cache-dir={}", machine.file("cache")))
            .env("HOME", machine.dir.path())
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        if output.status.success() {
            Ok(text(output.stdout))
        } else {
            Err(text(output.stderr))
        }
    }
}

#[test]
fn kubectl_reads_and_writes_the_stand_ins_objects() {
    let program = std::env::var_os("HAKUBE_TEST_KUBECTL").unwrap_or_else(|| "kubectl".into());
    if Command::new(&program).arg("help").output().is_err() {
        eprintln!("skipped: kubectl is missing");
        return;
    }
    let kubectl = Kubectl {
        program,
        plane: ControlPlane::start(),
    };
    let run = |args: &str| {
        kubectl
            .run(args)
            .unwrap_or_else(|said| panic!("{args}: {said}"))
    };
    let version: Value = serde_json::from_str(&run("version -o json")).unwrap();
    let version = &version["serverVersion"]["gitVersion"];
    assert_eq!(*version, "v1.36.0+hakube.stand-in");

    assert_eq!(
        run("create configmap story --from-literal=chapter=one"),
        "configmap/story created\n"
    );
    let again = kubectl.run("create configmap story").unwrap_err();
    assert!(
        again.contains("configmaps \"story\" already exists"),
        "{again}"
    );
    assert_eq!(
        run("get configmap story --output=jsonpath={.data}"),
        "{\"chapter\":\"one\"}"
    );
    let table = run("get cm");
    assert!(table.starts_with("NAME "), "{table}");
    assert!(table.contains("\nstory "), "{table}");
    assert_eq!(
        run("label configmap story a=b"),
        "configmap/story labeled\n"
    );
    assert_eq!(run("get cm -A -l a=b -o name"), "configmap/story\n");
    let patch = r#"{"data":{"chapter":"two"}}"#;
    run(&format!("patch configmap story -p {patch}"));
    let deleted = run("delete configmap story");
    assert!(
        deleted.starts_with("configmap \"story\" deleted"),
        "{deleted}"
    );
    let missing = kubectl.run("get configmap story").unwrap_err();
    assert!(
        missing.contains("configmaps \"story\" not found"),
        "{missing}"
    );
    let pods = kubectl.run("get pods").unwrap_err();
    assert!(
        pods.contains("doesn't have a resource type \"pods\""),
        "{pods}"
    );

    let node = json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {"name": "n1", "labels": {"node-role.kubernetes.io/control-plane": ""}},
        "status": {
            "conditions": [{"type": "Ready", "status": "True"}],
            "nodeInfo": {"kubeletVersion": "v1.36.0+hakube.stand-in"},
        },
    });
    let file = kubectl.plane.machine.file("node.json");
    std::fs::write(&file, node.to_string()).unwrap();
    run(&format!("apply -f {file}"));
    assert_eq!(run(&format!("apply -f {file}")), "node/n1 unchanged\n");
    run("cordon n1");
    let table = run("get nodes");
    let cells: Vec<&str> = table.split_whitespace().collect();
    assert_eq!(cells[..5], ["NAME", "STATUS", "ROLES", "AGE", "VERSION"]);
    assert_eq!(
        cells[5..8],
        ["n1", "Ready,SchedulingDisabled", "control-plane"]
    );
    assert_eq!(cells[9], "v1.36.0+hakube.stand-in");
    run("delete node n1");
}
