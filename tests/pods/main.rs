//! Clusters that run pods: the built hakube, Kubernetes' own programs, etcd and containerd, on hosts that
//! boot Debian with systemd in a separate network (tests/yard). The hosts download everything from a mirror,
//! as in a closed network.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod chaos;
mod cloud;
use hakube_testing::counts;
mod dns;
mod instances;
mod killed;
mod lab;
mod output;
use hakube_testing::sample;
mod state;
mod traffic;
mod upgrade;
mod versions;
mod webhook;
mod workload;

use lab::{Lab, Versions};
use std::time::Duration;
use traffic::Traffic;

/// From bare hosts without Internet access to pods, to a second replica and back, and to hosts as they were
/// before.
#[test]
fn bare_hosts_become_a_cluster_that_runs_pods_and_are_released_unchanged() {
    let Some(lab) = Lab::new("short", &["r1", "r2", "n1"]) else {
        return;
    };
    let before = lab.states();
    lab.up_through_ssh(&["--nodes", "1"]);
    assert_eq!(lab.ready_nodes(), ["n1", "r1"]);
    labels_follow_the_inventory(&lab, &["n1", "r1"]);
    workload::a_deployment_runs(&lab);
    workload::a_service_answers_by_its_name_and_from_every_host(&lab, &["n1", "r1"]);
    workload::logs_exec_and_port_forward_work(&lab);
    workload::top_shows_nodes_and_pods(&lab, &["n1", "r1"]);
    dns::caches_are_enabled_and_disabled_under_running_pods(&lab, &["n1", "r1"]);
    lab.hakube(&["replicate", "--zone", "rack-b"]);
    assert_eq!(lab.ready_nodes(), ["n1", "r1", "r2"]);
    workload::every_api_server_reaches_pods(&lab, &["r1", "r2"]);
    authorities_are_replaced(&lab);
    lab.hakube(&["down", "--replica", "r2"]);
    lab.state("r2").assert_same_as(&before["r2"]);
    lab.hakube(&["down", "--yes"]);
    for (name, before) in &before {
        lab.state(name).assert_same_as(before);
    }
}

/// Kubelets keep working, and so do requests to them through API servers. The old authorities become
/// invalid.
fn authorities_are_replaced(lab: &Lab) {
    let old = std::fs::read_to_string(lab.file("kubeconfig")).unwrap();
    let containers = "--output=jsonpath={range .items[*]}{.metadata.name} {.status.containerStatuses[*].restartCount}{\"\\n\"}{end}";
    let pods = || lab.kubectl(&["get", "pods", "--selector=app=web", containers]);
    let before = pods();
    lab.hakube(&["certs", "rotate-ca"]);
    lab.await_ready(&["n1", "r1", "r2"]);
    assert_eq!(pods(), before, "pods were restarted");
    workload::logs_exec_and_port_forward_work(lab);
    workload::every_api_server_reaches_pods(lab, &["r1", "r2"]);
    workload::a_service_answers_by_its_name_and_from_every_host(lab, &["n1", "r1", "r2"]);
    // New pods get valid tokens, and pods start on every node.
    workload::its_pods_restart(lab);
    workload::top_shows_nodes_and_pods(lab, &["n1", "r1", "r2"]);
    let status = lab.hakube(&["status", "--output", "json"]);
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    assert_eq!(status["drift"], serde_json::json!([]), "{status:#}");
    let file = lab.file("old-kubeconfig");
    std::fs::write(&file, old).unwrap();
    let refused = lab.try_kubectl(&["--kubeconfig", file.to_str().unwrap(), "get", "nodes"]);
    let refused = refused.unwrap_err();
    assert!(refused.contains("certificate"), "{refused}");
}

