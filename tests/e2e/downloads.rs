//! Machines download their programs from a mirror, and run only programs with the intent's checksums.
//!
//! etcd is real, in an archive as its authors publish it. The mirror has stand-ins in place of Kubernetes'
//! programs.

use crate::support::{
    Api, Emulator, HAKUBE, Home, assert_agreement, assert_gone, eventually, find_in_path,
};
use axum::Router;
use axum::http::{StatusCode, Uri};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

const ETCD: &str = "v3.4.23/etcd-v3.4.23-linux-amd64.tar.gz";
const API_SERVER: &str = "v1.36.3/bin/linux/amd64/kube-apiserver";

/// A directory of releases, served without TLS, and their checksums.
struct Mirror {
    url: String,
    directory: PathBuf,
}

impl Mirror {
    async fn new(home: &Home) -> Self {
        let directory = home.beside("mirror");
        etcd_archive(&directory, &home.beside("archive"));
        for name in [
            "kube-apiserver",
            "kube-controller-manager",
            "kube-scheduler",
        ] {
            let script = format!(
                "#!/bin/sh\nexec '{HAKUBE}' stand-in {name} --stand-in-version=1.36.3 \"$@\"\n"
            );
            write(
                &directory.join(format!("v1.36.3/bin/linux/amd64/{name}")),
                &script,
            );
        }
        // The local cloud's nodes have no kubelet.
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let root = directory.clone();
        let files = Router::new().fallback(async move |uri: Uri| {
            tokio::fs::read(root.join(uri.path().trim_start_matches('/')))
                .await
                .map_err(|_| StatusCode::NOT_FOUND)
        });
        tokio::spawn(async move { axum::serve(listener, files).await });
        Self { url, directory }
    }

    /// The checksums, as an operator records them.
    fn sums(&self) -> String {
        let sums = Command::new("sh")
            .args(["-c", "find . -type f | xargs sha256sum"])
            .current_dir(&self.directory)
            .output()
            .unwrap();
        String::from_utf8(sums.stdout).unwrap()
    }
}

fn etcd_archive(mirror: &Path, scratch: &Path) {
    let stem = "etcd-v3.4.23-linux-amd64";
    std::fs::create_dir_all(scratch.join(stem)).unwrap();
    std::fs::copy(
        find_in_path("etcd").unwrap(),
        scratch.join(stem).join("etcd"),
    )
    .unwrap();
    // Restores snapshots.
    write(&scratch.join(stem).join("etcdctl"), "#!/bin/sh\n");
    write(&scratch.join(stem).join("README.md"), "not a program");
    let archive = mirror.join(ETCD);
    std::fs::create_dir_all(archive.parent().unwrap()).unwrap();
    let made = Command::new("tar")
        .args(["--create", "--gzip", "--file"])
        .arg(&archive)
        .arg("--directory")
        .arg(scratch)
        .arg(stem)
        .status()
        .unwrap();
    assert!(made.success());
}

fn write(file: &Path, content: &str) {
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, content).unwrap();
}

fn use_mirror(home: &mut Home, mirror: &Mirror, sums: &str) {
    let file = home.beside("SHA256SUMS");
    std::fs::write(&file, sums).unwrap();
    home.set("ETCD_VERSION", "3.4.23");
    home.set("HAKUBE_ETCD_RELEASES", &mirror.url);
    home.set("HAKUBE_KUBERNETES_RELEASES", &mirror.url);
    home.set("HAKUBE_SHA256SUMS", file.to_str().unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_run_what_they_have_downloaded_and_verified() {
    let mut home = Home::new();
    let mirror = Mirror::new(&home).await;
    use_mirror(&mut home, &mirror, &mirror.sums());
    home.run("local start").await.succeeded();
    let before = Emulator::of(&home).await.inventory().await;
    home.run("up").await.succeeded();
    home.run("replicate").await.succeeded();
    assert_agreement(&home, 2).await;

    let machine = home.machine_root("europe-west1-b", "kubernetes-master");
    for name in [
        "etcd",
        "etcdctl",
        "kube-apiserver",
        "kube-controller-manager",
    ] {
        let program = machine.join("usr/local/bin").join(name);
        let mode = program.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o755, "{}", program.display());
    }
    assert_eq!(
        std::fs::read(machine.join("usr/local/bin/etcd")).unwrap(),
        std::fs::read(find_in_path("etcd").unwrap()).unwrap(),
        "only the programs of the archive"
    );
    Api::of(&home).await.write("downloaded").await.unwrap();
    home.run("down --yes").await.succeeded();
    assert_gone(&home, &before).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_replaced_on_the_mirror_is_never_run() {
    let mut home = Home::new();
    let mirror = Mirror::new(&home).await;
    use_mirror(&mut home, &mirror, &mirror.sums());
    home.run("up").await.succeeded();

    let proof = home.beside("it-ran");
    write(
        &mirror.directory.join(API_SERVER),
        &format!("#!/bin/sh\ntouch '{}'\n", proof.display()),
    );
    let replicate = home.start("replicate");
    eventually("the new machine logs the reason", async || {
        logs(&home, "artifacts").contains("SHA-256").then_some(())
    })
    .await;
    replicate.kill().await;
    assert!(!proof.exists());
}

/// The output of all machines' units of this name.
fn logs(home: &Home, unit: &str) -> String {
    let found = Command::new("find")
        .arg(home.path().join("local/machines"))
        .args([
            "-path",
            &format!("*/logs/{unit}*"),
            "-exec",
            "cat",
            "{}",
            "+",
        ])
        .output()
        .unwrap();
    String::from_utf8_lossy(&found.stdout).into_owned()
}
