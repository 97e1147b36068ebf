//! KUBE_GCE_PRIVATE_CLUSTER: the endpoint has an address of the subnetwork, which moves like an external
//! one. No machine ever has an external address.

use crate::support::{Api, Emulator, Home, assert_agreement, assert_api_works, assert_gone};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_two_one_none_with_internal_addresses_only() {
    let mut home = Home::new();
    home.set("KUBE_GCE_PRIVATE_CLUSTER", "true");
    home.run("local start").await.succeeded();
    let emulator = Emulator::of(&home).await;
    let before = emulator.inventory().await;

    home.run("up -o json").await.succeeded();
    let server = Api::of(&home).await.server;
    assert_private(&home, &emulator, &server, 1, "none-to-one").await;

    for (command, replicas) in [("replicate -o json", 2), ("down --replica -o json", 1)] {
        let outcome = home.run(command).await.succeeded();
        let gap = &outcome.summary()["endpoint_gap_ms"];
        assert!(gap.is_u64(), "endpoint_gap_ms is {gap} in {outcome}");
        assert_private(&home, &emulator, &server, replicas, command).await;
    }

    // The repeated command finds the address in place.
    home.run("up -o json").await.succeeded();
    assert_private(&home, &emulator, &server, 1, "up-again").await;
    home.run("down --yes -o json").await.succeeded();
    assert_gone(&home, &before).await;
}

/// Checks that the API works at the cluster's original address, and that every address is internal.
async fn assert_private(
    home: &Home,
    emulator: &Emulator,
    server: &str,
    replicas: usize,
    after: &str,
) {
    let status = assert_agreement(home, replicas).await;
    let word = after.replace(' ', "-");
    assert_api_works(home, server, &word).await;
    let address = &emulator.all("addresses").await[0];
    assert_eq!(address["addressType"], "INTERNAL", "after {after}");
    assert_eq!(address["name"], "kubernetes-master-internal-ip");
    for rule in emulator.all("forwardingRules").await {
        assert_eq!(rule["loadBalancingScheme"], "INTERNAL", "after {after}");
    }
    for machine in emulator.all("instances").await {
        let nic = &machine["networkInterfaces"][0];
        let external = nic["accessConfigs"].as_array();
        assert!(external.is_none_or(Vec::is_empty), "after {after}: {nic}");
        // The address belongs to the only machine, or to none.
        let aliases = match replicas {
            1 => json!([{"ipCidrRange": format!("{}/32", address["address"].as_str().unwrap())}]),
            _ => json!([]),
        };
        let there = match &nic["aliasIpRanges"] {
            Value::Null => json!([]),
            ranges => ranges.clone(),
        };
        assert_eq!(there, aliases, "after {after}");
    }
    assert!(server.contains(status["endpoint"]["address"].as_str().unwrap()));
}
