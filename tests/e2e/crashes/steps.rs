//! kill -9 of hakube at the start of a step, including steps that call etcd and machines rather than the
//! provider; and two concurrent commands.

use crate::support::{
    Api, Emulator, Home, assert_agreement, assert_gone, eventually, replica_names,
};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

/// How an interrupted command is finished.
#[derive(Clone, Copy)]
enum Finish {
    SameCommand,
    Reconcile,
}

/// Kills `replicate` at the start of a step, and finishes it.
async fn replicate_dies_at(step: &str, finish: Finish) {
    let home = Home::new();
    home.run("up").await.succeeded();
    let api = Api::of(&home).await;
    api.write("before").await.unwrap();

    let mut replicate = home.start("replicate -o json");
    replicate.until_step(step).await;
    replicate.kill().await;
    let unfinished = home.status().await["unfinished"].clone();
    let fields: Vec<&String> = unfinished.as_object().unwrap().keys().collect();
    assert_eq!(fields, ["operation", "started", "by"]);
    assert_eq!(unfinished["operation"], "replicate");
    home.run("status").await.succeeded();

    let command = match finish {
        Finish::SameCommand => "replicate -o json",
        Finish::Reconcile => "reconcile -o json",
    };
    home.run(command).await.succeeded();
    let status = assert_agreement(&home, 2).await;
    assert_eq!(status["endpoint"]["mode"], "load-balanced");
    let again = Api::of(&home).await;
    assert_eq!(again.server, api.server);
    assert!(again.has("before").await.unwrap(), "the data is kept");
    assert_eq!(
        home.run("reconcile -o json").await.succeeded().summary()["steps"],
        0,
        "the command is finished"
    );
}

/// One test for each step at which it is killed.
macro_rules! replicate_dies {
    ($($test:ident at $step:literal, then $finish:ident;)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $test() {
            replicate_dies_at($step, Finish::$finish).await;
        }
    )*};
}

replicate_dies! {
    replicate_dies_delivering_secrets at "secrets/", then Reconcile;
    replicate_dies_adding_the_learner at "join/", then SameCommand;
    replicate_dies_promoting_the_learner at "promote/", then Reconcile;
    replicate_dies_starting_the_control_plane at "control-plane/", then SameCommand;
    replicate_dies_moving_the_endpoint at "point-endpoint", then SameCommand;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn up_killed_twice_is_finished_by_up() {
    let home = Home::new();
    home.run("local start").await.succeeded();
    let before = Emulator::of(&home).await.inventory().await;
    for step in ["machine/", "form/"] {
        let mut up = home.start("up -o json");
        up.until_step(step).await;
        up.kill().await;
        assert_eq!(
            home.status().await["unfinished"]["operation"],
            "up",
            "killed at {step}"
        );
    }
    home.run("up").await.succeeded();
    assert_agreement(&home, 1).await;
    Api::of(&home).await.write("alive").await.unwrap();

    let mut down = home.start("down --yes -o json");
    down.until_step("delete/machine").await;
    down.kill().await;
    home.run("down --yes").await.succeeded();
    assert_gone(&home, &before).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_removal_is_finished_by_the_same_command() {
    let home = Home::new();
    home.run("up").await.succeeded();
    home.run("replicate").await.succeeded();
    let gone = "kubernetes-master";
    let command = format!("down --replica {gone} -o json");
    let mut removal = home.start(&command);
    removal.until_step("leave/").await;
    removal.kill().await;
    assert_eq!(
        home.status().await["unfinished"]["operation"],
        "down --replica"
    );
    // Another change that lowers the margin must wait.
    home.run("down --replica --zone europe-west1-b")
        .await
        .exited(3)
        .says(&["hakube reconcile"]);
    home.run(&command).await.succeeded();
    let status = assert_agreement(&home, 1).await;
    assert_ne!(replica_names(&status), [gone]);
    assert_eq!(status["endpoint"]["mode"], "direct");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_concurrent_commands_the_second_names_the_holder_of_the_lock() {
    let home = Home::new();
    home.run("up").await.succeeded();
    let mut first = home.start("replicate -o json");
    first.until_step("machine/").await;
    first.signal(Signal::SIGSTOP);
    let holder = format!("pid {}", first.pid());
    for second in [
        "replicate",
        "reconcile",
        "up",
        "down --replica",
        "down --yes",
    ] {
        home.run(second)
            .await
            .exited(4)
            .says(&["replicate", &holder]);
    }
    // Read-only commands work.
    assert_eq!(home.status().await["unfinished"]["operation"], "replicate");
    first.signal(Signal::SIGCONT);
    let outcome = first.end().await.succeeded();
    assert_eq!(outcome.summary()["ok"], true);
    let status = assert_agreement(&home, 2).await;
    assert_eq!(status["unfinished"], Value::Null);
}

#[tokio::test]
async fn the_local_cloud_finishes_accepted_requests_of_disconnected_clients() {
    let home = Home::new();
    home.run("local start").await.succeeded();
    let emulator = Emulator::of(&home).await;
    for number in 0..20 {
        let address = json!({"name": format!("address-{number}")});
        emulator
            .ask_and_hang_up("regions/europe-west1/addresses", address)
            .await;
    }
    // A request that was cut off before it was read has no effect; an accepted one must complete.
    let made = eventually("the accepted request is complete", async || {
        let made = emulator.all("addresses").await;
        let done = made.iter().all(|address| address["status"] == "RESERVED");
        (done && !made.is_empty()).then_some(made)
    })
    .await;
    let name = made[0]["name"].as_str().unwrap();
    emulator
        .delete(&format!("regions/europe-west1/addresses/{name}"))
        .await;
}
