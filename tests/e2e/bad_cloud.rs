//! A project in which a cluster can't be created. The problem is found before anything is created if Compute
//! Engine reports it in advance, and otherwise rolled back.

use crate::support::{Emulator, Home, assert_agreement};
use hakube_local_client::{Act, FaultRule};
use serde_json::json;

/// An `up` that can't succeed.
struct Case {
    name: &'static str,
    variables: &'static [(&'static str, &'static str)],
    exit: i32,
    says: &'static [&'static str],
}

const fn case(
    name: &'static str,
    variables: &'static [(&'static str, &'static str)],
    exit: i32,
    says: &'static [&'static str],
) -> Case {
    Case {
        name,
        variables,
        exit,
        says,
    }
}

const BY_SETTINGS: [Case; 5] = [
    case(
        "a machine type that the zone doesn't have",
        &[("MASTER_SIZE", "e2-giant")],
        2,
        &["e2-giant", "europe-west1-b"],
    ),
    case(
        "an image family that doesn't exist",
        &[(
            "KUBE_GCE_MASTER_IMAGE",
            "projects/debian-cloud/global/images/family/debian-99",
        )],
        2,
        &["debian-99"],
    ),
    case(
        "names that are too long with their suffixes",
        &[(
            "KUBE_GCE_INSTANCE_PREFIX",
            "a-prefix-of-sixty-characters-for-which-there-is-no-room-left",
        )],
        2,
        &["KUBE_GCE_INSTANCE_PREFIX"],
    ),
    case(
        "a subnetwork that doesn't exist",
        &[("SUBNETWORK", "nowhere")],
        2,
        &["subnetwork nowhere", "europe-west1"],
    ),
    case(
        "a missing credentials file",
        &[
            ("KUBERNETES_PROVIDER", "gce"),
            ("PROJECT", "my-project-1234"),
            ("HAKUBE_STAND_INS", "false"),
            ("HAKUBE_SSH_SOURCE", "none"),
            ("HAKUBE_KUBE_BINARIES", "/opt/kubernetes/bin"),
            ("HAKUBE_ETCD_BINARY", "/usr/bin/etcd"),
            ("GOOGLE_APPLICATION_CREDENTIALS", "/nonexistent/key.json"),
        ],
        5,
        &["/nonexistent/key.json", "GOOGLE_APPLICATION_CREDENTIALS"],
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn missing_prerequisites_are_found_before_anything_is_created() {
    let home = Home::new();
    home.run("local start").await.succeeded();
    let emulator = Emulator::of(&home).await;
    let before = emulator.inventory().await;
    for case in &BY_SETTINGS {
        let outcome = home.run_with(case.variables, "up").await;
        outcome.exited(case.exit).says(case.says);
        assert_eq!(emulator.inventory().await, before, "{}", case.name);
    }
    // Metadata over the limit, from a file: environment variables can't be that long.
    let file = home.beside("long.env");
    let arguments: String = (0..9000)
        .map(|n| format!(" --experimental-thing-{n}=value"))
        .collect();
    std::fs::write(&file, format!("ETCD_EXTRA_ARGS=\"{}\"\n", arguments.trim())).unwrap();
    let outcome = home.run(&format!("up --env-file {}", file.display())).await;
    outcome.exited(2).says(&["user data", "262144"]);
    assert_eq!(emulator.inventory().await, before, "long metadata");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_obstacles_are_reported_together_and_left_unchanged() {
    let home = Home::new();
    home.run("local start").await.succeeded();
    let emulator = Emulator::of(&home).await;
    let address = json!({"name": "kubernetes-master-ip", "description": "the shop's"});
    emulator
        .make("regions/europe-west1/addresses", address)
        .await;
    emulator
        .make(
            "global/networks",
            json!({"name": "other", "autoCreateSubnetworks": false}),
        )
        .await;
    let firewall = json!({
        "name": "kubernetes-master-https",
        "description": "hakube-cluster=kubernetes",
        "network": "global/networks/other",
        "allowed": [{"IPProtocol": "tcp", "ports": ["443"]}],
        "sourceRanges": ["10.0.0.0/8"],
    });
    emulator.make("global/firewalls", firewall).await;
    emulator
        .limit(&json!({"regions/europe-west1": {"CPUS": 1}}))
        .await;
    let before = emulator.inventory().await;
    home.run("up").await.exited(5).says(&[
        "address kubernetes-master-ip",
        "the shop's",
        "kubernetes-master-https",
        "quota CPUS",
    ]);
    assert_eq!(emulator.inventory().await, before);
    let reserved = emulator
        .get("regions/europe-west1/addresses/kubernetes-master-ip")
        .await;
    assert_eq!(reserved["description"], "the shop's");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unusable_project_is_reported_with_the_command_that_fixes_it() {
    let home = Home::new();
    home.run("local start").await.succeeded();
    let emulator = Emulator::of(&home).await;
    let before = emulator.inventory().await;
    for (act, exit, says) in [
        (Act::refuse(404, "notFound"), 2, "gcloud projects list"),
        (
            Act::refuse(403, "accessNotConfigured"),
            5,
            "gcloud services enable compute.googleapis.com",
        ),
        (Act::refuse(403, "forbidden"), 5, "roles/compute.admin"),
    ] {
        let rule = FaultRule::on("GET", "/projects/[^/]+(/zones)?$", act);
        home.cloud().set_faults(&[rule]).await.unwrap();
        home.run("up").await.exited(exit).says(&[says]);
        home.cloud().clear_faults().await.unwrap();
        assert_eq!(emulator.inventory().await, before, "{says}");
    }
}

/// Permissions that change while a command runs, or that can't be queried.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn permission_denied_in_mid_command_is_rolled_back() {
    let home = Home::new();
    home.run("up").await.succeeded();
    let before = assert_agreement(&home, 1).await;
    for path in ["/instances$", "/backendServices$", "/forwardingRules$"] {
        let rule = FaultRule::on("POST", path, Act::refuse(403, "forbidden"));
        home.cloud().set_faults(&[rule]).await.unwrap();
        home.run("replicate")
            .await
            .exited(5)
            .says(&["forbidden", "roles/compute.admin"]);
        home.cloud().clear_faults().await.unwrap();
        assert_eq!(assert_agreement(&home, 1).await, before, "{path}");
    }
    home.run("replicate").await.succeeded();
    assert_agreement(&home, 2).await;
}

/// Clients are served by then, so the command isn't rolled back. But the machine that held the address has none, and may
/// reach nothing outside of its network.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_that_gets_no_address_after_the_swap_gets_one_by_repair() {
    let home = Home::new();
    home.run("up").await.succeeded();
    let emulator = Emulator::of(&home).await;
    let exhausted = Act::operation_error("ZONE_RESOURCE_POOL_EXHAUSTED");
    let rule = FaultRule::on("POST", "/kubernetes-master/addAccessConfig$", exhausted);
    home.cloud().set_faults(&[rule]).await.unwrap();
    home.run("replicate")
        .await
        .exited(1)
        .says(&["ZONE_RESOURCE_POOL_EXHAUSTED", "hakube repair"]);
    home.cloud().clear_faults().await.unwrap();
    assert_agreement(&home, 2).await;
    let machine = "zones/europe-west1-b/instances/kubernetes-master";
    let has_address = async || {
        let machine = emulator.get(machine).await;
        machine["networkInterfaces"][0]["accessConfigs"][0]["natIP"].is_string()
    };
    assert!(!has_address().await);
    let drift = home.status().await["drift"].to_string();
    assert!(drift.contains("kubernetes-master"), "{drift}");
    home.run("repair").await.succeeded();
    assert!(has_address().await);
    home.run("down --yes").await.succeeded();
}
