//! A cluster on a network of another project, in which it creates only firewall rules. Over ssh, so these
//! are skipped like those of compute_engine.

use crate::compute_engine::home_with;
use crate::planned_calls::{Requests, assert_foreseen};
use crate::support::{
    Api, Emulator, Home, Running, assert_agreement, assert_api_works, assert_gone,
};
use hakube_local_client::{Act, FaultRule};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const OWN: &str = "my-project-1234";
const HOST: &str = "host-project";

/// A home, its project, and the host project, which shares its network `backbone`.
async fn home(prepare: impl FnOnce(&mut Home)) -> Option<(Home, Running, Emulator, Emulator)> {
    let (mut home, daemon) = home_with(&format!("--network-project {HOST}"), prepare).await?;
    home.set("NETWORK_PROJECT", HOST);
    home.set("KUBE_GCE_NETWORK", "backbone");
    let own = Emulator::of(&home).await;
    let host = own.of_project(HOST);
    Some((home, daemon, own, host))
}

async fn share(host: &Emulator) {
    host.make("enableXpnHost", json!({})).await;
    let own = json!({"xpnResource": {"id": OWN, "type": "PROJECT"}});
    host.make("enableXpnResource", own).await;
}

async fn make_network(host: &Emulator) {
    let network = json!({"name": "backbone", "autoCreateSubnetworks": true});
    host.make("global/networks", network).await;
}

/// Creates the firewall rule of another project's cluster with the same name and prefix.
async fn make_rule_of_another(host: &Emulator) {
    let rule = json!({
        "name": "kubernetes-master-https",
        "description": "hakube-cluster=other-project/kubernetes",
        "network": format!("projects/{HOST}/global/networks/backbone"),
        "allowed": [{"IPProtocol": "tcp", "ports": ["443"]}],
        "targetTags": ["kubernetes-master"],
    });
    host.make("global/firewalls", rule).await;
}

