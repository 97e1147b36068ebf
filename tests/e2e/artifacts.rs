//! What machines download, mirrored for networks that reach no publisher: `hakube artifacts`.
//!
//! The story goes over Kubernetes' own programs; where something goes wrong, files of a few bytes will do.

use crate::support::{Home, Outcome, Running, eventually};
use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, Uri};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const WITHOUT: &str = "HAKUBE_TESTS_WITHOUT_KUBERNETES";
const KUBELET: &str = "kubernetes/v1.36.0/bin/linux/amd64/kubelet";
const RUNC: &str = "runc/v1.3.4/runc.amd64";
const PAUSE: &str = "images/registry.k8s.io_pause_3.10.2-amd64.tar";

/// Of whom nothing is taken for granted but what is set here.
fn operator() -> Home {
    let mut home = Home::new();
    home.set("HAKUBE_STAND_INS", "false");
    for addon in ["KUBE_ENABLE_CLUSTER_DNS", "KUBE_ENABLE_METRICS_SERVER"] {
        home.set(addon, "false");
    }
    home.set("NETWORK_PROVIDER", "none");
    home
}

/// A mirror of small files by the names that are asked for, behind a server that says what was asked.
struct Mirror {
    directory: PathBuf,
    url: String,
    asked: Arc<Mutex<Vec<(String, Option<String>)>>>,
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

