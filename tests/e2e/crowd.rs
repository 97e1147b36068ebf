//! A project full of other users' instances.

use crate::support::Home;

/// A command's requests, from the log of the local cloud.
async fn requests_of(home: &Home, arguments: &str) -> Vec<String> {
    let cloud = home.cloud();
    let before = cloud.requests(0).await.unwrap();
    let last = before.last().map_or(0, |request| request.ordinal);
    home.run(arguments).await.succeeded();
    let mut requests: Vec<String> = cloud
        .requests(last)
        .await
        .unwrap()
        .into_iter()
        .map(|request| format!("{} {}", request.method, request.path))
        .collect();
    requests.sort();
    requests
}

/// A page has at most 500 instances, so listing all 1200 would take three pages.
#[tokio::test(flavor = "multi_thread")]
async fn status_requests_as_many_pages_in_a_full_project_as_in_an_empty_one() {
    let mut home = Home::new();
    home.set("NUM_NODES", "0");
    home.run("up").await.succeeded();
    let alone = requests_of(&home, "status").await;
    assert!(!alone.is_empty());
    home.cloud().gather_crowd(1200).await.unwrap();
    assert_eq!(requests_of(&home, "status").await, alone);
    home.run("down --yes").await.succeeded();
}
