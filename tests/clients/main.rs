//! Clients of Compute Engine that nobody here wrote, against the local cloud that the built program serves:
//! Google's Python clients, which `scripts/test` installs, and gcloud where it is there. A test whose client
//! isn't there says so.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

const PROJECT: &str = "somebody-elses";
const DEADLINE: Duration = Duration::from_secs(30);

/// `hakube local serve`, as others use it.
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
            assert!(Instant::now() < deadline, "hakube local serve doesn't");
            std::thread::sleep(Duration::from_millis(10));
        };
        Self { daemon, home, url }
    }

    /// Runs a client's script to its end, which must be a good one.
    fn pleases(&self, program: &Path, script: &str, arguments: &[&str]) {
        let output = Command::new(program)
            .arg(
                Path::new(env!("CARGO_MANIFEST_DIR"))
                    .join("tests/clients")
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
        // It shuts its machines down before it ends.
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
        Some(python) => Cloud::serve().pleases(&python, script, &[]),
        None => eprintln!(
            "skipped: {script}: Google's Python clients aren't here (HAKUBE_GOOGLE_PYTHON)"
        ),
    }
}

#[test]
fn google_cloud_compute_takes_resources_through_their_lives() {
    with_python("google_cloud_compute.py");
}

#[test]
fn googleapiclient_sends_batches() {
    with_python("googleapiclient_batch.py");
}

fn with_gcloud(what: &str) {
    if in_path("gcloud").is_none() {
        eprintln!("skipped: gcloud.sh {what}: there is no gcloud in PATH");
        return;
    }
    Cloud::serve().pleases(Path::new("bash"), "gcloud.sh", &[what]);
}

#[test]
fn gcloud_takes_addresses_and_machines_through_their_lives() {
    with_gcloud("machines");
}

#[test]
fn gcloud_makes_a_balancer_and_takes_it_away() {
    with_gcloud("balancers");
}

#[test]
fn gcloud_makes_a_target_pool_and_takes_it_away() {
    with_gcloud("pools");
}

#[test]
fn gcloud_manages_groups() {
    with_gcloud("groups");
}

#[test]
fn gcloud_lists_what_there_is_and_is_told_what_there_is_not() {
    with_gcloud("catalogue");
}
