//! Bad input: the error names the setting, its source and the valid form, and nothing is created.

use crate::support::{Emulator, Home, assert_agreement};
use std::os::unix::fs::symlink;
use std::path::Path;

/// A wrong value, and fragments of the error.
struct Case {
    environment: &'static [(&'static str, &'static str)],
    arguments: &'static str,
    says: &'static [&'static str],
}

const fn case(
    environment: &'static [(&'static str, &'static str)],
    arguments: &'static str,
    says: &'static [&'static str],
) -> Case {
    Case {
        environment,
        arguments,
        says,
    }
}

/// Each error names the setting, the value's source, and the valid form.
const SETTINGS: &[Case] = &[
    case(
        &[],
        "up --provider local --zone europe",
        &["KUBE_GCE_ZONE", "from --zone", "europe-west1-b"],
    ),
    case(
        &[],
        "up --provider azure",
        &[
            "KUBERNETES_PROVIDER",
            "from --provider",
            "local or gce or libvirt or hosts",
        ],
    ),
    case(
        &[],
        "up --node-arch mips",
        &["HAKUBE_NODE_ARCH", "from --node-arch", "amd64"],
    ),
    case(
        &[("CLUSTER_NAME", "Bad_Name")],
        "up",
        &[
            "CLUSTER_NAME",
            "from the environment",
            "[a-z]([-a-z0-9]{0,61}[a-z0-9])?",
        ],
    ),
    case(
        &[],
        "up --cluster 1st",
        &[
            "CLUSTER_NAME",
            "from --cluster",
            "[a-z]([-a-z0-9]{0,61}[a-z0-9])?",
        ],
    ),
    case(
        &[("CLUSTER_IP_RANGE", "10.0.0.0/16")],
        "up",
        &[
            "CLUSTER_IP_RANGE",
            "from the environment",
            "SERVICE_CLUSTER_IP_RANGE",
        ],
    ),
    case(
        &[("CLUSTER_IP_RANGE", "10.64.0.0/30")],
        "up --nodes 3",
        &["CLUSTER_IP_RANGE is \"10.64.0.0/30\"", "too small"],
    ),
    case(
        &[("SERVICE_CLUSTER_IP_RANGE", "10.0.0.0/30")],
        "up",
        &["SERVICE_CLUSTER_IP_RANGE is \"10.0.0.0/30\"", "too small"],
    ),
    case(
        &[("SERVICE_CLUSTER_IP_RANGE", "here")],
        "up",
        &[
            "SERVICE_CLUSTER_IP_RANGE is \"here\"",
            "an address range such as",
        ],
    ),
    case(
        &[("KUBE_DNS_SERVER_IP", "192.168.0.1")],
        "up",
        &["KUBE_DNS_SERVER_IP", "from the environment", "10.0.0.0/16"],
    ),
    case(
        &[("MULTIZONE", "maybe")],
        "up",
        &["MULTIZONE", "from the environment", "true or false"],
    ),
    case(
        &[],
        "up --multizone=2",
        &["MULTIZONE", "from --multizone", "true or false"],
    ),
    case(
        &[("ENABLE_ETCD_QUORUM_READS", "perhaps")],
        "up",
        &[
            "ENABLE_ETCD_QUORUM_READ",
            "from the environment",
            "ENABLE_ETCD_QUORUM_READS",
            "true",
        ],
    ),
    case(
        &[("NUM_NODES", "-1")],
        "up",
        &["NUM_NODES", "from the environment", "from 0 to 5000"],
    ),
    case(
        &[("NUM_NODES", "abc")],
        "up",
        &["NUM_NODES", "from the environment", "from 0 to 5000"],
    ),
    case(&[], "up --nodes -1", &["NUM_NODES", "--nodes"]),
    case(
        &[],
        "up --env-file /nonexistent/settings",
        &["/nonexistent/settings", "from --env-file", "NAME=value"],
    ),
    case(
        &[("MULTIZONE", "maybe"), ("NUM_NODES", "abc")],
        "up",
        &["2 settings are invalid", "MULTIZONE", "NUM_NODES"],
    ),
];

