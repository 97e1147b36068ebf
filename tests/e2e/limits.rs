//! Limits of time, connections and disk space.

use crate::support::Home;
use hakube_local_client::FaultRule;
use std::fs;
use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

#[tokio::test]
async fn a_command_ends_soon_after_its_timeout() {
    let home = Home::new();
    home.run("local start").await.succeeded();
    for act in [
        serde_json::json!({"refuse": {"status": 502, "reason": "backendError"}}),
        serde_json::json!({"no_answer": {"when": "before"}}),
    ] {
        let rule = serde_json::json!({"method": "GET", "path": "/zones$", "act": act});
        let rule: FaultRule = serde_json::from_value(rule).unwrap();
        home.cloud().set_faults(&[rule]).await.unwrap();
        let started = Instant::now();
        let outcome = home.run("up --timeout 3s").await;
        let took = started.elapsed();
        assert_ne!(outcome.exit, Some(0), "{outcome}");
        assert!(took < Duration::from_secs(20), "{took:?}: {outcome}");
        outcome.says(&["--timeout"]);
    }
    home.cloud().clear_faults().await.unwrap();
    home.run("up").await.succeeded();
}

/// The daemon is stopped: it accepts connections but doesn't respond.
#[tokio::test]
async fn a_stopped_local_cloud_is_reported_with_its_process() {
    use nix::sys::signal::{Signal, kill};
    let home = Home::new();
    home.run("local start").await.succeeded();
    let status = home.cloud().status().await.unwrap().unwrap();
    let pid = nix::unistd::Pid::from_raw(status.pid.try_into().unwrap());
    kill(pid, Signal::SIGSTOP).unwrap();
    let started = Instant::now();
    let outcome = home.run("up --timeout 3s").await;
    kill(pid, Signal::SIGCONT).unwrap();
    outcome.says(&[&format!("kill -CONT {pid}")]);
    assert!(started.elapsed() < Duration::from_secs(20));
}

fn hold(address: SocketAddr, count: usize) -> Vec<TcpStream> {
    let connect = |_| TcpStream::connect_timeout(&address, Duration::from_secs(10)).unwrap();
    (0..count).map(connect).collect()
}

/// Idle connections to any of the daemon's listeners lock no client out.
#[tokio::test]
async fn idle_connections_lock_no_client_out() {
    let home = Home::new();
    // Few enough files that these connections use all of them.
    home.run_by(r#"ulimit -n 512; exec "$@""#, "local start")
        .await
        .succeeded();
    home.run("up").await.succeeded();
    home.run("replicate").await.succeeded();
    let status = home.status().await;
    let endpoint = &status["endpoint"];
    let endpoint = format!(
        "{}:{}",
        endpoint["address"].as_str().unwrap(),
        endpoint["port"]
    );
    let endpoint: SocketAddr = endpoint.parse().unwrap();
    let cloud = home.cloud().status().await.unwrap().unwrap();
    let cloud: SocketAddr = cloud.url.trim_start_matches("http://").parse().unwrap();
    let _api = hold(cloud, 700);
    let mut halves = hold(cloud, 50);
    for half in &mut halves {
        half.write_all(b"GET /compute/v1/ HTTP/1.1\r\nHost: ")
            .unwrap();
    }
    let _endpoint = hold(endpoint, 700);
    let status = home.status().await;
    assert_eq!(status["endpoint"]["ready"], true, "{status}");
    assert_eq!(home.cloud().machines().await.unwrap().len(), 2);
    home.run("down --yes").await.succeeded();
}

/// A small disk, unmounted after the test.
struct Disk(PathBuf);

impl Disk {
    /// `None` if the environment says that this machine can't mount one.
    fn at(path: PathBuf) -> Option<Self> {
        const WITHOUT: &str = "HAKUBE_TESTS_WITHOUT_HOSTS";
        if std::env::var_os(WITHOUT).is_some() {
            return None;
        }
        fs::create_dir_all(&path).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=200m,mode=0700", "tmpfs"])
            .arg(&path)
            .status()
            .unwrap();
        assert!(
            mounted.success(),
            "a small disk takes root; or set {WITHOUT}=1"
        );
        Some(Self(path))
    }

    /// Fills the disk until the returned file is removed.
    fn fill(&self) -> PathBuf {
        let path = self.0.join("fill");
        let mut file = fs::File::create(&path).unwrap();
        while file.write_all(&[0; 4096]).is_ok() {}
        path
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: processes on it may still be running.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test]
async fn operations_continue_after_a_disk_was_full() {
    let mut home = Home::new();
    let kubeconfig = home.path().join("kubeconfig");
    home.set("KUBECONFIG", kubeconfig.to_str().unwrap());
    let Some(disk) = Disk::at(home.path()) else {
        return;
    };
    home.run("local start").await.succeeded();
    let fill = disk.fill();
    // Every attempt ends, with the cause.
    let started = Instant::now();
    for _ in 0..3 {
        let outcome = home.run("up --timeout 5s").await;
        assert_ne!(outcome.exit, Some(0), "{outcome}");
        outcome.says(&["No space left on device"]);
    }
    assert!(started.elapsed() < Duration::from_secs(90));
    fs::remove_file(&fill).unwrap();
    home.run("up").await.succeeded();
    // The same with an existing cluster, whose kubeconfig is to be rewritten.
    let theirs = "kind: Config\ncurrent-context: theirs # by hand\n";
    fs::write(&kubeconfig, theirs).unwrap();
    let fill = disk.fill();
    for command in ["replicate --timeout 5s", "repair --timeout 5s"] {
        let outcome = home.run(command).await;
        assert_ne!(outcome.exit, Some(0), "{outcome}");
        assert_eq!(fs::read_to_string(&kubeconfig).unwrap(), theirs);
    }
    fs::remove_file(&fill).unwrap();
    home.run("repair").await.succeeded();
    let now = fs::read_to_string(&kubeconfig).unwrap();
    assert!(now.contains("hakube-kubernetes"), "{now}");
    assert_eq!(home.status().await["endpoint"]["ready"], true);
    home.run("down --yes").await.succeeded();
    home.run("local stop").await.succeeded();
}
