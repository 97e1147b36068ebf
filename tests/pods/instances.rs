//! A cluster on Compute Engine: `--provider gce` against the local cloud, whose instances boot Debian. What a firewall
//! rule, a load balancer or a missing address would break on Compute Engine is broken here, too.

use super::lab::Lab;
use super::traffic::Traffic;
use super::{upgrade, workload};

#[test]
#[ignore = "takes seven minutes and a quiet machine: scripts/test pods, scripts/test deep"]
fn a_cluster_on_compute_engine_runs_pods_on_one_replica_and_two_and_leaves_nothing() {
    let Some(lab) = Lab::in_cloud() else {
        return;
    };
    lab.chapter("up: one replica and two nodes");
    lab.up_in_cloud(&["--nodes", "2"]);
    let nodes = lab.ready_nodes();
    assert_eq!(nodes.len(), 3, "{nodes:?}");
    let names: Vec<&str> = nodes.iter().map(String::as_str).collect();
    workload::a_deployment_runs(&lab);
    workload::its_pods_are_spread_over(&lab, &names[1..]);
    workload::a_service_answers_by_its_name_and_from_every_host(&lab, &names);
    workload::logs_exec_and_port_forward_work(&lab);
    workload::top_shows_nodes_and_pods(&lab, &names);

    lab.chapter("1 to 2: the address moves to a load balancer");
    let traffic = Traffic::start_on(&lab, names[1]);
    lab.hakube(&["replicate", "--zone", "europe-west1-c"]);
    let nodes = lab.ready_nodes();
    assert_eq!(nodes.len(), 4, "{nodes:?}");
    let replicas: Vec<&str> = nodes[..2].iter().map(String::as_str).collect();
    workload::every_api_server_reaches_pods(&lab, &replicas);

    lab.chapter("2 to 1: the address moves back to a machine");
    lab.hakube(&["down", "--replica", "--zone", "europe-west1-c"]);
    assert_eq!(lab.ready_nodes().len(), 3);
    traffic.end().assert_nothing_was_lost();

    lab.chapter("an upgrade replaces the nodes, while clients read, write and call the Service");
    upgrade::publish(&lab, "v1.36.4");
    let before = lab.ready_nodes();
    workload::its_pods_stop_gracefully(&lab);
    // The replica isn't drained.
    let traffic = Traffic::start_on(&lab, &before[0]);
    lab.hakube(&["upgrade", "--kubernetes-version", "v1.36.4"]);
    let after = lab.ready_nodes();
    let versions = "--output=jsonpath={.items[*].status.nodeInfo.kubeletVersion}";
    let versions = lab.kubectl(&["get", "nodes", versions]);
    assert_eq!(versions, ["v1.36.4"; 3].join(" "));
    assert_eq!((after.len(), &after[0]), (3, &before[0]));
    let kept = after[1..].iter().filter(|name| before.contains(name));
    assert_eq!(kept.count(), 0, "{after:?} after {before:?}");
    traffic.end().assert_nothing_was_lost();
    let names: Vec<&str> = after.iter().map(String::as_str).collect();
    workload::a_service_answers_by_its_name_and_from_every_host(&lab, &names);

    lab.chapter("down");
    lab.hakube(&["down", "--yes"]);
    let cloud = lab.cloud.as_ref().unwrap();
    assert_eq!(cloud.left(), [""; 0].map(std::path::PathBuf::from));
}