/// The host's rules, networks and subnetworks, complete, by their links.
async fn all_of(host: &Emulator) -> BTreeMap<String, Value> {
    let mut all = host.all("subnetworks").await;
    for collection in ["firewalls", "networks"] {
        let list = host.get(&format!("global/{collection}")).await;
        all.extend(list["items"].as_array().cloned().unwrap_or_default());
    }
    let link = |it: &Value| it["selfLink"].as_str().unwrap().to_owned();
    all.into_iter().map(|it| (link(&it), it)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_two_one_none_next_to_another_projects_cluster_of_the_same_name() {
    let mut requests = None;
    let home = home(|home| requests = Some(Requests::of(home))).await;
    let Some((mut home, _daemon, own, host)) = home else {
        return;
    };
    let mut requests = requests.unwrap();
    let before = own.inventory().await;
    let nothing_made = async |why: &str, host_before: &BTreeMap<String, Value>| {
        assert_eq!(own.inventory().await, before, "{why}");
        assert_eq!(&all_of(&host).await, host_before, "{why}");
    };

    let as_it_was = all_of(&host).await;
    home.run("up").await.exited(2).says(&[
        "associated-projects add my-project-1234 --host-project host-project",
        "project my-project-1234 doesn't use a Shared VPC",
        ": the network doesn't exist",
        "subnetwork backbone",
        ": the subnetwork doesn't exist",
    ]);
    nothing_made("missing network", &as_it_was).await;
    share(&host).await;
    make_network(&host).await;
    make_rule_of_another(&host).await;
    let as_it_was = all_of(&host).await;
    home.run("up").await.exited(5).says(&[
        "kubernetes-master-https",
        "other-project/kubernetes",
        "KUBE_GCE_INSTANCE_PREFIX",
    ]);
    nothing_made("name in use", &as_it_was).await;

    // The same cluster name, with another prefix for its resources.
    home.set("CLUSTER_NAME", "kubernetes");
    home.set("KUBE_GCE_INSTANCE_PREFIX", "shop");
    assert_foreseen(&home, &mut requests, &["up -o json"]).await;
    assert_agreement(&home, 1).await;
    let server = Api::of(&home).await.server;
    let rules = host.get("global/firewalls").await;
    let rules = rules["items"].as_array().unwrap();
    let ours = rules
        .iter()
        .filter(|it| it["description"] == format!("hakube-cluster={OWN}/{}", home.mark()));
    assert_eq!(ours.count(), rules.len() - 1, "{rules:#?}");
    assert_eq!(own.inventory().await["firewalls"], before["firewalls"]);
    for (command, replicas) in [("replicate -o json", 2), ("down --replica -o json", 1)] {
        assert_foreseen(&home, &mut requests, &[command]).await;
        assert_agreement(&home, replicas).await;
        assert_api_works(&home, &server, &format!("of-{replicas}")).await;
    }
    for machine in own.all("instances").await {
        let network = machine["networkInterfaces"][0]["network"].as_str().unwrap();
        let shared = format!("/projects/{HOST}/global/networks/backbone");
        assert!(network.ends_with(&shared), "{network}");
    }
    home.run("up -o json").await.succeeded();
    assert_foreseen(&home, &mut requests, &["down --yes -o json"]).await;
    requests.hand_over();
    assert_gone(&home, &before).await;
    assert_eq!(all_of(&host).await, as_it_was);
}

/// The endpoint's address is in the host's subnetwork, and reserved in the cluster's own project.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_private_cluster_has_an_address_of_the_hosts_subnetwork() {
    let Some((mut home, _daemon, own, host)) = home(|_| ()).await else {
        return;
    };
    share(&host).await;
    make_network(&host).await;
    home.set("KUBE_GCE_PRIVATE_CLUSTER", "true");
    let (before, as_it_was) = (own.inventory().await, all_of(&host).await);
    home.run("up -o json").await.succeeded();
    let server = Api::of(&home).await.server;
    home.run("replicate -o json").await.succeeded();
    assert_agreement(&home, 2).await;
    assert_api_works(&home, &server, "of-2").await;
    let of_host = format!("/projects/{HOST}/regions/europe-west1/subnetworks/backbone");
    for collection in ["addresses", "forwardingRules"] {
        for found in own.all(collection).await {
            let subnetwork = found["subnetwork"].as_str().unwrap();
            assert!(subnetwork.ends_with(&of_host), "{collection}: {subnetwork}");
        }
    }
    // Without its state it is found by its labels, in both projects.
    let mark = home.mark();
    std::fs::remove_dir_all(home.path().join("state")).unwrap();
    let (_, id) = mark.split_once('_').unwrap();
    home.run(&format!("down --yes -o json --cluster-id {id}"))
        .await
        .succeeded();
    assert_gone(&home, &before).await;
    assert_eq!(all_of(&host).await, as_it_was);
}

/// Only the host's administrators can grant the right to create rules.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn missing_permissions_in_the_host_are_reported_with_a_fix() {
    let Some((home, _daemon, own, host)) = home(|_| ()).await else {
        return;
    };
    share(&host).await;
    make_network(&host).await;
    let (before, as_it_was) = (own.inventory().await, all_of(&host).await);
    let denied = Act::refuse(403, "forbidden");
    let rule = FaultRule::on("POST", format!("/{HOST}/global/firewalls$"), denied);
    home.cloud().set_faults(&[rule]).await.unwrap();
    home.run("up").await.exited(5).says(&[
        "host-project",
        "forbidden",
        "roles/compute.securityAdmin",
    ]);
    home.cloud().clear_faults().await.unwrap();
    home.run("down --yes").await.succeeded();
    assert_eq!(own.inventory().await, before);
    assert_eq!(all_of(&host).await, as_it_was);
}

/// The account may only use the host's subnetwork; the host's administrators create the rules.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_that_others_manage_are_not_read() {
    let Some((mut home, _daemon, own, host)) = home(|_| ()).await else {
        return;
    };
    share(&host).await;
    make_network(&host).await;
    let rule = json!({
        "name": "of-the-administrators",
        "network": format!("projects/{HOST}/global/networks/backbone"),
        "allowed": [{"IPProtocol": "tcp", "ports": ["22", "6443", "2379-2380"]}],
        "targetTags": ["kubernetes-master"],
    });
    host.make("global/firewalls", rule).await;
    let (before, as_it_was) = (own.inventory().await, all_of(&host).await);
    let path = format!("/{HOST}(/global/(firewalls|networks).*)?$");
    let rules = ["GET", "POST"].map(|method| {
        let denied = Act::refuse(403, "forbidden");
        FaultRule::on(method, &path, denied)
    });
    home.cloud().set_faults(&rules).await.unwrap();
    home.set("HAKUBE_FIREWALLS", "false");
    home.set("HAKUBE_SSH_SOURCE", "none");
    for (command, replicas) in [("up -o json", 1), ("replicate -o json", 2)] {
        home.run(command).await.succeeded();
        assert_agreement(&home, replicas).await;
    }
    home.run("down --yes -o json").await.succeeded();
    home.cloud().clear_faults().await.unwrap();
    assert_gone(&home, &before).await;
    assert_eq!(all_of(&host).await, as_it_was);
}