/// Labels from the inventory are set on nodes, changed and removed; other labels stay.
fn labels_follow_the_inventory(lab: &Lab, nodes: &[&str]) {
    let with = |selector: &str| {
        let arguments = ["get", "nodes", "--output", "name", "--selector", selector];
        let mut found: Vec<String> = lab.kubectl(&arguments).lines().map(str::to_owned).collect();
        found.sort();
        found
    };
    let all: Vec<String> = nodes.iter().map(|name| format!("node/{name}")).collect();
    assert_eq!(with("example.com/disk=ssd"), all);
    lab.kubectl(&["label", "nodes", "--all", "others=stay"]);
    lab.label_hosts("{example.com/speed: fast}");
    lab.up_through_ssh(&["--nodes", "1"]);
    let changed = "example.com/speed=fast,!example.com/disk,others=stay";
    assert_eq!(with(changed), all);
    // A label that was removed manually is restored.
    lab.kubectl(&["label", "nodes", "--all", "example.com/speed-"]);
    assert!(lab.hakube(&["status"]).contains("labels on node"));
    lab.hakube(&["repair"]);
    assert_eq!(with(changed), all);
    let status = lab.hakube(&["status", "--output", "json"]);
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    assert_eq!(status["drift"], serde_json::json!([]), "{status:#}");
}

/// One test, since a cluster takes a minute to create: each chapter starts from the result of the previous
/// one.
#[test]
#[ignore = "takes six minutes and a quiet machine: scripts/test runs it after the others"]
fn a_cluster_on_bare_hosts_runs_pods_through_every_change_and_leaves_the_hosts_unchanged() {
    let Some(lab) = Lab::new("pods", &["r1", "r2", "r3", "n1", "n2"]) else {
        return;
    };
    let before = lab.states();
    lab.chapter("up: one replica and two nodes from bare hosts");
    lab.up(&["--nodes", "2"]);
    assert_eq!(lab.ready_nodes(), ["n1", "n2", "r1"]);

    lab.chapter("common uses of a cluster");
    workload::a_deployment_runs(&lab);
    workload::its_pods_are_spread_over(&lab, &["n1", "n2"]);
    workload::a_service_answers_by_its_name_and_from_every_host(&lab, &["n1", "n2", "r1"]);
    workload::logs_exec_and_port_forward_work(&lab);
    workload::top_shows_nodes_and_pods(&lab, &["n1", "n2", "r1"]);
    workload::a_job_completes_and_a_stateful_set_has_names(&lab);
    webhook::runs(&lab);

    lab.chapter("1 to 2 to 3, while clients read, write and call the Service");
    let traffic = Traffic::start(&lab);
    lab.hakube(&["replicate", "--zone", "rack-b"]);
    lab.hakube(&["replicate", "--zone", "rack-c"]);
    assert_eq!(lab.ready_nodes(), ["n1", "n2", "r1", "r2", "r3"]);
    workload::every_api_server_reaches_pods(&lab, &["r1", "r2", "r3"]);
    webhook::every_api_server_asks_it(&lab, &["r1", "r2", "r3"]);

    lab.chapter("a node is removed once its pods can be evicted");
    workload::so_many_pods_are_needed(&lab, 4);
    let error = lab.refused(&["nodes", "scale", "1"]);
    assert!(error.contains("node n2"), "{error}");
    assert!(error.contains("web-budget"), "{error}");
    workload::its_pods_are_spread_over(&lab, &["n1", "n2"]);
    workload::so_many_pods_are_needed(&lab, 3);
    lab.hakube(&["nodes", "scale", "1"]);
    workload::its_pods_are_spread_over(&lab, &["n1"]);
    assert_eq!(lab.ready_nodes(), ["n1", "r1", "r2", "r3"]);
    lab.state("n2").assert_same_as(&before["n2"]);
    lab.hakube(&["nodes", "scale", "1", "--zone", "rack-b"]);
    assert_eq!(lab.ready_nodes(), ["n1", "n2", "r1", "r2", "r3"]);

    lab.chapter("the host that has the endpoint's address loses power");
    let holder = lab.holder(&["r1", "r2", "r3"]);
    lab.host(&holder).cut_power().unwrap();
    lab.await_api("another replica takes the address");
    lab.host(&holder).power_on().unwrap();
    lab.await_voters(3);
    lab.await_ready(&["n1", "n2", "r1", "r2", "r3"]);

    lab.chapter("3 to 2 to 1");
    lab.hakube(&["down", "--replica", "r3"]);
    lab.hakube(&["down", "--replica", "r2"]);
    assert_eq!(lab.ready_nodes(), ["n1", "n2", "r1"]);
    traffic.end().assert_nothing_was_lost();

    lab.chapter("released hosts are unchanged");
    for name in ["r2", "r3"] {
        lab.state(name).assert_same_as(&before[name]);
    }

    lab.chapter("all hosts lose power and boot again");
    for name in ["r1", "n1", "n2"] {
        lab.host(name).cut_power().unwrap();
    }
    for name in ["r1", "n1", "n2"] {
        lab.host(name).power_on().unwrap();
    }
    lab.await_api("the cluster recovers automatically");
    lab.await_ready(&["n1", "n2", "r1"]);
    workload::a_service_answers_by_its_name_and_from_every_host(&lab, &["n1", "n2", "r1"]);

    lab.chapter("a node loses power and boots again");
    workload::its_pods_restart(&lab);
    workload::its_pods_are_spread_over(&lab, &["n1", "n2"]);
    lab.host("n2").cut_power().unwrap();
    workload::its_pods_move_to(&lab, "n1");
    lab.host("n2").power_on().unwrap();
    lab.await_ready(&["n1", "n2", "r1"]);
    workload::a_node_has_no_other_pods_than_it_should(&lab, "n2");

    lab.chapter("down");
    lab.hakube(&["down", "--yes"]);
    for (name, before) in &before {
        lab.state(name).assert_same_as(before);
    }
}

