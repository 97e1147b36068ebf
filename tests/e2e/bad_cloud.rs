//! A project in which what is asked for can't be made: found before anything is, where Compute Engine tells, and
//! turned back from where it doesn't.

use crate::support::{Emulator, Home, assert_agreement};
use hakube_local::client::{Act, FaultRule};
use serde_json::json;

/// `up`, where something is in the way.
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
        "a machine type that the zone lacks",
        &[("MASTER_SIZE", "e2-giant")],
        2,
        &[
            "machine type e2-giant in europe-west1-b",
            "no such machine type",
        ],
    ),
    case(
        "an image family that doesn't exist",
        &[(
            "KUBE_GCE_MASTER_IMAGE",
            "projects/debian-cloud/global/images/family/debian-99",
        )],
        2,
        &["debian-99", "no such image or family"],
    ),
    case(
        "names that are too long with what is appended",
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
        &[
            "subnetwork nowhere in europe-west1",
            "there is no such subnetwork",
        ],
    ),
    case(
        "no credentials where they are said to be",
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
        &[
            "/nonexistent/key.json",
            "GOOGLE_APPLICATION_CREDENTIALS names it",
        ],
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_project_does_not_have_is_found_before_anything_is_made() {
    let home = Home::new();
    home.run("local start").await.succeeded();
    let emulator = Emulator::of(&home).await;
    let before = emulator.inventory().await;
    for case in &BY_SETTINGS {
        let outcome = home.run_with(case.variables, "up").await;
        outcome.exited(case.exit).says(case.says);
        assert_eq!(emulator.inventory().await, before, "{}", case.name);
    }
    // Metadata over the limit: no variable of a process may be as long, a file may.
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
async fn everything_in_the_way_is_named_at_once_and_stays_as_it_is() {
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
        "3 things stand in the way, and nothing was made",
        "address kubernetes-master-ip in europe-west1: it exists, without the mark",
        "the shop's",
        "kubernetes-master-https: it exists in network other and not in default",
        "quota CPUS of region europe-west1: needs 2, and 1 of 1 are left",
    ]);
    assert_eq!(emulator.inventory().await, before);
    let reserved = emulator
        .get("regions/europe-west1/addresses/kubernetes-master-ip")
        .await;
    assert_eq!(reserved["description"], "the shop's");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_project_that_cannot_be_used_is_said_with_what_to_run() {
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

/// Permissions that change while a command runs, or that nobody could ask about.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn permission_denied_in_the_middle_is_turned_back_from() {
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
