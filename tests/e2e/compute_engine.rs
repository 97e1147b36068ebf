//! `--provider gce` on the command line, over ssh: the emulator's API takes the place of Google's, and none
//! of the local cloud's own features is used. Its guest agents listen on port 22, which needs root or
//! net.ipv4.ip_unprivileged_port_start=22; otherwise these tests are skipped with a message.

use crate::secrets::{authorities, machines};
use crate::support::{
    Api, Emulator, HAKUBE, Home, Running, assert_agreement, assert_api_works, assert_gone,
    eventually, find_in_path,
};
use serde_json::Value;
use std::collections::BTreeSet;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;

/// Metadata keys that a replica may have.
const METADATA: [&str; 5] = [
    "block-project-ssh-keys",
    "enable-guest-attributes",
    "enable-oslogin",
    "ssh-keys",
    "user-data",
];

/// A home whose commands use the emulator as Compute Engine. The emulator runs until the second value is
/// dropped. `None` if port 22 isn't available.
async fn home() -> Option<(Home, Running)> {
    home_with("", |_| ()).await
}

/// The same, with more arguments for the emulator, in a home that is prepared before it starts.
pub async fn home_with(
    arguments: &str,
    prepare: impl FnOnce(&mut Home),
) -> Option<(Home, Running)> {
    // An sshd on all addresses would also block the agents.
    if let Err(error) = TcpListener::bind("127.63.0.1:22") {
        eprintln!("skipped: can't listen on port 22: {error}");
        return None;
    }
    let mut home = Home::new();
    prepare(&mut home);
    // A project ID in Google's format.
    let serve = format!(
        "local serve --project my-project-1234 {arguments} --home {}",
        home.path().display()
    );
    let daemon = home.start(&serve);
    let cloud = eventually("the local cloud serves", async || {
        let status = home.run("local status -o json").await.succeeded().json();
        status["url"].is_string().then_some(status)
    })
    .await;
    let text = |field: &str| cloud[field].as_str().unwrap().to_owned();
    let programs = home.beside("kubernetes");
    std::fs::create_dir(&programs).unwrap();
    for name in [
        "kube-apiserver",
        "kube-controller-manager",
        "kube-scheduler",
    ] {
        let file = programs.join(name);
        let script =
            format!("#!/bin/sh\nexec {HAKUBE} stand-in {name} --stand-in-version=1.36.3 \"$@\"\n");
        std::fs::write(&file, script).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let etcd = find_in_path("etcd").unwrap();
    for (name, value) in [
        ("KUBERNETES_PROVIDER", "gce"),
        ("HAKUBE_STAND_INS", "false"),
        ("PROJECT", &text("project")),
        ("KUBE_GCE_ZONE", "europe-west1-b"),
        ("HAKUBE_COMPUTE_ENDPOINT", &text("url")),
        ("HAKUBE_COMPUTE_TOKEN_FILE", &text("token_file")),
        ("HAKUBE_API_PORT", "6443"),
        ("HAKUBE_KUBE_BINARIES", programs.to_str().unwrap()),
        ("HAKUBE_ETCD_BINARY", etcd.to_str().unwrap()),
        ("HAKUBE_SSH_SOURCE", "127.0.0.0/8"),
        ("NUM_NODES", "0"),
    ] {
        home.set(name, value);
    }
    Some((home, daemon))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_two_one_none_over_ssh() {
    let Some((home, _daemon)) = home().await else {
        return;
    };
    let emulator = Emulator::of(&home).await;
    let before = emulator.inventory().await;

    home.run("up -o json").await.succeeded();
    assert_agreement(&home, 1).await;
    let server = Api::of(&home).await.server;
    home.run("replicate -o json").await.succeeded();
    assert_agreement(&home, 2).await;
    assert_api_works(&home, &server, "one-to-two").await;
    assert_metadata_has_no_secret(&home, &emulator).await;
    assert_keys_are_private(&home);

    // The address moved from the first machine to the balancer and moves back. An ssh session to it is cut,
    // and reconnects.
    home.run("down --replica -o json").await.succeeded();
    assert_agreement(&home, 1).await;
    assert_api_works(&home, &server, "two-to-one").await;
    home.run("up -o json").await.succeeded();
    home.run("down --yes -o json").await.succeeded();
    assert_gone(&home, &before).await;
}

/// Machines are reached at their internal addresses. The endpoint's address belongs to no machine.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_private_cluster_over_ssh() {
    let Some((mut home, _daemon)) = home().await else {
        return;
    };
    home.set("KUBE_GCE_PRIVATE_CLUSTER", "true");
    let emulator = Emulator::of(&home).await;
    let before = emulator.inventory().await;
    home.run("up -o json").await.succeeded();
    let server = Api::of(&home).await.server;
    for (command, replicas) in [("replicate -o json", 2), ("down --replica -o json", 1)] {
        home.run(command).await.succeeded();
        assert_agreement(&home, replicas).await;
        assert_api_works(&home, &server, &format!("of-{replicas}")).await;
        for machine in emulator.all("instances").await {
            let configs = machine["networkInterfaces"][0]["accessConfigs"].as_array();
            assert!(configs.is_none_or(Vec::is_empty), "{machine}");
        }
    }
    home.run("down --yes -o json").await.succeeded();
    assert_gone(&home, &before).await;
}

async fn assert_metadata_has_no_secret(home: &Home, emulator: &Emulator) {
    let secrets: Vec<_> = authorities(home)
        .into_iter()
        .chain(machines(home))
        .collect();
    assert!(secrets.iter().any(|secret| secret.name == "ssh-login.key"));
    let instances = emulator.all("instances").await;
    assert_eq!(instances.len(), 2);
    for instance in instances {
        let items = instance["metadata"]["items"].as_array().unwrap();
        let keys = items.iter().map(|item| item["key"].as_str().unwrap());
        assert_eq!(
            keys.collect::<BTreeSet<&str>>(),
            BTreeSet::from(METADATA),
            "metadata of {}",
            instance["name"]
        );
        let text = instance.to_string();
        // In plain text and in base64.
        for secret in ["PRIVATE KEY", "UFJJVkFURSBLRV", emulator.token()] {
            assert!(!text.contains(secret), "{secret} in {}", instance["name"]);
        }
        for secret in &secrets {
            assert!(
                !text.contains(&secret.part),
                "{} in {}",
                secret.name,
                instance["name"]
            );
        }
    }
}

/// Files written over ssh are as private as those written by the local cloud.
fn assert_keys_are_private(home: &Home) {
    let root = home.machine_root("europe-west1-b", "kubernetes-master");
    for (file, mode) in [
        ("etc/kubernetes/pki/etcd/server.key", 0o600),
        ("etc/kubernetes/pki/sa.key", 0o600),
        ("etc/kubernetes/pki/encryption.yaml", 0o600),
        ("etc/kubernetes/scheduler.kubeconfig", 0o600),
        ("etc/kubernetes/pki/ca.crt", 0o644),
    ] {
        let metadata = root.join(file).metadata().unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, mode, "{file}");
    }
    let staged = walk(&root)
        .into_iter()
        .filter(|file| file.contains(".hakube."));
    assert_eq!(staged.collect::<Vec<_>>(), [] as [String; 0]);
}