/// Each problem is found by the command that needs the missing object.
const COMMANDS: &[Case] = &[
    case(
        &[("HAKUBE_STAND_INS", "false")],
        "up --provider hosts",
        &["--hosts"],
    ),
    case(
        &[],
        "up --etcd-binary /nonexistent/etcd",
        &["/nonexistent/etcd", "HAKUBE_ETCD_BINARY", "etcd-server"],
    ),
    case(
        &[],
        "up --kube-binaries /nonexistent",
        &["/nonexistent", "HAKUBE_KUBE_BINARIES", "kube-apiserver"],
    ),
    case(
        &[],
        "status --cluster atlantis",
        &["there is no cluster atlantis", "hakube up"],
    ),
    case(
        &[],
        "replicate --cluster atlantis",
        &["there is no cluster atlantis"],
    ),
    case(
        &[],
        "reconcile --cluster atlantis",
        &["there is no cluster atlantis"],
    ),
    case(
        &[],
        "kubeconfig --cluster atlantis",
        &["there is no cluster atlantis"],
    ),
    case(
        &[],
        "down --cluster atlantis",
        &["there is no cluster atlantis"],
    ),
    case(
        &[],
        "down --replica x --cluster atlantis",
        &["there is no cluster atlantis"],
    ),
    case(
        &[("HAKUBE_HOME", "/proc/hakube")],
        "up",
        &["/proc/hakube", "HAKUBE_HOME", "a writable directory"],
    ),
    case(
        &[],
        "down --replica a --replica b",
        &["--replica", "cannot be used multiple times"],
    ),
    case(&[], "replace a a", &["unexpected argument 'a'"]),
    case(&[], "up --no-such-flag", &["--no-such-flag"]),
    case(&[], "elevate", &["elevate"]),
];

#[tokio::test]
async fn a_wrong_setting_is_reported_with_its_source_and_the_valid_form() {
    let home = Home::new();
    for case in SETTINGS {
        home.run_with(case.environment, case.arguments)
            .await
            .exited(2)
            .says(case.says);
        assert!(
            !home.path().exists(),
            "`{}` created HAKUBE_HOME",
            case.arguments
        );
    }
    assert_nothing_created(&home);
}

#[tokio::test]
async fn missing_objects_are_named_and_nothing_is_created() {
    let home = Home::new();
    for case in COMMANDS {
        home.run_with(case.environment, case.arguments)
            .await
            .exited(2)
            .says(case.says);
        assert_nothing_created(&home);
    }
}

#[tokio::test]
async fn an_env_file_is_named_with_the_line() {
    let home = Home::new();
    let file = home.beside("settings");
    std::fs::write(&file, "# Mine.\nMULTIZONE=true\nNUM_NODES=many\n").unwrap();
    let file = file.to_str().unwrap();
    let words = ["NUM_NODES", &format!("{file} line 3")];
    home.run(&format!("up --env-file {file}"))
        .await
        .exited(2)
        .says(&words);
    assert_nothing_created(&home);
}

#[tokio::test]
async fn an_inventory_is_named_with_the_lines() {
    let home = Home::new();
    let file = home.beside("hosts.yaml");
    let hosts = "ssh: {key: k}\nhosts:\n- name: no\n  address: 10.77.0.11\n- name: b\n  address: 10.77.0.300\n  zone: r\n";
    std::fs::write(&file, hosts).unwrap();
    let file = file.to_str().unwrap();
    home.run(&format!("up --provider hosts --hosts {file}"))
        .await
        .exited(2)
        .says(&[
            "HAKUBE_HOSTS",
            "from --hosts",
            "line 3, column 9: host number 1: its name is parsed as false",
            "line 6, column 12: host b: address: \"10.77.0.300\" isn't an IP address",
        ]);
    assert_nothing_created(&home);
}

#[tokio::test]
async fn without_etcd_the_package_is_named() {
    let home = Home::new();
    let programs = home.beside("programs-without-etcd");
    std::fs::create_dir(&programs).unwrap();
    symlink(home.beside("bin/setsid"), programs.join("setsid")).unwrap();
    let environment = [("PATH", programs.to_str().unwrap())];
    home.run_with(&environment, "up")
        .await
        .exited(2)
        .says(&["etcd-server", "--etcd-binary"]);
    assert_nothing_created(&home);
}

