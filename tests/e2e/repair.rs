//! Drift is reported and fixed.

use crate::support::{
    Api, Emulator, Home, Writer, assert_agreement, assert_api_works, replica_names,
    replicas_that_are,
};

/// The first replica is like any other; here it is the leader and fails.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_replica_and_then_a_healthy_one_are_replaced() {
    let home = Home::new();
    home.run("up").await.succeeded();
    home.run("replicate --count 2").await.succeeded();
    let api = Api::of(&home).await;
    let server = api.server.clone();
    let writer = Writer::start(move |name| {
        let api = api.clone();
        async move { api.write(&name).await }
    });
    writer.goes_on().await;

    let dead = replicas_that_are(&home.status().await, "leader").remove(0);
    home.kill_machine(&dead).await;
    home.run(&format!("replace {dead}")).await.succeeded();
    let status = assert_agreement(&home, 3).await;
    assert!(!replica_names(&status).contains(&dead));

    let healthy = replicas_that_are(&status, "voter").remove(0);
    home.run(&format!("replace {healthy}")).await.succeeded();
    let status = assert_agreement(&home, 3).await;
    assert!(!replica_names(&status).contains(&healthy));
    assert_api_works(&home, &server, "after-two-replacements").await;

    let record = writer.finish().await;
    let there = Api::of(&home).await.written().await;
    let lost: Vec<_> = record
        .acknowledged
        .iter()
        .filter(|name| !there.contains(*name))
        .collect();
    assert!(lost.is_empty(), "acknowledged and gone: {lost:?}");
    home.run("down --yes").await.succeeded();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_machine_is_reported_by_status_and_recreated_by_repair() {
    let home = Home::new();
    home.run("up").await.succeeded();
    home.run("replicate --count 2").await.succeeded();
    assert_eq!(home.status().await["drift"], serde_json::json!([]));
    let gone = replicas_that_are(&home.status().await, "voter").remove(0);

    let emulator = Emulator::of(&home).await;
    emulator
        .delete(&format!("zones/europe-west1-b/instances/{gone}"))
        .await;
    let status = home.status().await;
    let drift = status["drift"].to_string();
    assert!(drift.contains(&format!("machine {gone}")), "{drift}");

    home.run("repair").await.succeeded();
    assert_agreement(&home, 3).await;
    assert_eq!(home.status().await["drift"], serde_json::json!([]));
    home.run("down --yes").await.succeeded();
}

/// Clients would be locked out some day, or others admitted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_or_changed_firewall_is_reported_by_status_and_fixed_by_repair() {
    let home = Home::new();
    home.run("up").await.succeeded();
    let emulator = Emulator::of(&home).await;
    let path = "global/firewalls/kubernetes-master-https";
    let right = emulator.get(path).await["sourceRanges"].clone();
    emulator.delete(path).await;
    let drift = home.status().await["drift"].to_string();
    assert!(
        drift.contains("allow clients to reach kubernetes-master"),
        "{drift}"
    );
    emulator
        .make(
            "global/firewalls",
            serde_json::json!({
                "name": "kubernetes-master-https",
                "description": format!("hakube-cluster={}", home.mark()),
                "network": "global/networks/default",
                "sourceRanges": ["10.0.0.0/8"],
                "targetTags": ["kubernetes-master"],
                "allowed": [{"IPProtocol": "tcp", "ports": ["6443"]}],
            }),
        )
        .await;
    let drift = home.status().await["drift"].to_string();
    assert!(drift.contains("kubernetes-master-https"), "{drift}");
    home.run("repair").await.succeeded();
    assert_eq!(emulator.get(path).await["sourceRanges"], right);
    assert_agreement(&home, 1).await;
    assert_eq!(home.status().await["drift"], serde_json::json!([]));
    home.run("down --yes").await.succeeded();
}