/// The previous minor versions of Kubernetes and etcd run pods, too. `HAKUBE_TEST_DEEP=1` only: they take
/// twenty minutes to build.
#[test]
fn the_previous_minor_version_runs_pods_on_one_replica_and_two() {
    if !sample::is_deep() {
        return;
    }
    let Some(lab) = Lab::of("before", &["r1", "r2", "n1"], Versions::BEFORE) else {
        return;
    };
    let before = lab.states();
    lab.chapter("up");
    lab.up(&["--nodes", "1"]);
    let versions = "--output=jsonpath={.items[*].status.nodeInfo.kubeletVersion}";
    assert_eq!(lab.kubectl(&["get", "nodes", versions]), "v1.35.4 v1.35.4");
    workload::a_deployment_runs(&lab);
    workload::a_service_answers_by_its_name_and_from_every_host(&lab, &["n1", "r1"]);
    workload::logs_exec_and_port_forward_work(&lab);
    workload::top_shows_nodes_and_pods(&lab, &["n1", "r1"]);
    lab.chapter("DNS on each node");
    dns::caches_are_enabled_and_disabled_under_running_pods(&lab, &["n1", "r1"]);
    lab.chapter("1 to 2 to 1");
    lab.hakube(&["replicate", "--zone", "rack-b"]);
    lab.await_voters(2);
    workload::every_api_server_reaches_pods(&lab, &["r1", "r2"]);
    lab.hakube(&["down", "--replica", "r2"]);
    lab.await_voters(1);
    lab.chapter("down");
    lab.hakube(&["down", "--yes"]);
    for (name, before) in &before {
        lab.state(name).assert_same_as(before);
    }
}

/// Killed at any step, the repeated command finishes.
#[test]
#[ignore = "takes three minutes and a quiet machine: scripts/test pods, scripts/test deep"]
fn a_command_killed_at_any_step_finishes_when_repeated() {
    let Some(lab) = Lab::new("killed", &["r1", "r2"]) else {
        return;
    };
    let before = lab.states();
    lab.up(&["--nodes", "0"]);
    lab.chapter("1 to 2");
    let kills = killed::at_each_step(&lab, &["replicate", "--zone", "rack-b"]);
    assert!(kills >= 6, "only {kills} steps");
    lab.await_voters(2);
    assert_eq!(lab.ready_nodes(), ["r1", "r2"]);
    lab.chapter("2 to 1");
    let kills = killed::at_each_step(&lab, &["down", "--replica", "r2"]);
    assert!(kills >= 4, "only {kills} steps");
    lab.await_voters(1);
    assert_eq!(lab.ready_nodes(), ["r1"]);
    lab.state("r2").assert_same_as(&before["r2"]);
    lab.hakube(&["down", "--yes"]);
    lab.state("r1").assert_same_as(&before["r1"]);
}

