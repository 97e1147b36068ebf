//! A HAKUBE_HOME of a worker's own, and the binary run in it.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::Duration;

use hakube_local::LocalCloud;
use serde_json::Value;
use tempfile::TempDir;

const HAKUBE: &str = env!("CARGO_BIN_EXE_hakube");
/// A command that takes longer hangs.
const HANGS: Duration = Duration::from_secs(150);
/// A timeout that only what never comes exceeds.
pub const PATIENT: &str = "40s";

/// How many replicas there are to begin with; a case says what it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    Empty,
    One,
}

pub struct World {
    pub cloud: LocalCloud,
    pub stage: Stage,
    home: TempDir,
}

/// How a command ended.
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
            stage: Stage::Empty,
            home,
        }
    }

    /// Runs hakube as somebody whose environment holds nothing else.
    pub async fn hakube(&self, arguments: &[&str], timeout: &str) -> Outcome {
        let mut command = tokio::process::Command::new(HAKUBE);
        command
            .args(arguments)
            .env_clear()
            .envs(std::env::vars_os().filter(|(name, _)| name == "LOCAL_CLOUD_EXCHANGES"))
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.home.path())
            .env("HAKUBE_HOME", self.home.path())
            .env("HAKUBE_PROFILE", "test")
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

    /// Runs a command that must succeed.
    pub async fn must(&self, arguments: &[&str]) -> Result<Outcome, String> {
        let outcome = self.hakube(arguments, PATIENT).await;
        if outcome.ok() {
            return Ok(outcome);
        }
        Err(format!("hakube {}: {outcome}", arguments.join(" ")))
    }

    /// Brings the world to where a case begins.
    pub async fn reach(&mut self, stage: Stage) -> Result<(), String> {
        match (self.stage, stage) {
            (Stage::Empty, Stage::One) => self.must(&["up"]).await.map(drop)?,
            (Stage::One, Stage::Empty) => self.must(&["down", "--yes"]).await.map(drop)?,
            _ => {}
        }
        self.stage = stage;
        Ok(())
    }

    /// `status -o json`.
    pub async fn status(&self) -> Result<Value, String> {
        let outcome = self.must(&["status", "-o", "json"]).await?;
        serde_json::from_str(&outcome.stdout).map_err(|error| format!("status: {error}"))
    }

    /// `collection/name` of everything in the project, as the provider lists it.
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
        // The daemon outlives the command that started it; its directory must not go before it.
        let stopped = std::process::Command::new(HAKUBE)
            .args(["local", "stop"])
            .env("HAKUBE_HOME", self.home.path())
            .stderr(Stdio::null())
            .status();
        if !stopped.is_ok_and(|status| status.success()) {
            eprintln!(
                "the local cloud in {} was not stopped",
                self.home.path().display()
            );
        }
    }
}