fn walk(directory: &std::path::Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            found.extend(walk(&entry.path()));
        } else {
            found.push(entry.path().display().to_string());
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_ssh_source_is_an_error() {
    let Some((mut home, _daemon)) = home().await else {
        return;
    };
    home.set("HAKUBE_SSH_SOURCE", "");
    let before = Emulator::of(&home).await.inventory().await;
    home.run("up").await.exited(2).says(&["--ssh-source"]);
    assert_eq!(Emulator::of(&home).await.inventory().await, before);
}

/// Only named sources are allowed: the emulator's firewall blocks the operator, and hakube suggests what to
/// check.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_firewall_that_blocks_the_operator_is_reported() {
    let Some((mut home, _daemon)) = home().await else {
        return;
    };
    // The default network's own rule lets everyone in.
    let emulator = Emulator::of(&home).await;
    emulator.delete("global/firewalls/default-allow-ssh").await;
    home.set("HAKUBE_SSH_SOURCE", "203.0.113.7/32");
    home.set("HAKUBE_TIMEOUT", "2s");
    let outcome = home.run("up").await.exited(1);
    outcome.says(&["kubernetes-master", "--ssh-source"]);
    let firewall: Value = emulator.get("global/firewalls/kubernetes-master-ssh").await;
    assert_eq!(
        firewall["sourceRanges"],
        serde_json::json!(["203.0.113.7/32"])
    );
    home.set("HAKUBE_TIMEOUT", "60s");
    home.run("down --yes").await.succeeded();
}