/// Two of three replicas lose their data and one its machine's power, then all data is replaced with a backup's. Pods
/// keep running throughout.
#[test]
#[ignore = "takes four minutes and a quiet machine: scripts/test pods, scripts/test deep"]
fn a_cluster_that_lost_its_quorum_is_restored_and_its_pods_keep_running() {
    let Some(lab) = Lab::new("restore", &["r1", "r2", "r3", "n1"]) else {
        return;
    };
    let before = lab.states();
    lab.up(&["--nodes", "1"]);
    lab.hakube(&["replicate", "--count", "2"]);
    lab.await_voters(3);
    workload::a_deployment_runs(&lab);
    workload::a_service_answers_by_its_name_and_from_every_host(&lab, &["n1", "r1"]);
    let starts = "--output=jsonpath={.items[*].status.containerStatuses[*].restartCount} {.items[*].metadata.uid}";
    let pods = || lab.kubectl(&["get", "pods", "--selector=app=web", starts]);
    let running = pods();
    lab.hakube(&["backup", "save"]);
    let create = |name: &str| lab.kubectl(&["create", "configmap", name]);
    create("after-the-backup");

    lab.chapter("r1 and r2 lose their data; what r3 has is saved without a quorum");
    for name in ["r1", "r2"] {
        let wipe = "systemctl kill --signal=KILL etcd; rm -rf /var/lib/etcd/member";
        let wiped = lab.host(name).run(&["sh", "-c", wipe]).unwrap();
        wiped.checked().unwrap();
    }
    lab.hakube(&["backup", "save", "--from", "r3"]);
    lab.host("r2").cut_power().unwrap();
    let refused = lab.refused(&["restore", "latest", "--yes"]);
    assert!(refused.contains("r2 is unreachable"), "{refused}");
    lab.host("r2").power_on().unwrap();
    lab.host("r2").wait_booted(Duration::from_secs(60)).unwrap();
    lab.hakube(&["restore", "latest", "--yes"]);
    lab.await_voters(3);
    lab.await_ready(&["n1", "r1", "r2", "r3"]);
    assert_eq!(pods(), running, "pods were replaced or restarted");
    lab.kubectl(&["get", "configmap", "after-the-backup"]);
    workload::every_api_server_reaches_pods(&lab, &["r1", "r2", "r3"]);
    workload::its_pods_restart(&lab);
    workload::a_service_answers_by_its_name_and_from_every_host(&lab, &["n1", "r1", "r2"]);

    lab.chapter("back to the first backup, over data that works");
    create("to-be-dropped");
    let list = lab.hakube(&["backup", "list", "--output", "json"]);
    let list: serde_json::Value = serde_json::from_str(&list).unwrap();
    let first = list["backups"][0]["name"].as_str().unwrap();
    lab.hakube(&["restore", first, "--force", "--yes"]);
    lab.await_voters(3);
    lab.await_ready(&["n1", "r1", "r2", "r3"]);
    for name in ["after-the-backup", "to-be-dropped"] {
        lab.try_kubectl(&["get", "configmap", name]).unwrap_err();
    }
    lab.rolled_out("deployment/web");
    workload::a_service_answers_by_its_name_and_from_every_host(&lab, &["n1", "r1", "r2"]);

    lab.chapter("down");
    lab.hakube(&["down", "--yes"]);
    for (name, before) in &before {
        lab.state(name).assert_same_as(before);
    }
}

