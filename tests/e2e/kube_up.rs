//! kube-up's environment variables.

use crate::support::{Api, Etcd, Home, assert_agreement, eventually, replica_names, replicas_in};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_variables_add_and_remove_replicas() {
    let home = Home::new();
    let first = [
        ("MULTIZONE", "true"),
        ("KUBE_GCE_ZONE", "europe-west1-b"),
        ("ENABLE_ETCD_QUORUM_READS", "true"),
    ];
    home.run_with(&first, "up").await.succeeded();
    let status = assert_agreement(&home, 1).await;
    assert_eq!(status["etcd_quorum_reads"], true);

    // MULTIZONE isn't set again: replicas inherit it.
    for zone in ["europe-west1-c", "europe-west1-d"] {
        let add = [
            ("KUBE_REPLICATE_EXISTING_MASTER", "true"),
            ("KUBE_GCE_ZONE", zone),
        ];
        home.run_with(&add, "up").await.succeeded();
    }
    let status = assert_agreement(&home, 3).await;
    assert_eq!(status["etcd_quorum_reads"], true, "replicas inherit it");
    let of_zone = |zone| replicas_in(&status, zone);
    let [b, c, d] = ["europe-west1-b", "europe-west1-c", "europe-west1-d"].map(of_zone);
    assert_eq!([b.len(), c.len(), d.len()], [1, 1, 1], "{status:#}");

    let by_zone = [
        ("KUBE_DELETE_NODES", "false"),
        ("KUBE_GCE_ZONE", "europe-west1-c"),
    ];
    home.run_with(&by_zone, "down").await.succeeded();
    let status = assert_agreement(&home, 2).await;
    assert_eq!(replicas_in(&status, "europe-west1-c"), [] as [&str; 0]);

    let by_name = [
        ("KUBE_DELETE_NODES", "false"),
        ("KUBE_GCE_ZONE", "europe-west1-b"),
        ("KUBE_REPLICA_NAME", b[0].as_str()),
    ];
    home.run_with(&by_name, "down").await.succeeded();
    let status = assert_agreement(&home, 1).await;
    assert_eq!(replica_names(&status), d, "the other one is kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_zone_needs_multizone() {
    let home = Home::new();
    home.run("up --zone europe-west1-b").await.succeeded();
    let before = assert_agreement(&home, 1).await;
    home.run("replicate --zone europe-west1-c")
        .await
        .exited(3)
        .says(&["MULTIZONE=true", "europe-west1-b"]);
    // Too late: the cluster is created for several zones, not the replica.
    let add = [
        ("MULTIZONE", "true"),
        ("KUBE_REPLICATE_EXISTING_MASTER", "true"),
        ("KUBE_GCE_ZONE", "europe-west1-c"),
    ];
    home.run_with(&add, "up")
        .await
        .exited(3)
        .says(&["MULTIZONE=true"]);
    assert_eq!(home.status().await, before, "a refusal changes nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn disabling_quorum_reads_is_reported_as_impossible() {
    let home = Home::new();
    let off = [("ENABLE_ETCD_QUORUM_READ", "false")];
    let warning = [
        "ENABLE_ETCD_QUORUM_READ is false",
        "quorum reads can't be switched off",
    ];
    home.run_with(&off, "up").await.succeeded().says(&warning);
    assert_eq!(
        home.status().await["etcd_quorum_reads"],
        false,
        "it is recorded"
    );
}

/// etcd, the stand-ins and a kubelet reject unknown settings.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn components_get_the_settings_of_its_variables() {
    let home = Home::new();
    let variables = [
        ("NUM_NODES", "1"),
        ("MAX_PODS_PER_NODE", "64"),
        (
            "EVICTION_HARD",
            "memory.available<250Mi,nodefs.available<10%,nodefs.inodesFree<5%",
        ),
        ("ALLOWED_NOTREADY_NODES", "0"),
        ("RUN_CONTROLLERS", "*,-ttl-controller"),
        ("CLUSTER_SIGNING_DURATION", "720h"),
        ("ETCD_COMPACTION_INTERVAL_SEC", "150"),
        ("ETCD_PROGRESS_NOTIFY_INTERVAL", "10s"),
        ("KUBE_APISERVER_REQUEST_TIMEOUT_SEC", "300"),
    ];
    let up = home.run_with(&variables, "up").await.succeeded();
    assert!(!up.stderr.contains("has no effect"), "{}", up.stderr);
    let status = home.status().await;
    assert_eq!(status["nodes"][0]["ready"], true, "{status:#}");
    // etcd ignores settings that it doesn't know, with a warning. The interval has the same name in every
    // version.
    let root = home.machine_root("europe-west1-b", "kubernetes-master");
    let log = root.with_file_name("logs").join("etcd.service.log");
    let log = std::fs::read_to_string(log).unwrap();
    let known = "recognized and used environment variable";
    let mut lines = log.lines();
    let recognized =
        lines.any(|line| line.contains(known) && line.contains("WATCH_PROGRESS_NOTIFY_INTERVAL"));
    assert!(recognized, "{log}");
    let api = Api::of(&home).await;
    assert_eq!(api.pods_at_most().await, ["64"]);
    eventually("the controller manager runs", async || {
        api.leader("kube-controller-manager").await
    })
    .await;
}

/// A cluster keeps its settings. A later, different setting is reported.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_of_an_existing_cluster_can_not_be_added() {
    let home = Home::new();
    home.run("up").await.succeeded();
    // As an older hakube wrote it, without this setting.
    let status = home.status().await;
    let etcd = Etcd::of(&home, &status["replicas"][0]).await;
    etcd.forget_record().await;
    let intent = home.path().join("state/kubernetes/intent.json");
    let mut stored: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&intent).unwrap()).unwrap();
    let given = stored["intent"]["given"].as_object_mut().unwrap();
    given.remove("EVICTION_HARD").unwrap();
    stored["format"] = 2.into();
    for member in ["revision", "sha256"] {
        stored.as_object_mut().unwrap().remove(member).unwrap();
    }
    std::fs::write(&intent, serde_json::to_vec(&stored).unwrap()).unwrap();

    let words = ["EVICTION_HARD has no effect"];
    let later = [("EVICTION_HARD", "memory.available<1Gi")];
    home.run_with(&later, "up").await.succeeded().says(&words);
    // This setting takes effect in any case.
    let later = [("ALLOWED_NOTREADY_NODES", "1")];
    home.run_with(&later, "up").await.succeeded();
}
