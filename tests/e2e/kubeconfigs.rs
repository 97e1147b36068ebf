//! Realistic kubeconfigs, checked with kubectl: other entries look the same before and after.

#[path = "../../src/kubeconfig/src/samples.rs"]
mod samples;

use crate::real_kubernetes::programs;
use crate::support::{Emulator, Home, replicas_that_are};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;

/// kubectl's view, without hakube's own entries.
fn view(kubectl: &Path, kubeconfig: &Path, own: &str) -> Value {
    let output = Command::new(kubectl)
        .args(["config", "view", "--raw", "-o", "json"])
        .env("KUBECONFIG", kubeconfig)
        .output()
        .unwrap();
    let why = String::from_utf8_lossy(&output.stderr);
    let text = fs::read_to_string(kubeconfig).unwrap_or_default();
    assert!(output.status.success(), "{why}\n{text}");
    let mut view: Value = serde_json::from_slice(&output.stdout).unwrap();
    for list in ["clusters", "contexts", "users"] {
        let entries = view[list].take();
        let others = entries.as_array().into_iter().flatten();
        let others = others.filter(|entry| entry["name"] != own).cloned();
        view[list] = others.collect::<Vec<_>>().into();
    }
    view
}

#[tokio::test]
async fn only_hakubes_own_entries_change() {
    let Some(programs) = programs() else { return };
    let kubectl = programs.join("kubectl");
    let home = Home::new();
    home.run("up").await.succeeded();
    let path = home.kubeconfig();
    let own = String::from_utf8(
        Command::new(&kubectl)
            .args(["config", "current-context"])
            .env("KUBECONFIG", &path)
            .output()
            .unwrap()
            .stdout,
    )
    .unwrap();
    let own = own.trim();
    assert!(!own.is_empty());
    for (dialect, content) in samples::dialects() {
        fs::write(&path, &content).unwrap();
        let before = view(&kubectl, &path, own);
        home.run("reconcile").await.succeeded();
        let mut after = view(&kubectl, &path, own);
        // If no context was current, the cluster's context is now.
        if before["current-context"] == "" && after["current-context"] == own {
            after["current-context"] = "".into();
        }
        assert_eq!(after, before, "{dialect}");
        let contexts = Command::new(&kubectl)
            .args(["config", "get-contexts", "-o", "name"])
            .env("KUBECONFIG", &path)
            .output()
            .unwrap();
        let contexts = String::from_utf8(contexts.stdout).unwrap();
        assert!(
            contexts.lines().any(|name| name == own),
            "{dialect}: {contexts}"
        );
    }
    fs::write(&path, samples::PLAIN).unwrap();
    let before = view(&kubectl, &path, own);
    home.run("reconcile").await.succeeded();
    home.run("down --yes").await.succeeded();
    assert_eq!(view(&kubectl, &path, own), before);
}

/// The control plane comes first. A kubeconfig that can't be written is reported, and fixed later.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_are_repaired_even_if_the_kubeconfig_can_not_be_written() {
    let home = Home::new();
    home.run("up").await.succeeded();
    home.run("replicate --count 2").await.succeeded();
    let gone = replicas_that_are(&home.status().await, "voter").remove(0);
    let emulator = Emulator::of(&home).await;
    emulator
        .delete(&format!("zones/europe-west1-b/instances/{gone}"))
        .await;
    fs::write(home.kubeconfig(), "- no kubeconfig\n").unwrap();
    let outcome = home.run("repair").await;
    assert_ne!(outcome.exit, Some(0), "{outcome}");
    outcome.says(&["not a kubeconfig"]);
    assert_eq!(home.status().await["quorum"]["healthy"], 3);

    // A killed kubectl left its lock file.
    fs::remove_file(home.kubeconfig()).unwrap();
    let lock = home.beside("kubeconfig.lock");
    fs::write(&lock, "").unwrap();
    let outcome = home.run("repair").await;
    assert_ne!(outcome.exit, Some(0), "{outcome}");
    outcome.says(&["kubeconfig.lock exists"]);
    let status = home.status().await;
    assert_eq!(status["quorum"]["healthy"], 3);
    assert!(status["unfinished"].is_null(), "{status}");

    fs::remove_file(&lock).unwrap();
    home.run("repair").await.succeeded();
    assert!(home.kubeconfig().exists());
    home.run("down --yes").await.succeeded();
}
