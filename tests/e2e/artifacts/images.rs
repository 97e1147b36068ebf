//! Images from a registry, or provided by the operator.

use super::{KUBELET, Mirror, PAUSE, files, operator, write};
use axum::Router;
use axum::http::header::{CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode, Uri};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::{Arc, Mutex};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn images_that_no_mirror_has_are_exported_manually() {
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
        "1 of 10 artifacts are missing",
        "registry.k8s.io/pause 3.10.2 (amd64)",
        &command,
    ]);
    assert!(into.join(KUBELET).exists(), "all else was fetched");

    write(&into.join(PAUSE), "not an archive");
    home.run(&mirror.fetch(&into))
        .await
        .exited(1)
        .says(&[PAUSE, "rm "]);

    // skopeo's docker-archive format.
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

/// A registry with one image for two architectures, which requires a token.
struct Registry {
    address: SocketAddr,
    layer: Arc<Mutex<Vec<u8>>>,
}

impl Registry {
    async fn new() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let digest = |content: &[u8]| format!("sha256:{:x}", Sha256::digest(content));
        let described = |kind: &str, content: &[u8]| {
            json!({
                "mediaType": format!("application/vnd.oci.image.{kind}"),
                "digest": digest(content),
                "size": content.len(),
            })
        };
        let layer = b"a layer".repeat(1000);
        let mut content = BTreeMap::new();
        let mut manifests = Vec::new();
        for arch in ["arm64", "amd64"] {
            let config = json!({"architecture": arch, "os": "linux"}).to_string();
            let manifest = json!({
                "schemaVersion": 2,
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": described("config.v1+json", config.as_bytes()),
                "layers": [described("layer.v1.tar", &layer)],
            });
            let manifest = manifest.to_string();
            let mut entry = described("manifest.v1+json", manifest.as_bytes());
            entry["platform"] = json!({"architecture": arch, "os": "linux"});
            manifests.push(entry);
            content.insert(format!("blobs/{}", digest(config.as_bytes())), config);
            content.insert(
                format!("manifests/{}", digest(manifest.as_bytes())),
                manifest,
            );
        }
        let index = json!({"schemaVersion": 2, "manifests": manifests}).to_string();
        content.insert("manifests/3.10.2".to_owned(), index);
        let blob = format!("blobs/{}", digest(&layer));
        let layer = Arc::new(Mutex::new(layer));
        let served = Arc::clone(&layer);
        let files = Router::new().fallback(async move |uri: Uri, headers: HeaderMap| {
            if uri.path() == "/token" {
                assert_eq!(uri.query(), Some("service=s&scope=repository%3Ak8s%2Fpause%3Apull"));
                let token = json!({"token": "everybodys", "access_token": "everybodys"}).to_string();
                return (StatusCode::OK, HeaderMap::new(), token.into_bytes());
            }
            let authorized = headers.get("authorization").is_some_and(|value| value == "Bearer everybodys");
            if !authorized {
                let challenge = format!(
                    r#"Bearer realm="http://{address}/token",service="s",scope="repository:k8s/pause:pull""#
                );
                let challenge = HeaderMap::from_iter([(WWW_AUTHENTICATE, challenge.parse().unwrap())]);
                return (StatusCode::UNAUTHORIZED, challenge, Vec::new());
            }
            let path = uri.path().strip_prefix("/v2/k8s/pause/").unwrap();
            let found = if path == blob {
                Some(served.lock().unwrap().clone())
            } else {
                content.get(path).map(|text| text.clone().into_bytes())
            };
            let kind = if path.contains("sha256") { "manifest" } else { "index" };
            let kind = format!("application/vnd.oci.image.{kind}.v1+json");
            let kind = HeaderMap::from_iter([(CONTENT_TYPE, kind.parse().unwrap())]);
            match found {
                Some(found) => (StatusCode::OK, kind, found),
                None => (StatusCode::NOT_FOUND, kind, Vec::new()),
            }
        });
        tokio::spawn(async move { axum::serve(listener, files).await });
        Self { address, layer }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_mirror_images_are_pulled_from_their_registry() {
    let mut home = operator();
    let mirror = Mirror::new(&home).await;
    let registry = Registry::new().await;
    for (name, directory) in [
        ("KUBERNETES", "kubernetes"),
        ("ETCD", "etcd"),
        ("CONTAINERD", "containerd"),
        ("RUNC", "runc"),
        ("CNI", "cni-plugins"),
    ] {
        home.set(
            &format!("HAKUBE_{name}_RELEASES"),
            &format!("{}/{directory}", mirror.url),
        );
    }
    let repository = format!("{}/k8s", registry.address);
    home.set("HAKUBE_IMAGE_REPOSITORY", &repository);
    let into = home.beside("into");
    let fetch = format!(
        "artifacts fetch --directory {} --sha256sums {}",
        into.display(),
        mirror.directory.join("SHA256SUMS").display()
    );
    let good = std::mem::replace(
        &mut *registry.layer.lock().unwrap(),
        b"something else".to_vec(),
    );
    let failed = home.run(&fetch).await.exited(1);
    failed.says(&[
        "1 of 10 artifacts are missing",
        "has the wrong content",
        "docker-archive:",
    ]);
    assert!(!files(&into).keys().any(|path| path.ends_with(".tar")));
    *registry.layer.lock().unwrap() = good;
    home.run(&fetch)
        .await
        .succeeded()
        .says(&["1 files fetched, 9 already existed"]);
    home.run(&fetch)
        .await
        .succeeded()
        .says(&["0 files fetched, 10 already existed"]);
    home.run(&format!("artifacts verify --directory {}", into.display()))
        .await
        .succeeded();

    let list = std::fs::read(into.join("images/images.json")).unwrap();
    let list: Value = serde_json::from_slice(&list).unwrap();
    let name = format!("{repository}/pause:3.10.2");
    assert_eq!(list[0]["name"], *name);
    // tar can read it, and each blob's name is its digest.
    let unpacked = home.beside("unpacked");
    std::fs::create_dir(&unpacked).unwrap();
    let tar = Command::new("tar")
        .args(["--extract", "--file"])
        .arg(into.join("images").join(list[0]["file"].as_str().unwrap()))
        .current_dir(&unpacked)
        .output()
        .unwrap();
    assert!(tar.status.success() && tar.stderr.is_empty(), "{tar:?}");
    let index: Value =
        serde_json::from_slice(&std::fs::read(unpacked.join("index.json")).unwrap()).unwrap();
    assert_eq!(
        index["manifests"][0]["annotations"]["io.containerd.image.name"],
        *name
    );
    let blob = |descriptor: &Value| {
        let digest = descriptor["digest"]
            .as_str()
            .unwrap()
            .strip_prefix("sha256:")
            .unwrap();
        let content = std::fs::read(unpacked.join("blobs/sha256").join(digest)).unwrap();
        assert_eq!(format!("{:x}", Sha256::digest(&content)), digest);
        content
    };
    let manifest: Value = serde_json::from_slice(&blob(&index["manifests"][0])).unwrap();
    let config: Value = serde_json::from_slice(&blob(&manifest["config"])).unwrap();
    assert_eq!(config["architecture"], "amd64");
    assert_eq!(
        blob(&manifest["layers"][0]),
        *registry.layer.lock().unwrap()
    );
}
