//! Certificates and tokens are renewed while a cluster serves, and after they have expired.

use crate::support::{
    Api, Emulator, Home, Outcome, Writer, assert_agreement, eventually, replica_names,
};
use serde_json::Value;

/// The keys of completed steps, in the order of completion.
fn done(outcome: &Outcome) -> Vec<String> {
    let events = outcome.events();
    let done = events
        .iter()
        .filter(|event| event["event"] == "step_finished");
    done.map(|event| event["step"].as_str().unwrap().to_owned())
        .collect()
}

async fn certificates(home: &Home) -> Vec<Value> {
    let list = home.run("certs -o json").await.succeeded().json();
    list["certificates"].as_array().unwrap().clone()
}

async fn first_day(home: &Home) -> i64 {
    let all = certificates(home).await;
    let days = all.iter().map(|one| one["days"].as_i64().unwrap());
    days.min().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_are_renewed_replica_by_replica_and_no_request_fails() {
    let home = Home::new();
    home.run("up").await.succeeded();
    home.run("replicate --count 2").await.succeeded();
    home.let_certificates_age(20).await;
    let status = home.status().await;
    assert_eq!(status["certificates"]["severity"], "warning", "{status:#}");
    assert_eq!(first_day(&home).await, 19);
    let etcds = home.etcds();

    // A new connection for each write, so that every handshake is tested.
    let kubeconfig = home.kubeconfig();
    let writer = Writer::start(move |name| {
        let kubeconfig = kube::config::Kubeconfig::read_from(&kubeconfig).unwrap();
        async move { Api::with(kubeconfig).await.write(&name).await }
    });
    writer.goes_on().await;
    let outcome = home.run("repair -o json").await.succeeded();
    writer.goes_on().await;
    let record = writer.finish().await;
    assert_eq!(record.refused, [""; 0]);

    let mut wanted = Vec::new();
    for name in replica_names(&status) {
        wanted.extend([format!("renew/{name}"), format!("await-renewed/{name}")]);
    }
    assert_eq!(done(&outcome), wanted);
    assert!(first_day(&home).await >= 364);
    assert_eq!(home.etcds(), etcds, "nothing was restarted");
    let status = assert_agreement(&home, 3).await;
    assert_eq!(status["certificates"]["severity"], "ok", "{status:#}");

    // New connections use the renewed certificates, also among the replicas.
    for name in replica_names(&status) {
        home.kill_machine(&name).await;
        home.run("repair").await.succeeded();
    }
    assert_agreement(&home, 3).await;
    home.run("down --yes").await.succeeded();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_with_expired_certificates_is_repaired() {
    let home = Home::new();
    home.run("up").await.succeeded();
    home.run("replicate --count 2").await.succeeded();
    Api::of(&home).await.write("before").await.unwrap();
    home.let_certificates_age(-3).await;
    // All components reconnect, with certificates that are no longer valid.
    home.run("local stop").await.succeeded();
    home.run("local start").await.succeeded();
    let status = eventually("all machines run, but nothing responds", async || {
        let status = home.status().await;
        let replicas = status["replicas"].as_array().unwrap();
        let run = replicas.iter().all(|one| one["machine"] == "running");
        (run && status["endpoint"]["ready"] == false).then_some(status)
    })
    .await;
    assert_eq!(status["certificates"]["severity"], "error", "{status:#}");
    assert!(
        home.run("status")
            .await
            .succeeded()
            .stdout
            .contains("EXPIRED")
    );

    home.run("repair").await.succeeded();
    assert_agreement(&home, 3).await;
    let api = Api::of(&home).await;
    assert!(api.has("before").await.unwrap());
    api.write("after").await.unwrap();
    home.run("down --yes").await.succeeded();
}

/// After a preemption, a group recreates a machine from a template whose token may have expired.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_recreated_with_an_expired_token_joins_after_repair() {
    let mut home = Home::new();
    home.set("NUM_NODES", "1");
    home.run("up").await.succeeded();
    let api = Api::of(&home).await;
    let before = api.ready_nodes().await;
    let emulator = Emulator::of(&home).await;
    let name = before.first().unwrap();
    let instance = format!("zones/europe-west1-b/instances/{name}");
    let group = "zones/europe-west1-b/instanceGroupManagers/kubernetes-minion-group-europe-west1-b";
    // Kubernetes deletes a token some time after it has expired.
    for is_deleted in [false, true] {
        if is_deleted {
            api.delete_tokens().await;
        } else {
            api.expire_tokens().await;
        }
        let body = serde_json::json!({"instances": [instance]});
        emulator
            .make(&format!("{group}/recreateInstances"), body)
            .await;
        api.forget_node(name).await;
        let drift = home.status().await["drift"].to_string();
        assert!(drift.contains("bootstrap token"), "{drift}");

        home.run("repair").await.succeeded();
        assert_eq!(api.ready_nodes().await.len(), 1);
    }
    let tokens = home.run("certs -o json").await.succeeded().json()["tokens"].clone();
    assert_eq!(tokens.as_array().unwrap().len(), 1, "{tokens:#}");
    assert_eq!(tokens[0]["expired"], false, "{tokens:#}");
    assert_eq!(home.status().await["drift"], serde_json::json!([]));
    home.run("down --yes").await.succeeded();
}
