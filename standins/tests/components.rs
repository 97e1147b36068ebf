//! Controller manager, scheduler and kubelet against the API server.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use serde_json::{Value, json};
use support::{ControlPlane, Machine, Process, wait_for};

fn component(machine: &Machine, name: &str, more: &[&str]) -> Process {
    machine.pki.client(name, &format!("system:{name}"), &[]);
    let mut args = vec![
        name.to_owned(),
        format!(
            "--kubeconfig={}",
            machine.file(&format!("{name}.kubeconfig"))
        ),
        format!(
            "--authentication-kubeconfig={}",
            machine.file(&format!("{name}.kubeconfig"))
        ),
        format!("--bind-address={}", machine.ip),
    ];
    args.extend(more.iter().map(|arg| (*arg).to_owned()));
    machine.stand_in(&args)
}

fn kubelet(machine: &Machine, kubeconfig: &str, more: &[&str]) -> Process {
    let mut args = vec![
        "kubelet".to_owned(),
        format!("{kubeconfig}.kubeconfig")
            .replace("=", &format!("={}/", machine.dir.path().display())),
        "--hostname-override=node-1".to_owned(),
        format!("--node-ip={}", machine.ip),
        "--node-labels=topology.kubernetes.io/zone=b".to_owned(),
    ];
    args.extend(more.iter().map(|arg| (*arg).to_owned()));
    machine.stand_in(&args)
}

fn lease(machine: &Machine, path: &str) -> Option<Value> {
    let answer = machine
        .admin()
        .fetch(&format!("/apis/coordination.k8s.io/v1/namespaces/{path}"));
    (answer.code == 200).then(|| answer.json()["spec"].clone())
}

fn ready(machine: &Machine) -> Option<Value> {
    let answer = machine.admin().fetch("/api/v1/nodes/node-1");
    let node = (answer.code == 200).then(|| answer.json())?;
    let conditions = node["status"]["conditions"].as_array()?;
    Some(
        conditions
            .iter()
            .find(|condition| condition["type"] == "Ready")?["status"]
            .clone(),
    )
}

const QUICK: [&str; 3] = [
    "--leader-elect-lease-duration=3s",
    "--leader-elect-renew-deadline=2s",
    "--leader-elect-retry-period=500ms",
];

#[test]
fn the_scheduler_leads_and_its_successor_takes_over() {
    let plane = ControlPlane::start();
    let machine = &plane.machine;
    let first = component(machine, "kube-scheduler", &QUICK);
    let spec = wait_for("a leader", || {
        lease(machine, "kube-system/leases/kube-scheduler")
    });
    assert_eq!(
        (&spec["leaseDurationSeconds"], &spec["leaseTransitions"]),
        (&json!(3), &json!(0))
    );
    assert!(spec["holderIdentity"].as_str().unwrap().contains('_'));
    let renewed = wait_for("a renewal", || {
        lease(machine, "kube-system/leases/kube-scheduler")
            .filter(|now| now["renewTime"] != spec["renewTime"])
    });
    assert_eq!(renewed["acquireTime"], spec["acquireTime"]);

    let health = std::process::Command::new("curl")
        .args(["-sk", &format!("https://{}:10259/healthz", machine.ip)])
        .output()
        .unwrap();
    assert_eq!(health.stdout, b"ok");

    let second = component(
        machine,
        "kube-scheduler",
        &["--secure-port=0", QUICK[0], QUICK[1], QUICK[2]],
    );
    wait_for("the second to see the first", || {
        second.log().contains("new leader elected").then_some(())
    });
    drop(first);
    let taken = wait_for("a successor", || {
        lease(machine, "kube-system/leases/kube-scheduler")
            .filter(|now| now["holderIdentity"] != spec["holderIdentity"])
    });
    assert_eq!(taken["leaseTransitions"], 1);
}

#[test]
fn a_leader_that_cannot_renew_exits() {
    let plane = ControlPlane::start();
    let mut leader = component(&plane.machine, "kube-controller-manager", &QUICK);
    wait_for("a leader", || {
        lease(&plane.machine, "kube-system/leases/kube-controller-manager")
    });
    drop(plane.api);
    assert_eq!(leader.exit_code(), Some(1));
    assert!(
        leader.log().contains("leaderelection lost"),
        "{}",
        leader.log()
    );
}