#[tokio::test]
async fn an_unknown_zone_is_rejected_before_anything_is_created() {
    let home = Home::new();
    home.run("local start").await.succeeded();
    let before = Emulator::of(&home).await.inventory().await;
    let case = |zone: &'static str| {
        (
            format!("up --zone {zone}"),
            ["KUBE_GCE_ZONE", zone, "--zone", "europe-west1-b"],
        )
    };
    for (command, says) in ["europe-west1-q", "mars-north1-b"].map(case) {
        home.run(&command).await.exited(2).says(&says);
    }
    assert_eq!(Emulator::of(&home).await.inventory().await, before);
    assert_no_state(&home);
}

#[tokio::test]
async fn an_invalid_kubeconfig_is_left_unchanged_and_nothing_is_created() {
    let home = Home::new();
    home.run("local start").await.succeeded();
    let before = Emulator::of(&home).await.inventory().await;
    for text in ["}{ token: [s3cr3t", "- a list\n- of things\n", "\u{1}\u{2}"] {
        std::fs::write(home.kubeconfig(), text).unwrap();
        let outcome = home.run("up").await.exited(2);
        let outcome = outcome.says(&[
            "KUBECONFIG",
            home.kubeconfig().to_str().unwrap(),
            "environment",
            "--kubeconfig",
        ]);
        assert!(
            !outcome.stderr.contains("s3cr3t"),
            "it shows a possible secret: {outcome}"
        );
        assert_eq!(std::fs::read_to_string(home.kubeconfig()).unwrap(), text);
    }
    home.run("up --kubeconfig /proc/kubeconfig")
        .await
        .exited(2)
        .says(&["/proc/kubeconfig", "--kubeconfig"]);
    assert_eq!(Emulator::of(&home).await.inventory().await, before);
    assert_no_state(&home);
}

