//! Assertions that hold after every successful command.

use super::emulator::last_part;
use super::{Api, Emulator, Etcd, Home, Inventory};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The names of the replicas in `status -o json`.
pub fn replica_names(status: &Value) -> Vec<String> {
    names_where(status, |_| true)
}

/// The replica with this name in `status -o json`.
pub fn replica<'a>(status: &'a Value, name: &str) -> &'a Value {
    let found = status["replicas"]
        .as_array()
        .unwrap()
        .iter()
        .find(|replica| replica["name"] == name);
    found.unwrap_or_else(|| panic!("no replica {name} in {status:#}"))
}

/// The names of healthy replicas with this role.
pub fn replicas_that_are(status: &Value, role: &str) -> Vec<String> {
    names_where(status, |replica| {
        replica["role"] == role && replica["etcd_healthy"] == true
    })
}

/// The names of replicas in this zone.
pub fn replicas_in(status: &Value, zone: &str) -> Vec<String> {
    names_where(status, |replica| replica["zone"] == zone)
}

fn names_where(status: &Value, which: impl Fn(&Value) -> bool) -> Vec<String> {
    let replicas = status["replicas"].as_array().unwrap().iter();
    replicas
        .filter(|replica| which(replica))
        .map(|replica| last_part(&replica["name"]))
        .collect()
}

/// Checks that a new write through the endpoint can be read back, and all earlier ones, too.
pub async fn assert_api_works(home: &Home, server: &str, step: &str) {
    let api = Api::of(home).await;
    assert_eq!(api.server, server, "the endpoint's address after {step}");
    api.write(step)
        .await
        .unwrap_or_else(|error| panic!("could not write after {step}: {error}"));
    assert!(
        api.has(step).await.unwrap(),
        "the write after {step} is missing"
    );
}

/// Checks that `status` of a cluster with this many healthy replicas agrees with etcd about members, and
/// with the emulator about machines, address and balancer.
pub async fn assert_agreement(home: &Home, replicas: usize) -> Value {
    let status = home.status().await;
    assert_healthy(&status, replicas);
    assert_etcd_agrees(home, &status).await;
    assert_emulator_agrees(&Emulator::of(home).await, &status).await;
    status
}

fn assert_healthy(status: &Value, replicas: usize) {
    let needed = replicas / 2 + 1;
    let quorum = json!({"voters": replicas, "healthy": replicas, "needed": needed, "survives": replicas - needed});
    assert_eq!(status["quorum"], quorum, "{status:#}");
    assert_eq!(status["endpoint"]["ready"], true, "{status:#}");
    assert_eq!(status["unfinished"], Value::Null, "{status:#}");
    assert_eq!(replica_names(status).len(), replicas, "{status:#}");
    for replica in status["replicas"].as_array().unwrap() {
        assert_eq!(replica["etcd_healthy"], true, "{replica}");
        assert_eq!(replica["api_ready"], true, "{replica}");
        assert_eq!(replica["machine"], "running", "{replica}");
    }
}

async fn assert_etcd_agrees(home: &Home, status: &Value) {
    let replicas = status["replicas"].as_array().unwrap();
    let told = replicas.iter().map(|replica| {
        (
            replica["name"].as_str().unwrap().to_owned(),
            replica["role"].as_str().unwrap(),
        )
    });
    let told: BTreeMap<String, &str> = told.collect();
    for replica in replicas {
        let roles = Etcd::of(home, replica).await.roles().await;
        assert_eq!(
            roles, told,
            "members according to etcd on {} and to status",
            replica["name"]
        );
    }
}

async fn assert_emulator_agrees(emulator: &Emulator, status: &Value) {
    let replicas: BTreeSet<String> = replica_names(status).into_iter().collect();
    assert_machines_agree(emulator, status).await;
    let address = only(emulator.all("addresses").await, "reserved address");
    assert_eq!(address["address"], status["endpoint"]["address"]);
    let rules = emulator.all("forwardingRules").await;
    let user = match status["endpoint"]["mode"].as_str().unwrap() {
        "direct" => {
            assert_eq!(
                rules,
                [] as [Value; 0],
                "a direct endpoint has no forwarding rule"
            );
            only(replicas.into_iter().collect(), "replica")
        }
        "load-balanced" => {
            let rule = only(rules, "forwarding rule");
            assert_eq!(rule["IPAddress"], status["endpoint"]["address"]);
            let mut balanced = BTreeSet::new();
            for group in emulator.all("instanceGroups").await {
                balanced.extend(emulator.group_members(&group).await);
            }
            assert_eq!(balanced, replicas, "machines behind the balancer");
            rule["name"].as_str().unwrap().to_owned()
        }
        other => panic!("endpoint mode {other}"),
    };
    let users: Vec<String> = address["users"]
        .as_array()
        .into_iter()
        .flatten()
        .map(last_part)
        .collect();
    assert_eq!(users, [user], "users of the endpoint's address");
}

async fn assert_machines_agree(emulator: &Emulator, status: &Value) {
    let replicas = status["replicas"].as_array().unwrap().iter();
    let told = replicas
        .map(|replica| [&replica["name"], &replica["zone"], &replica["address"]].map(last_part));
    let machines = emulator.all("instances").await;
    assert!(
        machines
            .iter()
            .all(|machine| machine["status"] == "RUNNING"),
        "{machines:#?}"
    );
    let there = machines.iter().map(|machine| {
        [
            &machine["name"],
            &machine["zone"],
            &machine["networkInterfaces"][0]["networkIP"],
        ]
        .map(last_part)
    });
    let (there, told): (BTreeSet<_>, BTreeSet<_>) = (there.collect(), told.collect());
    assert_eq!(
        there, told,
        "machines according to the emulator and to status"
    );
}

fn only<T: std::fmt::Debug>(mut items: Vec<T>, what: &str) -> T {
    assert_eq!(items.len(), 1, "one {what}: {items:#?}");
    items.remove(0)
}

/// Checks that nothing of the cluster remains: in the cloud, in the store, in the kubeconfig, in memory.
pub async fn assert_gone(home: &Home, before: &Inventory) {
    assert_eq!(
        &Emulator::of(home).await.inventory().await,
        before,
        "leftovers in the cloud"
    );
    home.run("status")
        .await
        .exited(2)
        .says(&["there is no cluster kubernetes"]);
    for document in ["intent.json", "pki.json"] {
        let file = home.path().join("state/kubernetes").join(document);
        // A deleted cluster's files may only say that there is none, and which generation of the lock wrote
        // that.
        let Ok(left) = std::fs::read(file) else {
            continue;
        };
        let left: serde_json::Value = serde_json::from_slice(&left).unwrap();
        let known = ["absent", "fence", "format", "revision", "sha256"];
        for field in left.as_object().unwrap().keys() {
            assert!(known.contains(&field.as_str()), "{field} remains: {left}");
        }
        assert_eq!(left["absent"], true);
    }
    let kubeconfig = std::fs::read_to_string(home.kubeconfig()).unwrap_or_default();
    assert!(
        !kubeconfig.contains("hakube-kubernetes"),
        "the context remains: {kubeconfig}"
    );
    let processes = home.processes();
    assert_eq!(
        processes.len(),
        1,
        "only the daemon still runs: {processes:#?}"
    );
}
