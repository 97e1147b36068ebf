//! Independent clients of Compute Engine against the local cloud that the built program serves: Google's
//! Python clients, which `scripts/test` installs, and gcloud if it is installed. A test without its client
//! is skipped with a message.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

const PROJECT: &str = "independent-project";
const DEADLINE: Duration = Duration::from_secs(30);

/// `hakube local serve`, as users run it.
struct Cloud {
    daemon: Child,
    home: TempDir,
    url: String,
}

impl Cloud {
    fn serve() -> Self {
        let home = tempfile::tempdir().unwrap();
        let daemon = Command::new(env!("CARGO_BIN_EXE_hakube"))
            .args(["local", "serve", "--listen", "127.0.0.1:0"])
            .args(["--project", PROJECT, "--home"])
            .arg(home.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let file = home.path().join("local/daemon.json");
        let deadline = Instant::now() + DEADLINE;
        let url = loop {
            let said = std::fs::read(&file).unwrap_or_default();
            let said: serde_json::Value = serde_json::from_slice(&said).unwrap_or_default();
            if let Some(url) = said["url"].as_str() {
                break url.to_owned();
            }
            assert!(
                Instant::now() < deadline,
                "hakube local serve did not become ready"
            );
            std::thread::sleep(Duration::from_millis(10));
        };
        Self { daemon, home, url }
    }

    /// Runs a client's script to its end, which must be a good one.
    fn accepts(&self, program: &Path, script: &str, arguments: &[&str]) {
        let output = Command::new(program)
            .arg(
                Path::new(env!("CARGO_MANIFEST_DIR"))
                    .join("../../tests/clients")
                    .join(script),
            )
            .args(arguments)
            .env("URL", &self.url)
            .env("TOKEN_FILE", self.home.path().join("local/token"))
            .env("PROJECT", PROJECT)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(
            output.status.success(),
            "{script}: {}\n{}{}",
            output.status,
            text(&output.stdout),
            text(&output.stderr)
        );
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        // It shuts its machines down before it exits.
        let pid = Pid::from_raw(i32::try_from(self.daemon.id()).unwrap());
        let _ = kill(pid, Signal::SIGTERM);
        let _ = self.daemon.wait();
    }
}

/// The Python that has Google's clients.
fn python() -> Option<PathBuf> {
    std::env::var_os("HAKUBE_GOOGLE_PYTHON").map(PathBuf::from)
}

fn in_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let mut found = std::env::split_paths(&path).map(|directory| directory.join(program));
    found.find(|file| file.is_file())
}

fn with_python(script: &str) {
    match python() {
        Some(python) => Cloud::serve().accepts(&python, script, &[]),
        None => eprintln!(
            "skipped: {script}: Google's Python clients are missing (HAKUBE_GOOGLE_PYTHON)"
        ),
    }
}

#[test]
fn google_cloud_compute_creates_changes_and_deletes_resources() {
    with_python("google_cloud_compute.py");
}

#[test]
fn googleapiclient_sends_batches() {
    with_python("googleapiclient_batch.py");
}

fn with_gcloud(what: &str) {
    if in_path("gcloud").is_none() {
        eprintln!("skipped: gcloud.sh {what}: gcloud is not in PATH");
        return;
    }
    Cloud::serve().accepts(Path::new("bash"), "gcloud.sh", &[what]);
}

#[test]
fn gcloud_creates_changes_and_deletes_addresses_and_machines() {
    with_gcloud("machines");
}

#[test]
fn gcloud_creates_and_deletes_a_balancer() {
    with_gcloud("balancers");
}

#[test]
fn gcloud_creates_and_deletes_a_target_pool() {
    with_gcloud("pools");
}

#[test]
fn gcloud_manages_networks() {
    with_gcloud("networks");
}

#[test]
fn gcloud_manages_groups() {
    with_gcloud("groups");
}

#[test]
fn gcloud_lists_resources_and_reports_missing_ones() {
    with_gcloud("catalogue");
}
