//! The same tests against a real S3 server (moto, from PyPI; `tests/state_buckets` installs it and
//! runs this), and against a fake of Cloud Storage.
//!
//! Environment variables of a service are per process, so a test runs itself in a child process with them.

mod gcs;

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::lock::tests::fencing::{
    a_holder_without_the_lock_writes_nothing_more, of_two_at_once_one_proceeds,
};
use crate::{Holder, Store};
use hakube_settings::Location;

const URL: &str = "HAKUBE_TEST_BUCKET_OF_CHILD";

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn moto() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("HAKUBE_MOTO_SERVER") {
        return Some(named.into());
    }
    let path = std::env::var_os("PATH")?;
    let mut found = std::env::split_paths(&path).map(|directory| directory.join("moto_server"));
    found.find(|program| program.is_file())
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

fn start(program: PathBuf, port: u16) -> Server {
    let mut command = Command::new(program);
    command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let server = Server(command.spawn().unwrap());
    let deadline = Instant::now() + Duration::from_secs(60);
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        assert!(Instant::now() < deadline, "moto_server doesn't listen");
        std::thread::sleep(Duration::from_millis(50));
    }
    server
}

/// Runs the child test below with a service's environment.
async fn run_child(url: &str, service: &[(&str, &str)]) {
    let child = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "tests::buckets::child_of_the_tests_above"])
        .arg("--nocapture")
        .env(URL, url)
        .envs(service.iter().copied())
        .output()
        .await
        .unwrap();
    let output = String::from_utf8_lossy(&child.stdout);
    assert!(
        child.status.success() && output.contains("1 passed"),
        "{child:?}"
    );
}

#[tokio::test]
async fn an_s3_bucket_refuses_stale_writes_and_admits_one_of_two() {
    let Some(program) = moto() else {
        eprintln!("skipped: there is no moto_server (tests/state_buckets installs it)");
        return;
    };
    let port = free_port();
    let _server = start(program, port);
    let endpoint = format!("http://127.0.0.1:{port}");
    let service = [
        ("AWS_ENDPOINT_URL", endpoint.as_str()),
        ("AWS_ACCESS_KEY_ID", "tester"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_REGION", "us-east-1"),
    ];
    run_child("s3://team/clusters", &service).await;
}

#[tokio::test]
async fn a_gcs_bucket_refuses_stale_writes_and_admits_one_of_two() {
    let emulator = gcs::serve().await.to_string();
    run_child(
        "gs://team/clusters",
        &[("STORAGE_EMULATOR_HOST", &emulator)],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_of_the_tests_above() {
    let Ok(url) = std::env::var(URL) else {
        return;
    };
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    let store = || Store::open(&Location::parse(&url).unwrap()).unwrap();
    let holder = || Holder::current("down");

    if let Ok(endpoint) = std::env::var("AWS_ENDPOINT_URL") {
        // A missing bucket is not the same as one without clusters.
        let error = store()
            .lock("prod", holder())
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains(&url), "{error}");
        let made = reqwest::Client::new()
            .put(format!("{endpoint}/team"))
            .send()
            .await;
        assert!(made.unwrap().status().is_success());
    }
    for _ in 0..10 {
        of_two_at_once_one_proceeds([store(), store()]).await;
    }
    assert_eq!(store().clusters().await.unwrap(), ["prod"]);
    let guard = store().lock("prod", holder()).await.unwrap();
    guard.delete_cluster().await.unwrap();
    guard.release().await.unwrap();
    a_holder_without_the_lock_writes_nothing_more(&store()).await;
}
