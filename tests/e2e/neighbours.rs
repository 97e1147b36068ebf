//! Two clusters in one project, where one's name is a prefix of the other's.

use crate::support::{Emulator, Home, assert_gone, replica_names};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn down_deletes_only_one_of_two_clusters_with_a_common_prefix() {
    let home = Home::new();
    home.run("local start").await.succeeded();
    let emulator = Emulator::of(&home).await;
    let before = emulator.inventory().await;

    // Its machines' names have the same prefix as the replicas of prod.
    home.run("up --cluster prod-master -o json")
        .await
        .succeeded();
    let alone = emulator.inventory().await;
    home.run("up --cluster prod -o json").await.succeeded();
    home.run("replicate --cluster prod -o json")
        .await
        .succeeded();
    let status = home.run("status --cluster prod -o json").await.succeeded();
    assert_eq!(replica_names(&status.json()).len(), 2);
    let clusters = home.run("clusters -o json").await.succeeded().json();
    let clusters = clusters["clusters"].as_array().unwrap();
    let seen: Vec<_> = clusters
        .iter()
        .map(|one| (one["name"].as_str().unwrap(), one["replicas"].as_u64()))
        .collect();
    assert_eq!(seen, [("prod", Some(2)), ("prod-master", Some(1))]);
    home.run("down --cluster prod --yes -o json")
        .await
        .succeeded();
    assert_eq!(emulator.inventory().await, alone);
    let status = home
        .run("status --cluster prod-master -o json")
        .await
        .succeeded()
        .json();
    assert_eq!(status["endpoint"]["ready"], true, "{status}");
    assert_eq!(status["drift"], serde_json::json!([]), "{status}");

    home.run("down --cluster prod-master --yes -o json")
        .await
        .succeeded();
    assert_gone(&home, &before).await;
}
