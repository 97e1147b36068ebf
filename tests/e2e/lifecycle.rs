//! The main use, as in kube-up's documentation: one replica, two, three, two, one, none, while clients
//! write.

use crate::support::{
    Api, Emulator, Etcd, Home, Outcome, Writer, assert_agreement, assert_api_works, assert_gone,
};
use serde_json::Value;

/// A change to the cluster, and the expected result.
struct Step {
    name: &'static str,
    command: &'static str,
    replicas: usize,
    mode: &'static str,
    /// Whether the endpoint's address moves.
    moves: bool,
}

const fn step(name: &'static str, command: &'static str, replicas: usize, moves: bool) -> Step {
    let mode = if replicas == 1 {
        "direct"
    } else {
        "load-balanced"
    };
    Step {
        name,
        command,
        replicas,
        mode,
        moves,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_two_three_two_one_none_in_one_zone() {
    let home = Home::new();
    let up = "up -o json";
    let growing = [
        step("one-to-two", "replicate -o json", 2, true),
        step(
            "two-to-three",
            "replicate --zone europe-west1-b -o json",
            3,
            false,
        ),
    ];
    let shrinking = [
        step("three-to-two", "down --replica -o json", 2, false),
        step(
            "two-to-one",
            "down --replica --zone europe-west1-b -o json",
            1,
            true,
        ),
    ];
    live(&home, up, &growing, &shrinking).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_two_three_two_one_none_across_zones() {
    let mut home = Home::new();
    home.set("MULTIZONE", "true");
    let up = "up --zone europe-west1-b -o json";
    let growing = [
        step(
            "one-to-two",
            "replicate --zone europe-west1-c -o json",
            2,
            true,
        ),
        step(
            "two-to-three",
            "replicate --zone europe-west1-d -o json",
            3,
            false,
        ),
    ];
    // The first replica is removed, too: the address belongs to the cluster, not the machine.
    let shrinking = [
        step(
            "three-to-two",
            "down --replica kubernetes-master -o json",
            2,
            false,
        ),
        step(
            "two-to-one",
            "down --replica --zone europe-west1-d -o json",
            1,
            true,
        ),
    ];
    live(&home, up, &growing, &shrinking).await;
}

async fn live(home: &Home, up: &str, growing: &[Step], shrinking: &[Step]) {
    home.run("local start").await.succeeded();
    let before = Emulator::of(home).await.inventory().await;
    home.run(up).await.succeeded();
    let status = assert_agreement(home, 1).await;
    let server = Api::of(home).await.server;
    assert_api_works(home, &server, "none-to-one").await;

    let api = Api::of(home).await;
    let through_endpoint = Writer::start(move |name| {
        let api = api.clone();
        async move { api.write(&name).await }
    });
    let etcd = Etcd::of(home, &status["replicas"][0]).await;
    let writes_to = etcd.clone();
    let at_etcd = Writer::start(move |name| {
        let etcd = writes_to.clone();
        async move { etcd.write(&name).await }
    });
    for step in growing {
        take(home, step, &server).await;
        through_endpoint.goes_on().await;
    }
    let record = at_etcd.finish().await;
    assert_eq!(
        record.refused,
        [] as [&str; 0],
        "a write to etcd failed when a member joined"
    );
    let there = etcd.written().await;
    assert_eq!(
        there.len(),
        record.acknowledged.len(),
        "acknowledged writes to etcd exist"
    );

    for step in shrinking {
        take(home, step, &server).await;
        through_endpoint.goes_on().await;
    }
    let record = through_endpoint.finish().await;
    let there = Api::of(home).await.written().await;
    let lost: Vec<_> = record
        .acknowledged
        .iter()
        .filter(|name| !there.contains(*name))
        .collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    for step in growing.iter().chain(shrinking) {
        assert!(
            there.contains(step.name),
            "the write after {} is lost",
            step.name
        );
    }

    home.run("down --yes -o json").await.succeeded();
    assert_gone(home, &before).await;
    home.run("local stop").await.succeeded();
    home.await_no_process().await;
}

async fn take(home: &Home, step: &Step, server: &str) {
    let outcome = home.run(step.command).await.succeeded();
    assert_gap(&outcome, step.moves);
    let status = assert_agreement(home, step.replicas).await;
    assert_eq!(status["endpoint"]["mode"], step.mode, "after {}", step.name);
    assert_api_works(home, server, step.name).await;
}

/// The endpoint's gap is measured if and only if its address moves.
fn assert_gap(outcome: &Outcome, moves: bool) {
    let gap = &outcome.summary()["endpoint_gap_ms"];
    assert_eq!(gap.is_u64(), moves, "endpoint_gap_ms is {gap} in {outcome}");
    assert!(moves || *gap == Value::Null, "{gap}");
}
