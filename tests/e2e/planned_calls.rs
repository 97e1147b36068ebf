//! A plan lists the calls that it will make, compared with the requests that the emulator received.

use crate::support::{Home, Outcome};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// The mutating requests to a local cloud.
pub struct Requests {
    directory: PathBuf,
    told: usize,
}

impl Requests {
    /// Records the requests of the home's future local cloud.
    pub fn of(home: &mut Home) -> Self {
        let directory = home.beside("exchanges");
        std::fs::create_dir(&directory).unwrap();
        home.set("LOCAL_CLOUD_EXCHANGES", directory.to_str().unwrap());
        Self { directory, told: 0 }
    }

    /// The requests since the last call, as `POST projects/p/...`, sorted.
    fn since_then(&mut self) -> Vec<String> {
        let all: Vec<String> = files(&self.directory)
            .iter()
            .flat_map(|file| lines(file))
            .filter(|exchange| exchange["method"] != "GET")
            .map(|exchange| {
                let path = exchange["path"].as_str().unwrap();
                let path = path.strip_prefix("/compute/v1/").unwrap();
                format!("{} {path}", exchange["method"].as_str().unwrap())
            })
            // These only read.
            .filter(|call| !call.ends_with("/wait") && !call.ends_with("/listInstances"))
            .collect();
        let mut new = all[self.told..].to_vec();
        self.told = all.len();
        new.sort();
        new
    }

    /// Adds them to the check of all exchanges of a test run.
    pub fn hand_over(&self) {
        let Ok(run) = std::env::var("LOCAL_CLOUD_EXCHANGES") else {
            return;
        };
        for file in files(&self.directory) {
            std::fs::copy(&file, Path::new(&run).join(file.file_name().unwrap())).unwrap();
        }
    }
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

fn lines(file: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(file).unwrap();
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The calls in the command's plan, sorted.
fn planned(outcome: &Outcome) -> Vec<String> {
    let events = outcome.events();
    let plan = events.iter().find(|event| event["event"] == "plan");
    let steps = plan.unwrap_or_else(|| panic!("no plan in {outcome}"))["steps"].clone();
    let steps = steps.as_array().unwrap().clone();
    let calls = steps.iter().filter_map(|step| step["calls"].as_array());
    let text = |call: &Value| {
        let part = |field: &str| call[field].as_str().unwrap().to_owned();
        format!("{} {}", part("method"), part("path"))
    };
    let mut calls: Vec<String> = calls.flatten().map(text).collect();
    calls.sort();
    calls
}

/// Compares each command's plan with its requests.
pub async fn assert_foreseen(home: &Home, requests: &mut Requests, commands: &[&str]) {
    requests.since_then();
    for command in commands {
        let outcome = home.run(command).await.succeeded();
        let (planned, sent) = (planned(&outcome), requests.since_then());
        assert!(!sent.is_empty(), "{command} changed nothing");
        assert_eq!(planned, sent, "planned, and sent by {command}");
    }
}

/// From none to three replicas and back, with a separate network and nodes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_lists_the_calls_that_are_made() {
    let mut home = Home::new();
    let mut requests = Requests::of(&mut home);
    home.set("KUBE_GCE_NETWORK", "own");
    home.set("NUM_NODES", "1");
    // A dry run lists the same, and sends nothing.
    home.run("local start").await.succeeded();
    let dry = planned(&home.run("plan up -o json").await.succeeded());
    assert_eq!(requests.since_then(), [] as [String; 0]);
    assert!(
        dry.iter()
            .any(|call| call.starts_with("POST projects/") && call.ends_with("/instances"))
    );
    let commands = [
        "up -o json",
        "replicate -o json",
        "replicate -o json",
        "nodes scale 2 -o json",
        "down --replica -o json",
        "down --replica -o json",
        "down --yes -o json",
    ];
    assert_foreseen(&home, &mut requests, &commands).await;
    requests.hand_over();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_private_clusters_plan_lists_them_too() {
    let mut home = Home::new();
    let mut requests = Requests::of(&mut home);
    home.set("KUBE_GCE_NETWORK", "own");
    home.set("KUBE_GCE_PRIVATE_CLUSTER", "true");
    let commands = [
        "up -o json",
        "replicate -o json",
        "down --replica -o json",
        "down --yes -o json",
    ];
    assert_foreseen(&home, &mut requests, &commands).await;
    requests.hand_over();
}
