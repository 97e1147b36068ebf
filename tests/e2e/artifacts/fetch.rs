//! Mirrors are fetched, completely or in part, and verified.

use super::{
    KUBELET, Mirror, PAUSE, RUNC, files, operator, serve, sha256sum, stopped, sums_of, write,
};
use crate::support::Home;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;

const WITHOUT: &str = "HAKUBE_TESTS_WITHOUT_KUBERNETES";

/// Hard links to the real mirror's programs, and to those of its images that are needed here.
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
    // A new file: the old one is a hard link to the real mirror's.
    std::fs::remove_file(mirror.join("SHA256SUMS")).unwrap();
    write(
        &mirror.join("images/images.json"),
        &json!(pause).to_string(),
    );
    std::fs::write(mirror.join("SHA256SUMS"), sums_of(&mirror)).unwrap();
    Some(mirror)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mirror_is_fetched_verified_served_and_refetched() {
    let mut home = operator();
    let Some(source) = kubernetes(&home) else {
        return;
    };
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
        let fetched = fetched.says(&["is complete: 10 files fetched", "downloaded kubelet"]);
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
        // sha256sum accepts the mirror's list and the publishers' lists.
        sha256sum(&into, &["--check", "--strict", "--quiet", "SHA256SUMS"]);
        sha256sum(
            &into.join("etcd/v3.6.16"),
            &["--check", "--strict", "--quiet", "SHA256SUMS"],
        );
        // Readable for any web server's user.
        assert!(files(&into).values().all(|mode| *mode == 0o644));
        assert_eq!(into.metadata().unwrap().permissions().mode() & 0o777, 0o755);
        let text = std::fs::read_to_string(into.join("SHA256SUMS")).unwrap();
        // Without the download URLs, which differ.
        let lines = text
            .lines()
            .filter(|line| !line.ends_with("artifacts.json"));
        sums.push(lines.map(str::to_owned).collect::<Vec<_>>());
        from = into;
    }
    assert_eq!(sums[0], sums[1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_run_resumes_partial_files_and_skips_complete_ones() {
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
    again.says(&["0 files fetched, 10 already existed"]);
    let asked = mirror.asked.lock().unwrap().clone();
    assert_eq!(asked, [("images/images.json".to_owned(), None)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_or_missing_files_of_a_mirror_are_named_and_the_rest_is_fetched() {
    let home = operator();
    let mirror = Mirror::new(&home).await;
    let into = home.beside("into");
    let good = std::fs::read(mirror.directory.join(KUBELET)).unwrap();
    write(&mirror.directory.join(KUBELET), "something else");
    std::fs::rename(mirror.directory.join(RUNC), home.beside("runc")).unwrap();
    let fetched = home.run(&mirror.fetch(&into)).await.exited(1);
    fetched.says(&[
        "2 of 10 artifacts are missing",
        "kubelet 1.36.3 (amd64): ",
        "has the wrong content",
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
    // The lists have exactly the fetched files.
    home.run(&format!("artifacts verify --directory {}", into.display()))
        .await
        .succeeded();

    std::fs::write(mirror.directory.join(KUBELET), good).unwrap();
    std::fs::rename(home.beside("runc"), mirror.directory.join(RUNC)).unwrap();
    let fetched = home.run(&mirror.fetch(&into)).await.succeeded();
    fetched.says(&["2 files fetched, 8 already existed"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_reported_with_the_file_and_leaves_no_partial_file() {
    let home = operator();
    let mirror = Mirror::new(&home).await;
    let into = home.beside("into");
    let full = home.run_where_no_file_can_grow(&mirror.fetch(&into)).await;
    full.exited(1).says(&[
        "kube-apiserver 1.36.3 (amd64): could not write",
        "free some space",
    ]);
    assert!(
        !files(&into)
            .keys()
            .any(|path| path.ends_with("kube-apiserver"))
    );
    home.run(&mirror.fetch(&into)).await.succeeded();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mirror_without_tls_needs_the_operators_own_sums() {
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
async fn verify_finds_each_kind_of_damage() {
    let home = operator();
    let mirror = Mirror::new(&home).await;
    let into = home.beside("into");
    home.run(&mirror.fetch(&into)).await.succeeded();
    let verify = format!("artifacts verify -o json --directory {}", into.display());
    let good = home.run(&verify).await.succeeded().json();
    assert_eq!((&good["ok"], &good["findings"]), (&json!(true), &json!([])));

    let at = |path: &str| into.join(path);
    let scheduler = "kubernetes/v1.36.3/bin/linux/amd64/kube-scheduler";
    let proxy = "kubernetes/v1.36.3/bin/linux/amd64/kube-proxy";
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
    bad.says(&["6 files in", "hakube artifacts fetch"]);
}