    /// Writes down what there is now, as an operator does.
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

/// All files below, and their permissions.
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

/// The real mirror's programs, and those of its images that are wanted here: links, which cost no space.
fn kubernetes(home: &Home) -> Option<PathBuf> {
    if std::env::var_os(WITHOUT).is_some() {
        return None;
    }
    let built = std::env::var_os("HAKUBE_TEST_KUBERNETES").map(PathBuf::from);
    let built = built.unwrap_or_else(|| {
        panic!(
            "HAKUBE_TEST_KUBERNETES isn't set to the directory that scripts/lib/kubernetes-programs prints: run \
             scripts/test, or set {WITHOUT}=1"
        )
    });
    let real = built.join("mirror");
    let list: Value =
        serde_json::from_slice(&std::fs::read(real.join("images/images.json")).unwrap()).unwrap();
    let pause: Vec<&Value> = list
        .as_array()
        .unwrap()
        .iter()
        .filter(|image| image["name"].as_str().unwrap().contains("/pause:"))
        .collect();
    let mirror = home.beside("kubernetes");
    for path in files(&real).into_keys() {
        let is_image = path.starts_with("images/");
        if is_image && path != format!("images/{}", pause[0]["file"].as_str().unwrap()) {
            continue;
        }
        let to = mirror.join(&path);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        if std::fs::hard_link(real.join(&path), &to).is_err() {
            std::fs::copy(real.join(&path), &to).unwrap();
        }
    }
    // A new file: the link's other name is the real mirror's.
    std::fs::remove_file(mirror.join("SHA256SUMS")).unwrap();
    write(
        &mirror.join("images/images.json"),
        &json!(pause).to_string(),
    );
    std::fs::write(mirror.join("SHA256SUMS"), sums_of(&mirror)).unwrap();
    Some(mirror)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mirror_is_fetched_verified_served_and_fetched_again() {
    let mut home = operator();
    let Some(source) = kubernetes(&home) else {
        return;
    };
    home.set("KUBE_VERSION", "v1.36.3");
    home.set("ETCD_VERSION", "3.6.16");
    let mut sums = Vec::new();
    let mut from = source;
    for name in ["first", "second"] {
        let into = home.beside(name);
        let (server, url) = serve(&home, &from).await;
        let list = from.join("SHA256SUMS").display().to_string();
        let fetch = format!(
            "artifacts fetch --directory {} --mirror {url} --sha256sums {list}",
            into.display()
        );
        let fetched = home.run(&fetch).await.succeeded();
        let fetched = fetched.says(&["has everything: 10 files fetched", "downloaded kubelet"]);
        assert!(
            !fetched.stderr.contains('\r'),
            "progress is for terminals: {fetched}"
        );
        stopped(server)
            .await
            .says(&["/bin/linux/amd64/kubelet 200"]);
        home.run(&format!("artifacts verify --directory {}", into.display()))
            .await
            .succeeded();
        // sha256sum, and publishers' lists, agree.
        sha256sum(&into, &["--check", "--strict", "--quiet", "SHA256SUMS"]);
        sha256sum(
            &into.join("etcd/v3.6.16"),
            &["--check", "--strict", "--quiet", "SHA256SUMS"],
        );
        // Whatever user a web server is, it reads them.
        assert!(files(&into).values().all(|mode| *mode == 0o644));
        assert_eq!(into.metadata().unwrap().permissions().mode() & 0o777, 0o755);
        let text = std::fs::read_to_string(into.join("SHA256SUMS")).unwrap();
        // It says where each comes from, which differs.
        let lines = text
            .lines()
            .filter(|line| !line.ends_with("artifacts.json"));
        sums.push(lines.map(str::to_owned).collect::<Vec<_>>());
        from = into;
    }
    assert_eq!(sums[0], sums[1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_run_goes_on_with_what_is_partial_and_skips_what_is_there() {
    let home = operator();
    let mirror = Mirror::new(&home).await;
    let into = home.beside("into");
    let whole = std::fs::read_to_string(mirror.directory.join(KUBELET)).unwrap();
    write(&into.join(format!("{KUBELET}.part")), &whole[..500]);
    home.run(&mirror.fetch(&into)).await.succeeded();
    assert_eq!(mirror.asked_for(KUBELET), [Some("bytes=500-".to_owned())]);
    assert_eq!(std::fs::read_to_string(into.join(KUBELET)).unwrap(), whole);
    assert!(!files(&into).keys().any(|path| path.ends_with(".part")));

    mirror.asked.lock().unwrap().clear();
    let again = home.run(&mirror.fetch(&into)).await.succeeded();
    again.says(&["0 files fetched, 10 were there"]);
    let asked = mirror.asked.lock().unwrap().clone();
    assert_eq!(asked, [("images/images.json".to_owned(), None)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_or_missing_on_a_mirror_is_named_and_the_rest_is_fetched() {
    let home = operator();
    let mirror = Mirror::new(&home).await;
    let into = home.beside("into");
    let good = std::fs::read(mirror.directory.join(KUBELET)).unwrap();
    write(&mirror.directory.join(KUBELET), "something else");
    std::fs::rename(mirror.directory.join(RUNC), home.beside("runc")).unwrap();
    let fetched = home.run(&mirror.fetch(&into)).await.exited(1);
    fetched.says(&[
        "lacks 2 of 10 artifacts",
        "kubelet 1.36.0 (amd64): ",
        "isn't what it should be",
        "runc 1.3.4 (amd64): could not download",
        "404",
        &format!("hakube artifacts fetch --directory {}", into.display()),
    ]);
    let there = files(&into);
    for path in [KUBELET, RUNC] {
        assert!(
            !there.keys().any(|other| other.starts_with(path)),
            "{there:?}"
        );
    }
    assert!(there.contains_key(PAUSE));
    // What is there is in the lists, and nothing else.
    home.run(&format!("artifacts verify --directory {}", into.display()))
        .await
        .succeeded();

    std::fs::write(mirror.directory.join(KUBELET), good).unwrap();
    std::fs::rename(home.beside("runc"), mirror.directory.join(RUNC)).unwrap();
    let fetched = home.run(&mirror.fetch(&into)).await.succeeded();
    fetched.says(&["2 files fetched, 8 were there"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_named_with_the_file_and_leaves_no_half_of_it() {
    let home = operator();
    let mirror = Mirror::new(&home).await;
    let into = home.beside("into");
    let full = home.run_where_no_file_can_grow(&mirror.fetch(&into)).await;
    full.exited(1).says(&[
        "kube-apiserver 1.36.0 (amd64): could not write",
        "make room",
    ]);
    assert!(
        !files(&into)
            .keys()
            .any(|path| path.ends_with("kube-apiserver"))
    );
    home.run(&mirror.fetch(&into)).await.succeeded();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mirror_without_tls_is_believed_only_by_the_operators_own_sums() {
    let home = operator();
    let mirror = Mirror::new(&home).await;
    let into = home.beside("into");
    let command = format!(
        "artifacts fetch --directory {} --mirror {}",
        into.display(),
        mirror.url
    );
    home.run(&command).await.exited(2).says(&["--sha256sums"]);
    assert!(!into.exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn images_that_no_mirror_has_are_exported_by_hand_and_taken() {
    let home = operator();
    let mirror = Mirror::new(&home).await;
    std::fs::remove_file(mirror.directory.join("images/images.json")).unwrap();
    let into = home.beside("into");
    let fetched = home.run(&mirror.fetch(&into)).await.exited(1);
    let command = format!(
        "docker://registry.k8s.io/pause:3.10.2 docker-archive:{}:registry.k8s.io/pause:3.10.2",
        into.join(PAUSE).display()
    );
    fetched.says(&[
        "lacks 1 of 10 artifacts",
        "registry.k8s.io/pause 3.10.2 (amd64)",
        &command,
    ]);
    assert!(into.join(KUBELET).exists(), "all else was fetched");

    write(&into.join(PAUSE), "not an archive");
    home.run(&mirror.fetch(&into))
        .await
        .exited(1)
        .says(&[PAUSE, "rm "]);

    // As skopeo's docker-archive has it.
    let scratch = home.beside("scratch");
    let manifest = json!([{
        "Config": "config.json",
        "RepoTags": ["registry.k8s.io/pause:3.10.2"],
        "Layers": [],
    }]);
    let pack = |arch: &str| {
        write(&scratch.join("manifest.json"), &manifest.to_string());
        write(
            &scratch.join("config.json"),
            &json!({"architecture": arch}).to_string(),
        );
        let packed = Command::new("tar")
            .args(["--create", "--file"])
            .arg(into.join(PAUSE))
            .args(["config.json", "manifest.json"])
            .current_dir(&scratch)
            .status()
            .unwrap();
        assert!(packed.success());
    };
    pack("arm64");
    home.run(&mirror.fetch(&into))
        .await
        .exited(1)
        .says(&[PAUSE, "arm64"]);
    pack("amd64");
    home.run(&mirror.fetch(&into))
        .await
        .succeeded()
        .says(&[PAUSE]);
    let list = std::fs::read(into.join("images/images.json")).unwrap();
    let list: Value = serde_json::from_slice(&list).unwrap();
    assert_eq!(list[0]["name"], "registry.k8s.io/pause:3.10.2");
    home.run(&format!("artifacts verify --directory {}", into.display()))
        .await
        .succeeded();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn verify_finds_each_kind_of_damage() {
    let home = operator();
    let mirror = Mirror::new(&home).await;
    let into = home.beside("into");
    home.run(&mirror.fetch(&into)).await.succeeded();
    let verify = format!("artifacts verify -o json --directory {}", into.display());
    let good = home.run(&verify).await.succeeded().json();
    assert_eq!((&good["ok"], &good["findings"]), (&json!(true), &json!([])));

    let at = |path: &str| into.join(path);
    let scheduler = "kubernetes/v1.36.0/bin/linux/amd64/kube-scheduler";
    let proxy = "kubernetes/v1.36.0/bin/linux/amd64/kube-proxy";
    std::fs::remove_file(at(RUNC)).unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(at(KUBELET));
    file.unwrap().set_len(100).unwrap();
    let mut content = std::fs::read(at(scheduler)).unwrap();
    content[0] ^= 1;
    std::fs::write(at(scheduler), content).unwrap();
    write(&at("images/extra.tar"), "extra");
    write(&at("etcd/etcd.tar.gz.part"), "half");
    std::fs::remove_file(at(proxy)).unwrap();
    symlink("/etc/hostname", at(proxy)).unwrap();

    let bad = home.run(&verify).await.exited(1);
    let found: BTreeMap<String, String> = bad.json()["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| {
            let word = |key: &str| finding[key].as_str().unwrap().to_owned();
            (word("path"), word("problem"))
        })
        .collect();
    let wanted = [
        (RUNC, "missing"),
        (KUBELET, "truncated"),
        (scheduler, "wrong_digest"),
        ("images/extra.tar", "extra"),
        ("etcd/etcd.tar.gz.part", "partial"),
        (proxy, "outside"),
    ];
    let wanted = wanted.map(|(path, problem)| (path.to_owned(), problem.to_owned()));
    assert_eq!(found, BTreeMap::from(wanted));
    bad.says(&["6 files of", "hakube artifacts fetch"]);
}

/// What a server answers to these bytes.
async fn raw(url: &str, request: &str) -> String {
    let address = url.strip_prefix("http://").unwrap();
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("{request} HTTP/1.1\r\nhost: mirror\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_gives_files_of_the_directory_and_nothing_else() {
    let home = operator();
    let directory = home.beside("served");
    write(&directory.join("sub/file"), "0123456789");
    write(&home.beside("secret"), "secret");
    symlink("../secret", directory.join("link")).unwrap();
    symlink("/", directory.join("root")).unwrap();
    std::fs::write(
        directory.join("SHA256SUMS"),
        sha256sum(&directory, &["sub/file"]),
    )
    .unwrap();
    let (server, url) = serve(&home, &directory).await;

    let got = raw(&url, "GET /sub/file").await;
    assert!(
        got.starts_with("HTTP/1.1 200 OK\r\n") && got.ends_with("\r\n\r\n0123456789"),
        "{got}"
    );
    let got = raw(&url, "HEAD /sub/file").await;
    assert!(
        got.contains("content-length: 10\r\n") && got.ends_with("\r\n\r\n"),
        "{got}"
    );
    let client = reqwest::Client::new();
    let ranged = async |range: &str| {
        let request = client.get(format!("{url}/sub/file")).header("range", range);
        let answer = request.send().await.unwrap();
        let range = answer.headers().get("content-range").cloned().unwrap();
        let status = answer.status().as_u16();
        (
            status,
            range.to_str().unwrap().to_owned(),
            answer.text().await.unwrap(),
        )
    };
    let rest = (206, "bytes 7-9/10".to_owned(), "789".to_owned());
    assert_eq!(ranged("bytes=7-").await, rest);
    assert_eq!(ranged("bytes=-3").await, rest);
    assert_eq!(
        ranged("bytes=10-").await,
        (416, "bytes */10".to_owned(), String::new())
    );
    for path in [
        "/",
        "/sub",
        "/sub/",
        "/../secret",
        "/sub/../../secret",
        "/%2e%2e/secret",
        "/..%2fsecret",
        "/link",
        "/root/etc/passwd",
        "//etc/passwd",
        "/sub/file%00",
    ] {
        let got = raw(&url, &format!("GET {path}")).await;
        assert!(got.starts_with("HTTP/1.1 404"), "{path}: {got}");
        assert!(
            !got.contains("secret") && !got.contains("root:"),
            "{path}: {got}"
        );
    }
    for method in ["POST", "PUT", "DELETE"] {
        let got = raw(&url, &format!("{method} /sub/file")).await;
        assert!(got.starts_with("HTTP/1.1 405"), "{got}");
    }

    let ended = stopped(server).await;
    let lines = |words: &str| {
        ended
            .stderr
            .lines()
            .filter(|line| line.contains(words))
            .count()
    };
    assert_eq!(lines("GET /sub/file 200 10"), 1, "{ended}");
    assert_eq!(lines("GET /sub/file 206 3"), 2, "{ended}");
    assert_eq!(lines("GET /link 404 0"), 1, "{ended}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_that_nobody_fetched_is_not_served() {
    let home = operator();
    let directory = home.beside("served");
    write(&directory.join("file"), "0123456789");
    let serve = format!("artifacts serve --directory {}", directory.display());
    let serve = format!("{serve} --listen 127.0.0.1:0");
    home.run(&serve)
        .await
        .exited(3)
        .says(&["has no SHA256SUMS", "hakube artifacts fetch --directory"]);
    std::fs::write(
        directory.join("SHA256SUMS"),
        sha256sum(&directory, &["file"]),
    )
    .unwrap();
    std::fs::remove_file(directory.join("file")).unwrap();
    home.run(&serve)
        .await
        .exited(3)
        .says(&["lacks file", "hakube artifacts verify --directory"]);
}

/// One that doesn't end by itself ends all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ctrl_c_ends_the_server_in_the_middle_of_a_download() {
    let home = operator();
    let directory = home.beside("served");
    std::fs::create_dir_all(&directory).unwrap();
    // More than sockets hold.
    let large = std::fs::File::create(directory.join("large")).unwrap();
    large.set_len(256 << 20).unwrap();
    std::fs::write(
        directory.join("SHA256SUMS"),
        format!("{}  large\n", "0".repeat(64)),
    )
    .unwrap();
    let (server, url) = serve(&home, &directory).await;
    let mut stalled = reqwest::get(format!("{url}/large")).await.unwrap();
    assert!(stalled.chunk().await.unwrap().is_some());
    server.signal(Signal::SIGINT);
    server.end().await.succeeded();
}