/// Replicas and nodes get other programs in place while pods serve. A release that doesn't work is taken back.
#[test]
#[ignore = "takes six minutes and a quiet machine: scripts/test pods, scripts/test deep"]
fn a_cluster_is_upgraded_under_traffic_and_goes_back_from_a_broken_release() {
    let Some(lab) = Lab::new("upgrade", &["r1", "r2", "r3", "n1", "n2"]) else {
        return;
    };
    let before = lab.states();
    upgrade::publish(&lab, "v1.36.4");
    lab.up(&["--nodes", "2"]);
    lab.hakube(&["replicate", "--count", "2"]);
    lab.await_voters(3);
    workload::a_deployment_runs(&lab);
    workload::a_service_answers_by_its_name_and_from_every_host(&lab, &["n1", "r1"]);
    let hosts = ["n1", "n2", "r1", "r2", "r3"];
    let kubelets = || {
        let versions = "--output=jsonpath={.items[*].status.nodeInfo.kubeletVersion}";
        lab.kubectl(&["get", "nodes", versions])
    };

    lab.chapter("v1.36.3 to v1.36.4, while clients read, write and call the Service");
    workload::its_pods_stop_gracefully(&lab);
    // Replicas aren't drained.
    let traffic = Traffic::start_on(&lab, "r1");
    lab.hakube(&["upgrade", "--kubernetes-version", "v1.36.4"]);
    assert_eq!(kubelets(), ["v1.36.4"; 5].join(" "));
    lab.await_ready(&hosts);
    let cordoned = "--output=jsonpath={.items[*].spec.unschedulable}";
    assert_eq!(lab.kubectl(&["get", "nodes", cordoned]), "");
    let seen = traffic.end();
    seen.assert_nothing_was_lost();
    workload::every_api_server_reaches_pods(&lab, &["r1", "r2", "r3"]);
    let status = lab.hakube(&["status", "--output", "json"]);
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    assert_eq!(status["versions"]["kubernetes"]["running"][0], "v1.36.4");
    assert!(status["conditions"].is_null(), "{status:#}");

    lab.chapter("a release whose API server doesn't start");
    upgrade::publish(&lab, "v1.36.5");
    upgrade::break_api_server(&lab, "v1.36.5");
    let arguments = ["upgrade", "--kubernetes-version", "v1.36.5"];
    let mut command = lab.hakube_command(&arguments);
    command.envs([
        ("HAKUBE_TIMEOUT", "100s"),
        ("MIG_WAIT_UNTIL_STABLE_TIMEOUT", "100"),
    ]);
    let error = lab::run(&mut command).unwrap_err();
    assert!(error.contains("runs Kubernetes v1.36.4 again"), "{error}");
    lab.await_voters(3);
    workload::every_api_server_reaches_pods(&lab, &["r1", "r2", "r3"]);
    lab.hakube(&["abandon"]);
    assert_eq!(kubelets(), ["v1.36.4"; 5].join(" "));
    workload::a_service_answers_by_its_name_and_from_every_host(&lab, &hosts);

    lab.chapter("down");
    lab.hakube(&["down", "--yes"]);
    for (name, before) in &before {
        lab.state(name).assert_same_as(before);
    }
}

/// An image archive that was replaced after `up` recorded its checksum isn't installed.
#[test]
fn an_image_archive_with_another_sum_is_not_imported() {
    let Some(lab) = Lab::new("sums", &["r1"]) else {
        return;
    };
    lab.exchange_image("pause");
    let error = lab.fails(&["up", "--nodes", "0", "--timeout", "25s"]);
    assert!(error.contains("SHA-256"), "{error}");
    lab.host("r1")
        .run(&["sh", "-c", "! ls /var/lib/hakube/images/*pause*.tar"])
        .unwrap()
        .checked()
        .unwrap();
    lab.hakube(&["down", "--yes", "--wait", "30s"]);
    lab.await_free("r1", Duration::from_secs(30));
}

/// Ten minutes of faults, fixed only by `repair`.
#[test]
#[ignore = "ten minutes, and a quiet machine: scripts/test deep"]
fn a_storm_over_hosts_loses_nothing_and_repair_alone_fixes_everything() {
    let Some(lab) = Lab::new("chaos", &["r1", "r2", "r3", "n1"]) else {
        return;
    };
    lab.up(&["--nodes", "1"]);
    lab.hakube(&["replicate", "--count", "2"]);
    lab.await_voters(3);
    lab.await_ready(&["n1", "r1", "r2", "r3"]);
    let seconds = sample::variable("HAKUBE_CHAOS_SECONDS").unwrap_or(600);
    chaos::storm(&lab, sample::new_seed(), Duration::from_secs(seconds));
    lab.hakube(&["down", "--yes"]);
}
