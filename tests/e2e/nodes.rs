//! Nodes are created and deleted with the cluster.

use crate::support::{Api, Emulator, Home, assert_gone, eventually};
use std::collections::BTreeSet;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_are_created_and_deleted_with_the_cluster() {
    let mut home = Home::new();
    home.set("NUM_NODES", "2");
    home.run("local start").await.succeeded();
    let before = Emulator::of(&home).await.inventory().await;
    home.run("up").await.succeeded();

    let status = home.status().await;
    let nodes = status["nodes"].as_array().unwrap();
    assert!(
        nodes
            .iter()
            .all(|node| node["ready"] == true && node["zone"] == "europe-west1-b"),
        "{status:#}"
    );
    let named: BTreeSet<String> = nodes
        .iter()
        .map(|node| node["name"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(named.len(), 2, "{status:#}");
    assert_eq!(
        Api::of(&home).await.ready_nodes().await,
        named,
        "according to the API and to status"
    );
    let machines = Emulator::of(&home).await.inventory().await["instances"].clone();
    assert!(machines.is_superset(&named), "{machines:?} has {named:?}");

    // They reach the API at the endpoint, wherever its address is.
    home.run("replicate").await.succeeded();
    home.run("down --replica kubernetes-master")
        .await
        .succeeded();
    let api = Api::of(&home).await;
    eventually("nodes are ready after the endpoint moved", async || {
        (api.ready_nodes().await == named).then_some(())
    })
    .await;

    home.run("down --yes").await.succeeded();
    assert_gone(&home, &before).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_are_scaled_in_several_zones() {
    let mut home = Home::new();
    home.set("MULTIZONE", "true");
    home.set("NUM_NODES", "2");
    home.set("MAX_INSTANCES_PER_MIG", "2");
    home.run("up").await.succeeded();
    let emulator = Emulator::of(&home).await;
    let api = Api::of(&home).await;
    assert_eq!(zones(&home).await, ["europe-west1-b", "europe-west1-c"]);

    // An additional node goes to the zone without one, and is removed first.
    let all = ["europe-west1-b", "europe-west1-c", "europe-west1-d"];
    home.run("nodes scale 3").await.succeeded();
    assert_eq!(zones(&home).await, all);
    home.run("nodes scale 2").await.succeeded();
    assert_eq!(zones(&home).await, all[..2]);

    // Groups have at most two nodes: the zone gets a second group.
    home.run("nodes scale 3 --zone europe-west1-b")
        .await
        .succeeded()
        .says(&["3 in europe-west1-b"]);
    let groups = emulator.inventory().await["instanceGroupManagers"].clone();
    assert!(
        groups.contains("kubernetes-minion-group-europe-west1-b-1"),
        "{groups:?}"
    );
    assert_eq!(api.ready_nodes().await.len(), 4);

    // kube-up's way of adding nodes, twice.
    for _ in 0..2 {
        let add = [
            ("KUBE_USE_EXISTING_MASTER", "true"),
            ("KUBE_GCE_ZONE", "europe-west1-d"),
        ];
        home.run_with(&add, "up").await.succeeded();
        assert_eq!(zones(&home).await.len(), 6);
    }
    home.run("nodes add --zone europe-west1-d --nodes 7")
        .await
        .exited(3)
        .says(&["hakube nodes scale 7 --zone europe-west1-d"]);

    home.run("nodes scale 0").await.succeeded();
    let left = emulator.inventory().await;
    assert!(left["instanceGroupManagers"].is_empty(), "{left:?}");
    assert!(left["instanceTemplates"].is_empty(), "{left:?}");
    assert_eq!(
        home.status().await["nodes"].as_array().unwrap().len(),
        0,
        "no nodes are left"
    );
}

async fn zones(home: &Home) -> Vec<String> {
    let status = home.status().await;
    let nodes = status["nodes"].as_array().unwrap().iter();
    let mut zones: Vec<String> = nodes
        .map(|node| node["zone"].as_str().unwrap().to_owned())
        .collect();
    zones.sort();
    zones
}