#[test]
fn a_kubelet_registers_comes_back_and_is_missed_when_it_is_gone() {
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
    let config = format!("--config={}", machine.file("kubelet.yaml"));
    let nowhere = format!("--kubeconfig={}", machine.file("not-yet"));
    let node = kubelet(
        machine,
        "--bootstrap-kubeconfig=bootstrap",
        &[&config, &nowhere],
    );
    wait_for("a ready node", || {
        ready(machine).filter(|status| status == "True")
    });
    let object = machine.admin().fetch("/api/v1/nodes/node-1").json();
    assert_eq!(
        object["metadata"]["labels"]["topology.kubernetes.io/zone"],
        "b"
    );
    assert!(
        object["status"]["nodeInfo"]["kubeletVersion"]
            .as_str()
            .unwrap()
            .ends_with("+hakube.stand-in")
    );
    assert!(
        node.log().contains("going on with the bootstrap token"),
        "{}",
        node.log()
    );

    machine.admin().delete("/api/v1/nodes/node-1");
    wait_for("the node to come back", || {
        ready(machine).filter(|status| status == "True")
    });
    let spec = wait_for("its lease", || {
        lease(machine, "kube-node-lease/leases/node-1")
    });
    assert_eq!(spec["holderIdentity"], "node-1");

    let grace = [
        "--node-monitor-period=200ms",
        "--node-monitor-grace-period=2s",
    ];
    let _manager = component(machine, "kube-controller-manager", &grace);
    wait_for("a leader", || {
        lease(machine, "kube-system/leases/kube-controller-manager")
    });
    drop(node);
    wait_for("the node to be missed", || {
        ready(machine).filter(|status| status == "Unknown")
    });
    let _node = kubelet(
        machine,
        "--bootstrap-kubeconfig=bootstrap",
        &[&config, &nowhere],
    );
    wait_for("the node to be ready again", || {
        ready(machine).filter(|status| status == "True")
    });
}

#[test]
fn every_component_stops_when_told() {
    let plane = ControlPlane::start();
    let ControlPlane {
        mut api, machine, ..
    } = plane;
    let mut scheduler = component(&machine, "kube-scheduler", &[]);
    machine
        .pki
        .client("node-1", "system:node:node-1", &["system:nodes"]);
    let mut kubelet = kubelet(&machine, "--kubeconfig=node-1", &[]);
    wait_for("a leader", || {
        lease(&machine, "kube-system/leases/kube-scheduler")
    });
    wait_for("a node", || ready(&machine));
    assert_eq!(
        (kubelet.terminate(), scheduler.terminate(), api.terminate()),
        (Some(0), Some(0), Some(0))
    );
}

#[test]
fn bad_command_lines_are_refused_in_kubernetes_words() {
    let machine = Machine::new();
    let refusal = |args: &[&str]| {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let mut process = machine.stand_in(&args);
        assert_eq!(process.exit_code(), Some(1));
        process.log()
    };
    assert_eq!(
        refusal(&["kube-apiserver", "--etcd-quorum-read=true"]),
        "Error: unknown flag: --etcd-quorum-read\n"
    );
    assert_eq!(
        refusal(&["kube-scheduler", "--algorithm-provider=x"]),
        "Error: unknown flag: --algorithm-provider\n"
    );
    assert_eq!(
        refusal(&["kubelet", "--container-runtime=remote"]),
        "Error: unknown flag: --container-runtime\n"
    );
    assert!(
        refusal(&["kube-controller-manager", "--kubeconfig=/nowhere"])
            .contains("--kubeconfig: can't read /nowhere")
    );
    assert!(refusal(&["kube-proxy"]).contains("no stand-in for \"kube-proxy\""));
    let empty = machine.file("empty");
    std::fs::write(&empty, "").unwrap();
    let said = refusal(&[
        "kube-scheduler",
        "--secure-port=0",
        &format!("--kubeconfig={empty}"),
    ]);
    assert!(
        said.contains(&format!("--kubeconfig: {empty} is not usable: ")),
        "{said}"
    );
}
