//! Identity beyond names: clusters with the same name, another local cloud, another program at a daemon's
//! address, and an outdated copy of the state.

use crate::support::{Emulator, Home, assert_agreement};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

/// The URL of a state directory next to the home's own.
fn state(home: &Home, name: &str) -> String {
    format!("file://{}", home.beside(name).display())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_operators_cluster_of_the_same_name_is_reported_and_left_unchanged() {
    let home = Home::new();
    home.run("up").await.succeeded();
    home.run("replicate").await.succeeded();
    let before = assert_agreement(&home, 2).await;
    let id = before["id"].as_str().unwrap();
    let inventory = Emulator::of(&home).await.inventory().await;

    let other = state(&home, "other");
    let kubeconfig = home.beside("other-kubeconfig");
    let environment = [
        ("HAKUBE_STATE", other.as_str()),
        ("KUBECONFIG", kubeconfig.to_str().unwrap()),
    ];
    for command in ["up", "down --yes"] {
        home.run_with(&environment, command).await.exited(3).says(&[
            &format!("id {id}"),
            &format!("hakube down --cluster-id {id}"),
        ]);
    }
    home.run_with(&environment, "down --yes --cluster-id unknown-id")
        .await
        .exited(2)
        .says(&["unknown-id"]);
    assert_eq!(Emulator::of(&home).await.inventory().await, inventory);
    assert_eq!(assert_agreement(&home, 2).await, before);

    // A cluster whose state is lost can be deleted by its ID.
    let lost = format!("down --yes --cluster-id {id}");
    home.run_with(&environment, &lost).await.succeeded();
    assert_eq!(
        Emulator::of(&home).await.all("instances").await.len(),
        0,
        "machines remain"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_of_another_local_cloud_is_an_error() {
    let mut home = Home::new();
    let shared = state(&home, "shared");
    home.set("HAKUBE_STATE", &shared);
    home.run("up").await.succeeded();
    let other = Home::new();
    let environment = [("HAKUBE_STATE", shared.as_str())];
    let keys = home.beside("shared/kubernetes/pki.json");
    let before = std::fs::read(&keys).unwrap();
    other.run("local start").await.succeeded();
    for command in ["status", "repair", "down --yes"] {
        other
            .run_with(&environment, command)
            .await
            .exited(3)
            .says(&["HAKUBE_HOME"]);
    }
    let after: serde_json::Value = serde_json::from_slice(&std::fs::read(&keys).unwrap()).unwrap();
    let before: serde_json::Value = serde_json::from_slice(&before).unwrap();
    assert_eq!(after["kubernetes-ca.key"], before["kubernetes-ca.key"]);
    assert_agreement(&home, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_clusters_with_the_same_name_have_separate_contexts() {
    let (one, mut two) = (Home::new(), Home::new());
    let kubeconfig = one.kubeconfig();
    two.set("KUBECONFIG", kubeconfig.to_str().unwrap());
    let contexts = || {
        let text = std::fs::read_to_string(&kubeconfig).unwrap();
        text.matches("server: https://").count()
    };
    one.run("up").await.succeeded();
    let first = std::fs::read_to_string(&kubeconfig).unwrap();
    let words = ["context hakube-kubernetes belongs to another cluster"];
    two.run("up").await.succeeded().says(&words);
    assert_eq!(contexts(), 2);
    let taken = "up --cluster other --context hakube-kubernetes";
    two.run(taken).await.exited(2).says(&["KUBE_CONTEXT"]);
    one.run("down --yes").await.succeeded();
    assert_eq!(contexts(), 1);
    let ca = |text: &str| {
        let line = text.lines().find(|line| line.contains("authority-data"));
        line.map(str::to_owned)
    };
    let left = std::fs::read_to_string(&kubeconfig).unwrap();
    assert_ne!(ca(&left), ca(&first), "the second context is removed");
    two.run("down --yes").await.succeeded();
    assert_eq!(contexts(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_at_a_dead_daemons_address_gets_no_token() {
    let home = Home::new();
    home.run("local start").await.succeeded();
    let status = home.cloud().status().await.unwrap().unwrap();
    let token = std::fs::read_to_string(&status.token_file).unwrap();
    let address: SocketAddr = status.url.trim_start_matches("http://").parse().unwrap();
    let pid = nix::unistd::Pid::from_raw(i32::try_from(status.pid).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
    let listener = crate::support::eventually("the address is free", async || {
        TcpListener::bind(address).ok()
    })
    .await;
    let impostor = std::thread::spawn(move || {
        let mut heard = Vec::new();
        // Each command connects once or twice; the last connection is the test's own.
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let timeout = Some(Duration::from_secs(5));
            stream.set_read_timeout(timeout).unwrap();
            let mut buffer = [0; 4096];
            let count = stream.read(&mut buffer).unwrap_or(0);
            let text = String::from_utf8_lossy(&buffer[..count]).into_owned();
            if text.starts_with("enough") {
                break;
            }
            heard.push(text);
            let body = r#"{"id":"x","proof":"00","pid":1,"url":"","project":"","machines":0}"#;
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ";
            let _ = write!(stream, "{head}{}\r\n\r\n{body}", body.len());
        }
        heard
    });
    home.run("local status").await;
    home.run("up").await.exited(5);
    let mut last = std::net::TcpStream::connect(address).unwrap();
    last.write_all(b"enough").unwrap();
    let heard = impostor.join().unwrap();
    assert!(!heard.is_empty(), "no requests");
    for text in heard {
        assert!(!text.contains(token.trim()), "{text}");
        assert!(!text.to_lowercase().contains("authorization"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outdated_intent_deletes_nothing_and_is_rebuilt() {
    let home = Home::new();
    let intent = home.path().join("state/kubernetes/intent.json");
    home.run("up").await.succeeded();
    let old = std::fs::read(&intent).unwrap();
    home.run("replicate").await.succeeded();
    home.run("replicate").await.succeeded();
    let three = assert_agreement(&home, 3).await;

    std::fs::write(&intent, &old).unwrap();
    for command in ["repair", "reconcile", "up", "replicate"] {
        home.run(command)
            .await
            .exited(3)
            .says(&["hakube state adopt"]);
    }
    let status = home.status().await;
    assert_eq!(status["conditions"][0]["kind"], "intent-not-believed");
    home.run("state adopt").await.exited(3).says(&["--yes"]);
    home.run("state adopt --yes").await.succeeded();
    assert_eq!(assert_agreement(&home, 3).await, three);
    home.run("down --replica").await.succeeded();
    home.run("down --yes").await.succeeded();
}