#[tokio::test]
async fn state_of_a_newer_version_is_left_unchanged() {
    let home = Home::new();
    let directory = home.path().join("state/kubernetes");
    std::fs::create_dir_all(&directory).unwrap();
    let (file, text) = (
        directory.join("intent.json"),
        r#"{"format":99,"intent":"of the future"}"#,
    );
    std::fs::write(&file, text).unwrap();
    for command in [
        "status",
        "up",
        "replicate",
        "reconcile",
        "down --yes",
        "down --replica",
    ] {
        home.run(command)
            .await
            .exited(2)
            .says(&["intent.json", "format 99"]);
        assert_eq!(
            std::fs::read_to_string(&file).unwrap(),
            text,
            "after `{command}`"
        );
    }
    assert_eq!(home.processes(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_on_missing_replicas_and_zones_change_nothing() {
    let home = Home::new();
    home.run("up").await.succeeded();
    let before = assert_agreement(&home, 1).await;
    let master = &["kubernetes-master"][..];
    let cases = [
        (
            "replicate --zone us-central1-b",
            2,
            &["us-central1-b", "europe-west1", "europe-west1-c"][..],
        ),
        (
            "replicate --zone europe-west1-q",
            2,
            &["europe-west1-q", "europe-west1-c"],
        ),
        ("down --replica kubernetes-mistress", 2, master),
        ("down --replica --zone europe-west1-d", 2, master),
        (
            "down --replica kubernetes-master --zone europe-west1-d",
            2,
            &["is in europe-west1-b, not in the requested zone"],
        ),
        // The cluster exists with other settings.
        ("up --nodes 3", 3, &["NUM_NODES=3", "--nodes"]),
        // Scripts need --yes.
        ("down", 3, &["kubernetes", "hakube down --yes"]),
    ];
    for (command, exit, says) in cases {
        home.run(command).await.exited(exit).says(says);
        assert_eq!(home.status().await, before, "after `{command}`");
    }
}

/// A limit on the size of files simulates a full disk: both let a write fail half-way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn state_that_cannot_be_written_is_unchanged() {
    let home = Home::new();
    home.run("up").await.succeeded();
    let before = assert_agreement(&home, 1).await;
    let documents = || {
        ["intent.json", "pki.json"]
            .map(|name| std::fs::read(home.path().join("state/kubernetes").join(name)).unwrap())
    };
    let stored = documents();
    let outcome = home.run_where_no_file_can_grow("replicate").await;
    assert!(matches!(outcome.exit, Some(1 | 2)), "{outcome}");
    let outcome = outcome.says(&["state"]);
    assert_eq!(documents(), stored, "after {outcome}");
    assert_eq!(home.status().await, before);
    home.run("replicate").await.succeeded();
    assert_agreement(&home, 2).await;
}

/// Truncated, overwritten, or misplaced state: no command guesses, and none changes anything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invalid_state_and_another_clusters_state_are_named_and_nothing_is_changed() {
    let home = Home::new();
    home.run("up").await.succeeded();
    let before = assert_agreement(&home, 1).await;
    let state = home.path().join("state/kubernetes");
    let lock = std::fs::read_dir(state.join("lock")).unwrap().next();
    let lock = lock.unwrap().unwrap().path();
    for (file, says) in [
        // First: later commands replace it.
        (lock, "delete"),
        (state.join("intent.json"), "hakube state adopt"),
        (state.join("pki.json"), "backup"),
    ] {
        let whole = std::fs::read(&file).unwrap();
        let name = file.file_name().unwrap().to_str().unwrap();
        for garbage in [&whole[..whole.len() / 2], b"", b"<html>\xff\x00"] {
            std::fs::write(&file, garbage).unwrap();
            for command in ["up", "replicate", "down --replica", "repair", "reconcile"] {
                home.run(command).await.exited(2).says(&[name, says]);
                assert_eq!(std::fs::read(&file).unwrap(), garbage, "{command}");
            }
        }
        std::fs::write(&file, &whole).unwrap();
    }

    let copy = home.path().join("state/prod-2");
    std::fs::create_dir_all(&copy).unwrap();
    std::fs::copy(state.join("intent.json"), copy.join("intent.json")).unwrap();
    for command in ["status", "up", "down --yes"] {
        home.run(&format!("{command} --cluster prod-2"))
            .await
            .exited(2)
            .says(&["prod-2", "cluster kubernetes"]);
    }
    std::fs::remove_dir_all(copy).unwrap();

    // After deleting the lock, as the error suggests, commands work again.
    std::fs::remove_dir_all(state.join("lock")).unwrap();
    home.run("repair").await.succeeded();
    assert_eq!(home.status().await, before);
    home.run("down --yes").await.succeeded();
}

/// All names and labels of one cluster have the other's as a prefix.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clusters_whose_names_begin_alike_do_not_touch_each_other() {
    let home = Home::new();
    for cluster in ["prod", "prod-2"] {
        home.run(&format!("up --cluster {cluster}"))
            .await
            .succeeded();
    }
    home.run("replicate --cluster prod").await.succeeded();
    let other = home
        .run("status --cluster prod-2 -o json")
        .await
        .succeeded();
    assert_eq!(other.json()["drift"], serde_json::json!([]));
    home.run("down --yes --cluster prod").await.succeeded();
    let after = home
        .run("status --cluster prod-2 -o json")
        .await
        .succeeded();
    assert_eq!(after.json(), other.json());
    home.run("repair --cluster prod-2").await.succeeded();
    home.run("down --yes --cluster prod-2").await.succeeded();
}

fn assert_nothing_created(home: &Home) {
    assert_no_state(home);
    let made = ["local/machines", "local/state.json"].map(|name| home.path().join(name));
    assert_eq!(
        made.iter().filter(|path| path.exists()).count(),
        0,
        "{made:?}"
    );
    assert!(!home.kubeconfig().exists());
    assert_eq!(home.processes(), []);
}

fn assert_no_state(home: &Home) {
    let directories = |path: &Path| std::fs::read_dir(path).into_iter().flatten().flatten();
    for cluster in directories(&home.path().join("state")) {
        for name in ["intent.json", "pki.json"] {
            let file = cluster.path().join(name);
            assert!(!file.exists(), "{} was created", file.display());
        }
    }
}
