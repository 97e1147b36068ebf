//! Clusters go to other versions of Kubernetes while clients use them.

use crate::support::{Api, Home, Writer, eventually};
use kube::config::Kubeconfig;
use serde_json::json;

const NEW: &str = "v1.36.9";

/// Each program that runs, and nothing to report.
async fn all_run(home: &Home, version: &str) {
    let running = json!([format!("{version}+hakube.stand-in")]);
    eventually("all programs have the version", async || {
        let status = home.status().await;
        let versions = &status["versions"];
        let is_done = status["version"] == version
            && versions["kubernetes"]["running"] == running
            && versions["kubelet"]["running"] == running
            && status["conditions"].is_null()
            && status["unfinished"].is_null();
        is_done.then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_replicas_and_a_node_go_to_another_version_and_back_without_a_lost_write() {
    let mut home = Home::new();
    home.set("NUM_NODES", "1");
    home.run("up").await.succeeded();
    home.run("replicate --count 2").await.succeeded();
    let server = Api::of(&home).await.server;
    let kubeconfig = home.kubeconfig();
    let writer = Writer::start(move |name| {
        let kubeconfig = Kubeconfig::read_from(&kubeconfig).unwrap();
        async move { Api::with(kubeconfig).await.write(&name).await }
    });
    writer.goes_on().await;
    home.run(&format!("upgrade --kubernetes-version {NEW}"))
        .await
        .succeeded();
    all_run(&home, NEW).await;
    writer.goes_on().await;
    // A replica that is created later has the same version. A patch can be taken back.
    home.run("replicate").await.succeeded();
    all_run(&home, NEW).await;
    home.run("upgrade --kubernetes-version v1.36.3")
        .await
        .succeeded();
    all_run(&home, "v1.36.3").await;
    writer.goes_on().await;
    let record = writer.finish().await;
    let written = Api::of(&home).await.written().await;
    let mut acknowledged = record.acknowledged.iter();
    let lost = acknowledged.find(|name| !written.contains(*name));
    assert_eq!(lost, None, "acknowledged and lost");
    println!(
        "upgrade: {} writes acknowledged, {} refused",
        record.acknowledged.len(),
        record.refused.len()
    );
    // A replica leaves the balancer before its API server stops. Leadership of etcd moves once for each upgrade.
    assert!(
        record.refused.len() * 50 < record.acknowledged.len(),
        "{:#?}",
        record.refused
    );
    assert_eq!(Api::of(&home).await.server, server);
    assert_eq!(home.status().await["quorum"]["healthy"], 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn versions_that_can_not_follow_are_refused() {
    let home = Home::new();
    home.run("upgrade --kubernetes-version v1.36.9")
        .await
        .exited(2)
        .says(&["there is no cluster kubernetes", "hakube up"]);
    home.run("up").await.succeeded();
    let before = home.status().await;
    let cases: [(&str, i32, &[&str]); 4] = [
        ("latst", 2, &["latst", "--kubernetes-version", "v1.36.3"]),
        ("v1.99.0", 3, &["v1.99.0", "v1.37 first"]),
        ("v1.35.2", 3, &["v1.35.2", "can't go back"]),
        ("v1.36.3", 0, &["is at Kubernetes v1.36.3 already"]),
    ];
    for (version, exit, says) in cases {
        home.run(&format!("upgrade --kubernetes-version {version}"))
            .await
            .exited(exit)
            .says(says);
        assert_eq!(home.status().await, before, "after {version}");
    }
}
