//! Crashes and restarts of the local cloud's daemon and of the whole machine.

use crate::support::{Api, Etcd, Home, assert_agreement, eventually};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn machines_survive_the_daemon_and_the_next_command_restarts_it() {
    let home = Home::new();
    home.run("up").await.succeeded();
    home.run("replicate").await.succeeded();
    let status = assert_agreement(&home, 2).await;
    Api::of(&home).await.write("before").await.unwrap();
    let etcds = home.etcds();
    assert_eq!(etcds.len(), 2);

    let daemon = home.run("local status -o json").await.succeeded().json()["pid"].clone();
    kill(
        Pid::from_raw(daemon.as_i64().unwrap().try_into().unwrap()),
        Signal::SIGKILL,
    )
    .unwrap();
    eventually("the daemon is gone", async || {
        (home.run("local status -o json").await.json()["running"] == false).then_some(())
    })
    .await;
    assert_eq!(home.etcds(), etcds, "no member was touched");
    let etcd = Etcd::of(&home, &status["replicas"][1]).await;
    etcd.write("without-a-daemon")
        .await
        .expect("etcd needs no daemon");

    let outcome = home.run("reconcile -o json").await.succeeded();
    assert_eq!(
        outcome.summary()["steps"],
        0,
        "nothing needed repair: {outcome}"
    );
    assert_eq!(home.etcds(), etcds, "no member was started again");
    assert_agreement(&home, 2).await;
    assert!(
        Api::of(&home).await.has("before").await.unwrap(),
        "the endpoint responds again"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_stop_and_a_start_the_cluster_is_back_with_its_data() {
    let home = Home::new();
    home.run("up --nodes 1").await.succeeded();
    home.run("replicate --count 2").await.succeeded();
    let (api, etcds) = (Api::of(&home).await, home.etcds());
    api.write("before").await.unwrap();

    home.run("local stop").await.succeeded();
    home.await_no_process().await;
    home.run("status")
        .await
        .exited(5)
        .says(&["hakube local start"]);

    home.run("local start").await.succeeded();
    let status = eventually("all replicas are healthy again", async || {
        let status = home.status().await;
        (status["quorum"]["healthy"] == 3 && status["endpoint"]["ready"] == true).then_some(status)
    })
    .await;
    assert_eq!(status["unfinished"], serde_json::Value::Null, "{status:#}");
    assert!(home.etcds().is_disjoint(&etcds), "they are new processes");
    let again = Api::of(&home).await;
    assert_eq!(again.server, api.server);
    assert!(again.has("before").await.unwrap(), "the data is kept");
    eventually("the node is ready again", async || {
        (again.ready_nodes().await.len() == 1).then_some(())
    })
    .await;
    assert_eq!(
        home.run("reconcile -o json").await.succeeded().summary()["steps"],
        0
    );
}
