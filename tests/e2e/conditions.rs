//! Problems are reported by `status`, and fixed by the command that it suggests.

use crate::support::{
    Api, Emulator, Etcd, Home, assert_agreement, eventually, replica_names, replicas_that_are,
};
use nix::sys::signal::Signal;
use serde_json::Value;

/// The smallest possible quota of etcd.
const QUOTA: &str = "16777216";

/// The kinds of conditions in `status`.
fn kinds(status: &Value) -> Vec<&str> {
    let conditions = status["conditions"].as_array();
    let kinds = conditions.into_iter().flatten();
    kinds
        .map(|condition| condition["kind"].as_str().unwrap())
        .collect()
}

async fn cluster(environment: &[(&str, &str)], replicas: usize) -> Home {
    let home = Home::new();
    home.run_with(environment, "up").await.succeeded();
    if replicas > 1 {
        let more = format!("replicate --count {}", replicas - 1);
        home.run(&more).await.succeeded();
    }
    home
}

/// Overwrites this many keys in turn until etcd accepts no more.
async fn fill(home: &Home, replica: &Value, keys: std::ops::Range<usize>) {
    let etcd = Etcd::of(home, replica).await;
    for number in keys.cycle().take(1000) {
        if etcd.put_large(&number.to_string()).await.is_err() {
            return;
        }
    }
    panic!("etcd's quota is never reached");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_full_of_history_is_reported_and_compacted_by_repair() {
    let home = cluster(&[("ETCD_QUOTA_BACKEND_BYTES", QUOTA)], 3).await;
    let status = assert_agreement(&home, 3).await;
    fill(&home, &status["replicas"][0], 0..1).await;
    Api::of(&home).await.write("refused").await.unwrap_err();
    let status = home.status().await;
    assert!(kinds(&status).contains(&"etcd-alarm-nospace"), "{status}");
    home.run("repair").await.succeeded();
    let status = assert_agreement(&home, 3).await;
    assert_eq!(kinds(&status), [""; 0], "{status}");
    Api::of(&home).await.write("taken").await.unwrap();

    // `repair --watch` does it automatically.
    fill(&home, &status["replicas"][0], 0..1).await;
    let watch = home.start("repair --watch --every 1");
    // A rejected key may have been written nevertheless, and isn't accepted twice.
    let attempts = std::cell::Cell::new(0);
    eventually("repair --watch frees space", async || {
        attempts.set(attempts.get() + 1);
        let api = Api::of(&home).await;
        let name = format!("taken-again-{}", attempts.get());
        api.write(&name).await.ok()
    })
    .await;
    watch.signal(Signal::SIGTERM);
    watch.end().await;
    home.run("down --yes").await.succeeded();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn data_that_fills_the_quota_is_reported_and_a_larger_quota_helps() {
    let home = cluster(&[("ETCD_QUOTA_BACKEND_BYTES", QUOTA)], 1).await;
    let status = home.status().await;
    // Deleting the history frees a little space, which is filled again.
    let mut repaired = None;
    for round in 0..10 {
        fill(
            &home,
            &status["replicas"][0],
            round * 1000..(round + 1) * 1000,
        )
        .await;
        let outcome = home.run("repair").await;
        if outcome.exit != Some(0) {
            repaired = Some(outcome);
            break;
        }
        assert_eq!(kinds(&home.status().await), ["etcd-quota-nearly-full"]);
    }
    repaired.expect("it is never full").exited(1).says(&[
        "of 16.0 MiB",
        "kubectl delete",
        "ETCD_QUOTA_BACKEND_BYTES=33554432 hakube replace NAME",
    ]);
    // Deletions are accepted, and free a little space.
    let etcd = Etcd::of(&home, &status["replicas"][0]).await;
    let mut deleted = 0;
    // The excess over the quota depends on how fast the values were written.
    while home.run("repair").await.exit != Some(0) {
        etcd.delete_large(deleted..deleted + 16).await;
        deleted += 16;
    }
    assert!(deleted > 0, "it wasn't full");
    let larger = [("ETCD_QUOTA_BACKEND_BYTES", "33554432")];
    home.run_with(&larger, "replace kubernetes-master")
        .await
        .succeeded();
    let status = assert_agreement(&home, 1).await;
    assert_eq!(kinds(&status), [""; 0], "{status}");
    Api::of(&home).await.write("taken").await.unwrap();
    home.run("down --yes").await.succeeded();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopped_machines_are_reported_and_started_by_repair() {
    for count in [1, 3] {
        let home = cluster(&[], count).await;
        let status = assert_agreement(&home, count).await;
        Api::of(&home).await.write("before").await.unwrap();
        for name in replica_names(&status) {
            home.kill_machine(&name).await;
        }
        let status = home.status().await;
        assert_eq!(kinds(&status), vec!["machine-stopped"; count], "{status}");
        home.run("repair").await.succeeded();
        let status = assert_agreement(&home, count).await;
        assert_eq!(kinds(&status), [""; 0], "{status}");
        assert!(Api::of(&home).await.has("before").await.unwrap());
        home.run("down --yes").await.succeeded();
    }
}

/// Another user may have the deleted address by now, so Compute Engine assigns a new one: all replicas get
/// certificates for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_deleted_with_its_rule_is_replaced_and_clients_reconnect() {
    for count in [1, 2] {
        let home = cluster(&[], count).await;
        let before = Api::of(&home).await.server;
        let emulator = Emulator::of(&home).await;
        let region = "regions/europe-west1";
        if count > 1 {
            let rule = format!("{region}/forwardingRules/kubernetes-master-rule");
            emulator.delete(&rule).await;
        } else {
            emulator
                .release_address("europe-west1-b", "kubernetes-master")
                .await;
        }
        let address = format!("{region}/addresses/kubernetes-master-ip");
        emulator.delete(&address).await;
        let status = home.status().await;
        assert_eq!(kinds(&status), ["endpoint-address-missing"], "{status}");
        home.run("repair")
            .await
            .succeeded()
            .says(&["the endpoint's address"]);
        let status = assert_agreement(&home, count).await;
        assert_eq!(status["endpoint"]["ready"], true);
        assert_eq!(kinds(&status), [""; 0], "{status}");
        let api = Api::of(&home).await;
        assert_ne!(api.server, before);
        api.write("through-the-new-address").await.unwrap();
        // Later replicas have certificates for it, too.
        home.run("replicate").await.succeeded();
        assert_agreement(&home, count + 1).await;
        home.run("down --yes").await.succeeded();
    }
}

/// While the rule holds the address, it can't be assigned elsewhere: the reservation is recreated.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_reservation_of_an_address_in_use_is_recreated() {
    let home = cluster(&[], 2).await;
    let before = Api::of(&home).await.server;
    let emulator = Emulator::of(&home).await;
    let address = "regions/europe-west1/addresses/kubernetes-master-ip";
    emulator.delete(address).await;
    assert_eq!(kinds(&home.status().await), ["endpoint-address-missing"]);
    home.run("repair").await.succeeded();
    let status = assert_agreement(&home, 2).await;
    assert_eq!(kinds(&status), [""; 0], "{status}");
    let api = Api::of(&home).await;
    assert_eq!(api.server, before);
    api.write("through-the-same-address").await.unwrap();
    home.run("down --yes").await.succeeded();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_etcd_of_the_wrong_version_is_rejected_before_anything_is_created() {
    let home = Home::new();
    home.run_with(&[("ETCD_VERSION", "3.5.1")], "up")
        .await
        .exited(2)
        .says(&["ETCD_VERSION", "3.5.1", "--etcd-binary"]);
    home.run("status")
        .await
        .exited(2)
        .says(&["there is no cluster kubernetes"]);
    // status shows the running version.
    home.run("up").await.succeeded();
    let status = home.status().await;
    let running = status["versions"]["etcd"]["running"].as_array().unwrap();
    assert_eq!(running.len(), 1, "{status}");
    let version = running[0].as_str().unwrap().to_owned();
    home.run("down --yes").await.succeeded();
    home.run_with(&[("ETCD_VERSION", &version)], "up")
        .await
        .succeeded();
    assert_eq!(home.status().await["versions"]["etcd"]["wanted"], version);
    home.run("down --yes").await.succeeded();
}

/// A member that hakube didn't add is reported with the command that removes it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_member_is_reported_with_its_id() {
    let home = cluster(&[], 1).await;
    let status = home.status().await;
    let leader = replicas_that_are(&status, "leader").remove(0);
    assert_eq!(leader, "kubernetes-master");
    let etcd = Etcd::of(&home, &status["replicas"][0]).await;
    etcd.add_learner("https://127.9.9.9:2380").await;
    let status = home.status().await;
    assert_eq!(kinds(&status), ["etcd-member-unknown"], "{status}");
    let fix = status["conditions"][0]["fix"][0].as_str().unwrap();
    let (_, id) = fix.rsplit_once(' ').unwrap();
    assert!(fix.contains("etcdctl member remove"), "{fix}");
    etcd.remove_by_id(u64::from_str_radix(id, 16).unwrap())
        .await;
    assert_eq!(kinds(&home.status().await), [""; 0]);
    home.run("down --yes").await.succeeded();
}
