//! Clusters that run pods: the built hakube, Kubernetes' own programs, etcd and containerd, on hosts that boot Debian
//! with systemd in a network of their own (tests/yard). Everything comes onto them from a mirror, as in a closed network.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod killed;
mod lab;
mod state;
mod traffic;
mod webhook;
mod workload;

use lab::Lab;
use std::time::Duration;
use traffic::Traffic;

/// From bare hosts that reach nothing but each other to pods, a second replica and back, and hosts as they were before.
#[test]
fn bare_hosts_become_a_cluster_that_runs_pods_and_are_given_back_as_they_were() {
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
    lab.hakube(&["replicate", "--zone", "rack-b"]);
    assert_eq!(lab.ready_nodes(), ["n1", "r1", "r2"]);
    workload::every_api_server_reaches_pods(&lab, &["r1", "r2"]);
    lab.hakube(&["down", "--replica", "r2"]);
    lab.state("r2").assert_same_as(&before["r2"]);
    lab.hakube(&["down", "--yes"]);
    for (name, before) in &before {
        lab.state(name).assert_same_as(before);
    }
}

/// Those of the inventory are on nodes, change and go with it; those that somebody else set stay.
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
    // What somebody takes off is put back.
    lab.kubectl(&["label", "nodes", "--all", "example.com/speed-"]);
    assert!(
        lab.hakube(&["status"])
            .contains("label nodes as the inventory says")
    );
    lab.hakube(&["repair"]);
    assert_eq!(with(changed), all);
    let status = lab.hakube(&["status", "--output", "json"]);
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    assert_eq!(status["drift"], serde_json::json!([]), "{status:#}");
}

/// One story, since a cluster takes a minute to make: what each chapter leaves is what the next one starts from.
#[test]
#[ignore = "takes six minutes and a quiet machine: scripts/test runs it after the others"]
fn a_cluster_on_bare_hosts_runs_pods_through_every_change_and_leaves_the_hosts_as_they_were() {
    let Some(lab) = Lab::new("pods", &["r1", "r2", "r3", "n1", "n2"]) else {
        return;
    };
    let before = lab.states();
    lab.chapter("up: one replica and two nodes from bare hosts");
    lab.up(&["--nodes", "2"]);
    assert_eq!(lab.ready_nodes(), ["n1", "n2", "r1"]);

    lab.chapter("what people do with a cluster");
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

    lab.chapter("a node goes, when its pods may");
    workload::so_many_pods_are_needed(&lab, 4);
    let error = lab.refused(&["nodes", "scale", "1"]);
    assert!(error.contains("node n2 can't be drained"), "{error}");
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

    lab.chapter("hosts that were given back are as they were");
    for name in ["r2", "r3"] {
        lab.state(name).assert_same_as(&before[name]);
    }

    lab.chapter("every host is powered off, and on again");
    for name in ["r1", "n1", "n2"] {
        lab.host(name).cut_power().unwrap();
    }
    for name in ["r1", "n1", "n2"] {
        lab.host(name).power_on().unwrap();
    }
    lab.await_api("the cluster comes back alone");
    lab.await_ready(&["n1", "n2", "r1"]);
    workload::a_service_answers_by_its_name_and_from_every_host(&lab, &["n1", "n2", "r1"]);

    lab.chapter("a node loses power, and comes back");
    workload::its_pods_restart(&lab);
    workload::its_pods_are_spread_over(&lab, &["n1", "n2"]);
    lab.host("n2").cut_power().unwrap();
    workload::its_pods_come_to(&lab, "n1");
    lab.host("n2").power_on().unwrap();
    lab.await_ready(&["n1", "n2", "r1"]);
    workload::a_node_has_no_other_pods_than_it_should(&lab, "n2");

    lab.chapter("down");
    lab.hakube(&["down", "--yes"]);
    for (name, before) in &before {
        lab.state(name).assert_same_as(before);
    }
}

/// Killed at every step, the same command finishes.
#[test]
#[ignore = "takes three minutes and a quiet machine: scripts/test pods, scripts/test deep"]
fn a_command_that_is_killed_at_any_step_finishes_when_it_is_given_again() {
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

/// Nothing is installed from a mirror whose image archive was exchanged after `up` had its sum.
#[test]
fn an_image_archive_with_another_sum_is_not_imported() {
    let Some(lab) = Lab::new("sums", &["r1"]) else {
        return;
    };
    lab.exchange_image("pause");
    let error = lab.fails(&["up", "--nodes", "0", "--timeout", "25s"]);
    assert!(error.contains("its SHA-256 is"), "{error}");
    lab.host("r1")
        .run(&["sh", "-c", "! ls /var/lib/hakube/images/*pause*.tar"])
        .unwrap()
        .checked()
        .unwrap();
    lab.hakube(&["down", "--yes", "--wait", "30s"]);
    lab.await_free("r1", Duration::from_secs(30));
}
