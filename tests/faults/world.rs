//! A worker's own HAKUBE_HOME, and hakube runs in it.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::process::Stdio;
use std::time::Duration;

use hakube_local_client::LocalCloud;
use serde_json::Value;
use tempfile::TempDir;

use crate::command::Command;

/// The program under test: `HAKUBE_TEST_BINARY`, or the one that was built with these tests.
fn program() -> OsString {
    std::env::var_os("HAKUBE_TEST_BINARY").unwrap_or_else(|| env!("CARGO_BIN_EXE_hakube").into())
}
/// A command that takes longer hangs.
const HANGS: Duration = Duration::from_secs(150);
/// A timeout that is exceeded only if something never happens.
pub const PATIENT: &str = "40s";

pub struct World {
    pub cloud: LocalCloud,
    /// The number of replicas, each in its own zone. The first has kube-up's name.
    pub replicas: usize,
    home: TempDir,
}

#[derive(Debug)]
pub struct Outcome {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Outcome {
    pub fn ok(&self) -> bool {
        self.code == Some(0)
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.code {
            Some(code) => write!(f, "exit {code}\n{}", self.stderr),
            None => write!(f, "it hangs, or was killed\n{}", self.stderr),
        }
    }
}

impl World {
    pub fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        Self {
            cloud: LocalCloud::at(home.path().join("local")),
            replicas: 0,
            home,
        }
    }

    /// Runs hakube with an otherwise empty environment.
    pub async fn hakube(&self, arguments: &[&str], timeout: &str) -> Outcome {
        let mut command = tokio::process::Command::new(program());
        command
            .args(arguments)
            .env_clear()
            .envs(std::env::vars_os().filter(|(name, _)| name == "LOCAL_CLOUD_EXCHANGES"))
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.home.path())
            .env("HAKUBE_HOME", self.home.path())
            .env("HAKUBE_PROFILE", "test")
            .env("HAKUBE_STAND_INS", "true")
            .env("MULTIZONE", "true")
            .env("HAKUBE_TIMEOUT", timeout)
            .env("KUBECONFIG", self.home.path().join("kubeconfig"))
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let Ok(output) = tokio::time::timeout(HANGS, command.output()).await else {
            return Outcome {
                code: None,
                stdout: String::new(),
                stderr: String::new(),
            };
        };
        let output = output.unwrap();
        Outcome {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    pub async fn must(&self, arguments: &[&str]) -> Result<Outcome, String> {
        let outcome = self.hakube(arguments, PATIENT).await;
        if outcome.ok() {
            return Ok(outcome);
        }
        Err(format!("hakube {}: {outcome}", arguments.join(" ")))
    }

    /// Prepares the initial state of a case: this many replicas, and a running cloud.
    pub async fn reach(&mut self, replicas: usize) -> Result<(), String> {
        self.must(&["local", "start"]).await?;
        while self.replicas != replicas {
            let command = match (self.replicas, replicas) {
                (0, _) => Command::Up,
                (_, 0) => Command::Down,
                (1, _) => Command::ReplicateToTwo,
                (2, 3) => Command::ReplicateToThree,
                (2, _) => Command::RemoveToOne,
                _ => Command::RemoveToTwo,
            };
            let replica = self.last_replica().await?;
            self.must(&command.arguments(&replica)).await?;
            self.replicas = command.after();
        }
        Ok(())
    }

    /// The name of the replica in the last zone, which is added and removed. Empty without replicas.
    pub async fn last_replica(&self) -> Result<String, String> {
        if self.replicas == 0 {
            return Ok(String::new());
        }
        let status = self.status().await?;
        let replicas = status["replicas"].as_array().into_iter().flatten();
        let last = replicas.max_by_key(|replica| {
            let text = |field: &str| replica[field].as_str().unwrap_or_default().to_owned();
            (text("zone"), text("name"))
        });
        let name = last.and_then(|replica| replica["name"].as_str());
        Ok(name.ok_or("status names no replica")?.to_owned())
    }

    pub async fn status(&self) -> Result<Value, String> {
        let outcome = self.must(&["status", "-o", "json"]).await?;
        serde_json::from_str(&outcome.stdout).map_err(|error| format!("status: {error}"))
    }

    /// `collection/name` of every resource in the project, as the provider lists it.
    pub async fn inventory(&self) -> Result<BTreeSet<String>, String> {
        let mut all = BTreeSet::new();
        let Some(cloud) = self.cloud.status().await.map_err(words)? else {
            return Ok(all);
        };
        let token = std::fs::read_to_string(&cloud.token_file).map_err(words)?;
        let http = reqwest::Client::new();
        for path in LISTS {
            let url = format!("{}/compute/v1/projects/local/{path}", cloud.url);
            let answer = http.get(url).bearer_auth(token.trim()).send().await;
            let answer = answer.and_then(reqwest::Response::error_for_status);
            let text = answer.map_err(words)?.text().await.map_err(words)?;
            let list: Value = serde_json::from_str(&text).map_err(words)?;
            let collection = path.rsplit('/').next().unwrap();
            let names = names(&list["items"], collection);
            all.extend(names.into_iter().map(|name| format!("{collection}/{name}")));
        }
        Ok(all)
    }
}

const LISTS: [&str; 9] = [
    "aggregated/addresses",
    "aggregated/backendServices",
    "aggregated/disks",
    "aggregated/forwardingRules",
    "aggregated/healthChecks",
    "aggregated/instanceGroups",
    "aggregated/instances",
    "global/firewalls",
    "global/networks",
];

fn names(items: &Value, collection: &str) -> Vec<String> {
    let of = |list: &Value| -> Vec<String> {
        let items = list.as_array().into_iter().flatten();
        items
            .filter_map(|item| item["name"].as_str().map(str::to_owned))
            .collect()
    };
    match items.as_object() {
        Some(scopes) => scopes
            .values()
            .flat_map(|scope| of(&scope[collection]))
            .collect(),
        None => of(items),
    }
}

fn words(error: impl std::fmt::Display) -> String {
    error.to_string()
}

impl Drop for World {
    fn drop(&mut self) {
        // The daemon outlives the command that started it, and must stop before its directory is deleted.
        let stopped = std::process::Command::new(program())
            .args(["local", "stop"])
            .env("HAKUBE_HOME", self.home.path())
            .stderr(Stdio::null())
            .status();
        if !stopped.is_ok_and(|status| status.success()) {
            eprintln!(
                "could not stop the local cloud in {}",
                self.home.path().display()
            );
        }
    }
}
