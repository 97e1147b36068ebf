//! Controller manager, scheduler and kubelet with the API server.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use serde_json::{Value, json};
use support::{ControlPlane, Machine, Process, wait_for};

const NODE: &str = "/api/v1/nodes/node-1";

fn component(machine: &Machine, name: &str, more: &[&str]) -> Process {
    machine.pki.client(name, &format!("system:{name}"), &[]);
    let kubeconfig = machine.file(&format!("{name}.kubeconfig"));
    let mut args = vec![
        name.to_owned(),
        format!("--kubeconfig={kubeconfig}"),
        format!("--authentication-kubeconfig={kubeconfig}"),
        format!("--bind-address={}", machine.ip),
        "--leader-elect=true".to_owned(),
    ];
    args.extend(more.iter().map(|arg| (*arg).to_owned()));
    machine.stand_in(&args)
}

fn kubelet(machine: &Machine, more: &[String]) -> Process {
    let mut args = vec![
        "kubelet".to_owned(),
        "--hostname-override=node-1".to_owned(),
        format!("--node-ip={}", machine.ip),
        "--node-labels=topology.kubernetes.io/zone=b".to_owned(),
    ];
    args.extend_from_slice(more);
    machine.stand_in(&args)
}

fn lease(machine: &Machine, path: &str) -> Option<Value> {
    let path = format!("/apis/coordination.k8s.io/v1/namespaces/{path}");
    let answer = machine.admin().get(&path);
    (answer.code == 200).then(|| answer.json()["spec"].clone())
}

fn wait_for_ready(machine: &Machine, status: &str) -> Value {
    wait_for(&format!("a node that is ready: {status}"), || {
        let node = machine.admin().get(NODE).json();
        let conditions = node["status"]["conditions"].as_array()?;
        let mut ready = conditions.iter().filter(|one| one["type"] == "Ready");
        (ready.next()?["status"] == status).then_some(node.clone())
    })
}

#[test]
fn the_scheduler_leads_and_its_successor_takes_over() {
    let plane = ControlPlane::start();
    let machine = &plane.machine;
    let quick = ["--leader-elect-lease-duration=3s"];
    let first = component(machine, "kube-scheduler", &quick);
    let current = || lease(machine, "kube-system/leases/kube-scheduler");
    let spec = wait_for("a leader", current);
    assert_eq!(
        (&spec["leaseDurationSeconds"], &spec["leaseTransitions"]),
        (&json!(3), &json!(0))
    );
    let renewed = wait_for("a renewal", || {
        current().filter(|now| now["renewTime"] != spec["renewTime"])
    });
    assert_eq!(renewed["acquireTime"], spec["acquireTime"]);
    assert_eq!(renewed["holderIdentity"], spec["holderIdentity"]);

    let _second = component(machine, "kube-scheduler", &quick);
    drop(first);
    let taken = wait_for("a successor", || {
        current().filter(|now| now["holderIdentity"] != spec["holderIdentity"])
    });
    assert_eq!(taken["leaseTransitions"], 1);
}

#[test]
fn a_kubelet_registers_returns_and_is_marked_unknown_when_it_stops() {
    let plane = ControlPlane::start();
    let machine = &plane.machine;
    machine.admin().post(
        "/api/v1/namespaces/kube-system/secrets",
        &json!({
            "metadata": {"name": "bootstrap-token-abcdef"},
            "type": "bootstrap.kubernetes.io/token",
            "stringData": {"token-id": "abcdef", "token-secret": "0123456789abcdef",
                "usage-bootstrap-authentication": "true"},
        }),
    );
    machine
        .pki
        .kubeconfig("bootstrap", "token: abcdef.0123456789abcdef");
    // A lease of one second is renewed four times a second.
    std::fs::write(
        machine.file("kubelet.yaml"),
        "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nnodeLeaseDurationSeconds: 1\n",
    )
    .unwrap();
    let flags = [
        format!("--config={}", machine.file("kubelet.yaml")),
        format!(
            "--bootstrap-kubeconfig={}",
            machine.file("bootstrap.kubeconfig")
        ),
        format!("--kubeconfig={}", machine.file("not-yet")),
    ];
    let node = kubelet(machine, &flags);
    let object = wait_for_ready(machine, "True");
    let labels = &object["metadata"]["labels"];
    assert_eq!(labels["topology.kubernetes.io/zone"], "b");
    let version = &object["status"]["nodeInfo"]["kubeletVersion"];
    assert!(version.as_str().unwrap().ends_with("+hakube.stand-in"));
    let log = node.log();
    assert!(log.contains("keeping the token"), "{log}");

    machine.admin().delete(NODE);
    wait_for_ready(machine, "True");
    let spec = wait_for("its lease", || {
        lease(machine, "kube-node-lease/leases/node-1")
    });
    assert_eq!(spec["holderIdentity"], "node-1");

    let quick = [
        "--node-monitor-grace-period=2s",
        "--leader-elect-lease-duration=3s",
    ];
    let _manager = component(machine, "kube-controller-manager", &quick);
    drop(node);
    wait_for_ready(machine, "Unknown");
    let _node = kubelet(machine, &flags);
    wait_for_ready(machine, "True");
}

#[test]
fn every_component_stops_when_told() {
    let plane = ControlPlane::start();
    let ControlPlane {
        mut api, machine, ..
    } = plane;
    let mut scheduler = component(&machine, "kube-scheduler", &[]);
    let nodes = ["system:nodes"];
    machine.pki.client("node-1", "system:node:node-1", &nodes);
    let kubeconfig = format!("--kubeconfig={}", machine.file("node-1.kubeconfig"));
    let mut kubelet = kubelet(&machine, &[kubeconfig]);
    wait_for("a leader", || {
        lease(&machine, "kube-system/leases/kube-scheduler")
    });
    wait_for_ready(&machine, "True");
    assert_eq!(
        (kubelet.terminate(), scheduler.terminate(), api.terminate()),
        (Some(0), Some(0), Some(0))
    );
}

#[test]
fn bad_command_lines_are_rejected() {
    let machine = Machine::new();
    let empty = machine.file("empty");
    std::fs::write(&empty, "").unwrap();
    for (args, message) in [
        (
            "kube-apiserver --etcd-quorum-read=true",
            "Error: unknown flag: --etcd-quorum-read\n",
        ),
        (
            "kube-scheduler --algorithm-provider=x",
            "Error: unknown flag: --algorithm-provider\n",
        ),
        (
            "kubelet --container-runtime=remote",
            "Error: unknown flag: --container-runtime\n",
        ),
        (
            "kube-controller-manager --kubeconfig=/nowhere",
            "--kubeconfig: can't read /nowhere",
        ),
        ("kube-proxy", "no stand-in for \"kube-proxy\""),
        (
            &format!("kube-scheduler --kubeconfig={empty}"),
            &format!("Error: {empty}: "),
        ),
    ] {
        let args: Vec<String> = args.split(' ').map(str::to_owned).collect();
        let mut process = machine.stand_in(&args);
        assert_eq!(process.exit_code(), Some(1), "{args:?}");
        let log = process.log();
        assert!(log.contains(message), "{args:?}: {log}");
    }
}
