//! `hakube artifacts`: a mirror of machines' downloads, for networks without access to the publishers.
//!
//! The main test uses Kubernetes' own programs. Failure tests use files of a few bytes.

mod fetch;
mod images;
mod serve;

use crate::support::{Home, Outcome, Running, eventually};
use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, Uri};
use nix::sys::signal::Signal;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

const KUBELET: &str = "kubernetes/v1.36.3/bin/linux/amd64/kubelet";
const RUNC: &str = "runc/v1.3.4/runc.amd64";
const PAUSE: &str = "images/registry.k8s.io_pause_3.10.2-amd64.tar";

/// A home without settings except those below.
fn operator() -> Home {
    let mut home = Home::new();
    home.set("HAKUBE_STAND_INS", "false");
    for addon in ["KUBE_ENABLE_CLUSTER_DNS", "KUBE_ENABLE_METRICS_SERVER"] {
        home.set(addon, "false");
    }
    home.set("NETWORK_PROVIDER", "none");
    home
}

/// A path, and the requested range of the file.
type Asked = (String, Option<String>);

/// A mirror of small files under the required names, whose server logs requests.
struct Mirror {
    directory: PathBuf,
    url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Mirror {
    async fn new(home: &Home) -> Self {
        let directory = home.beside("mirror");
        let list = home.run("artifacts list -o json").await.succeeded().json();
        for entry in list.as_array().unwrap() {
            let path = entry["path"].as_str().unwrap();
            write(
                &directory.join(path),
                &format!("what {path} has\n").repeat(1000),
            );
        }
        let mirror = Self::serve(directory).await;
        mirror.list_images();
        mirror
    }

    async fn serve(directory: PathBuf) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (root, log) = (directory.clone(), Arc::clone(&asked));
        let files = Router::new().fallback(async move |uri: Uri, headers: HeaderMap| {
            let path = uri.path().trim_start_matches('/').to_owned();
            let range = headers
                .get("range")
                .map(|range| range.to_str().unwrap().to_owned());
            log.lock().unwrap().push((path.clone(), range.clone()));
            let Ok(content) = std::fs::read(root.join(path)) else {
                return (StatusCode::NOT_FOUND, Bytes::new());
            };
            let from = range.map_or(0, |range| {
                let from = range.trim_start_matches("bytes=").trim_end_matches('-');
                from.parse().unwrap()
            });
            let status = match from {
                0 => StatusCode::OK,
                _ => StatusCode::PARTIAL_CONTENT,
            };
            (status, Bytes::from(content).slice(from..))
        });
        tokio::spawn(async move { axum::serve(listener, files).await });
        Self {
            directory,
            url,
            asked,
        }
    }

    /// Records the current images, as an operator does.
    fn list_images(&self) {
        let sum = sha256sum(&self.directory, &[PAUSE]);
        let (sum, _) = sum.split_once(' ').unwrap();
        let list = json!([{
            "name": "registry.k8s.io/pause:3.10.2",
            "file": PAUSE.strip_prefix("images/").unwrap(),
            "sha256": sum,
            "arch": "amd64",
        }]);
        write(
            &self.directory.join("images/images.json"),
            &list.to_string(),
        );
        std::fs::write(self.directory.join("SHA256SUMS"), sums_of(&self.directory)).unwrap();
    }

    fn fetch(&self, into: &Path) -> String {
        format!(
            "artifacts fetch --directory {} --mirror {} --sha256sums {}",
            into.display(),
            self.url,
            self.directory.join("SHA256SUMS").display()
        )
    }

    fn asked_for(&self, path: &str) -> Vec<Option<String>> {
        let asked = self.asked.lock().unwrap();
        let asked = asked.iter().filter(|(other, _)| other == path);
        asked.map(|(_, range)| range.clone()).collect()
    }
}

fn write(path: &Path, content: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

fn sha256sum(directory: &Path, arguments: &[&str]) -> String {
    let output = Command::new("sha256sum")
        .args(arguments)
        .current_dir(directory)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn sums_of(directory: &Path) -> String {
    let mut files: Vec<String> = files(directory).into_keys().collect();
    files.retain(|path| path != "SHA256SUMS");
    sha256sum(
        directory,
        &files.iter().map(String::as_str).collect::<Vec<_>>(),
    )
}

/// All files below, with their permissions.
fn files(directory: &Path) -> BTreeMap<String, u32> {
    let found = Command::new("find")
        .args([".", "!", "-type", "d", "-printf", "%P %m\n"])
        .current_dir(directory)
        .output()
        .unwrap();
    let lines = String::from_utf8(found.stdout).unwrap();
    let file = |line: &str| {
        let (path, mode) = line.rsplit_once(' ').unwrap();
        (path.to_owned(), u32::from_str_radix(mode, 8).unwrap())
    };
    lines.lines().map(file).collect()
}

/// `hakube artifacts serve`, and its URL.
async fn serve(home: &Home, directory: &Path) -> (Running, String) {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let command = format!(
        "artifacts serve --directory {} --listen {address}",
        directory.display()
    );
    let running = home.start(&command);
    eventually("it listens", async || {
        tokio::net::TcpStream::connect(address).await.ok()
    })
    .await;
    (running, format!("http://{address}"))
}

async fn stopped(server: Running) -> Outcome {
    server.signal(Signal::SIGTERM);
    server.end().await.succeeded()
}
