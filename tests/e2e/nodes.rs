//! Nodes: made with the cluster, gone with it.

use crate::support::{Api, Emulator, Home, assert_gone, eventually};
use std::collections::BTreeSet;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_come_and_go_with_the_cluster() {
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

    // They reach the API at the endpoint, wherever that is.
    home.run("replicate").await.succeeded();
    home.run("down --replica kubernetes-master")
        .await
        .succeeded();
    let api = Api::of(&home).await;
    eventually("nodes are ready with the endpoint elsewhere", async || {
        (api.ready_nodes().await == named).then_some(())
    })
    .await;

    home.run("down --yes").await.succeeded();
    assert_gone(&home, &before).await;
}
