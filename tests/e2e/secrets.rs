//! Where secrets may not be.

use crate::support::{Emulator, Home};
use reqwest::StatusCode;
use serde_json::Value;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// A secret, by a part of it that nothing else has.
pub struct Secret {
    pub name: String,
    pub part: String,
}

/// Every file below a directory that is one.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap().map(Result::unwrap) {
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            found.extend(files(&entry.path()));
        } else if kind.is_file() {
            found.push(entry.path());
        }
    }
    found
}

/// The line of a PEM key that has the key proper.
fn part_of_key(pem: &str) -> String {
    // An Ed25519 key is the first of two lines, the second of which is the public half; in others the
    // first is much the same in all.
    let line = if pem.lines().count() == 4 { 1 } else { 2 };
    pem.lines()
        .nth(line)
        .unwrap_or_else(|| panic!("a PEM file of three lines or more"))
        .to_owned()
}

/// The authorities' keys, which the store has.
pub fn authorities(home: &Home) -> Vec<Secret> {
    let text = std::fs::read_to_string(home.path().join("state/kubernetes/pki.json")).unwrap();
    let documents: Value = serde_json::from_str(&text).unwrap();
    let keys = documents
        .as_object()
        .unwrap()
        .iter()
        .filter(|(name, _)| name.ends_with(".key"));
    keys.map(|(name, pem)| Secret {
        name: name.clone(),
        part: part_of_key(pem.as_str().unwrap()),
    })
    .collect()
}

/// The machines' own keys.
pub fn machines(home: &Home) -> Vec<Secret> {
    let keys = files(&home.path().join("local/machines")).into_iter();
    let keys = keys.filter(|file| file.extension().is_some_and(|extension| extension == "key"));
    keys.map(|file| Secret {
        name: file.display().to_string(),
        part: part_of_key(&std::fs::read_to_string(&file).unwrap()),
    })
    .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_are_in_no_metadata_no_argument_no_log_and_no_readable_file() {
    let home = Home::new();
    let mut said = String::new();
    for command in [
        "up --nodes 1 -o json",
        "replicate",
        "status",
        "env",
        "local machines",
    ] {
        let outcome = home.run(command).await.succeeded();
        said += &(outcome.stdout + &outcome.stderr);
    }
    let emulator = Emulator::of(&home).await;
    let mut secrets = authorities(&home);
    secrets.extend(machines(&home));
    assert!(
        secrets.len() > 5 + 2 * 5,
        "authorities' keys and two replicas'"
    );
    secrets.push(Secret {
        name: "the emulator's token".to_owned(),
        part: emulator.token().to_owned(),
    });

    let mut public: Vec<(String, String)> = vec![("what was printed".to_owned(), said)];
    for instance in emulator.all("instances").await {
        public.push((
            format!("metadata of {}", instance["name"]),
            instance["metadata"].to_string(),
        ));
    }
    for template in emulator.get("global/instanceTemplates").await["items"]
        .as_array()
        .into_iter()
        .flatten()
    {
        public.push((
            format!("template {}", template["name"]),
            template.to_string(),
        ));
    }
    for process in home.processes() {
        public.push((format!("arguments of pid {}", process.pid), process.command));
    }
    for file in files(&home.path())
        .into_iter()
        .filter(|file| file.extension().is_some_and(|e| e == "log"))
    {
        public.push((
            file.display().to_string(),
            String::from_utf8_lossy(&std::fs::read(&file).unwrap()).into_owned(),
        ));
    }
    assert!(
        public
            .iter()
            .any(|(place, _)| place.ends_with("etcd.service.log")),
        "units' logs are among them"
    );
    // "-----BEGIN PRIVATE KEY-----" and "-----BEGIN EC PRIVATE KEY-----", plain and in base64.
    let marks = [
        "PRIVATE KEY-----",
        "LS0tLS1CRUdJTiBQUklWQVRFIEtFWS0tLS0t",
        "LS0tLS1CRUdJTiBFQyBQUklWQVRFIEtFWS0tLS0t",
    ];
    for (place, text) in &public {
        assert!(
            marks.iter().all(|mark| !text.contains(mark)),
            "a private key is in {place}"
        );
        for secret in &secrets {
            assert!(
                !text.contains(&secret.part),
                "{} is in {place}",
                secret.name
            );
        }
    }

    assert_unreadable(&home.kubeconfig());
    for file in files(&home.path()) {
        let text = String::from_utf8_lossy(&std::fs::read(&file).unwrap()).into_owned();
        let holds_one = secrets.iter().any(|secret| text.contains(&secret.part));
        if holds_one || marks.iter().any(|mark| text.contains(mark)) {
            assert_unreadable(&file);
        }
    }
}

#[track_caller]
fn assert_unreadable(file: &Path) {
    let mode = std::fs::metadata(file).unwrap().permissions().mode() & 0o777;
    assert_eq!(
        mode & 0o077,
        0,
        "{} holds a secret and has mode {mode:o}",
        file.display()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn authorities_keys_stay_in_the_store_but_for_the_one_that_signs_for_kubelets() {
    let home = Home::new();
    home.run("up").await.succeeded();
    home.run("replicate").await.succeeded();
    let on_machines = files(&home.path().join("local"));
    // Service-account tokens are signed on every replica; that key is no authority's.
    let may_go = ["kubelet-ca.key", "service-account.key"];
    for secret in authorities(&home) {
        let holders = on_machines.iter().filter(|file| {
            String::from_utf8_lossy(&std::fs::read(file).unwrap()).contains(&secret.part)
        });
        let expected = if may_go.contains(&secret.name.as_str()) {
            2
        } else {
            0
        };
        assert_eq!(
            holders.count(),
            expected,
            "files on machines with {}",
            secret.name
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_local_clouds_api_wants_its_token() {
    let home = Home::new();
    home.run("local start").await.succeeded();
    let emulator = Emulator::of(&home).await;
    for path in [
        "zones",
        "aggregated/instances",
        "no/such/path",
        "../../../local/v1/machines",
    ] {
        for token in [None, Some(""), Some("guessed"), emulator.token().get(1..)] {
            let status = emulator.status_with(path, token).await;
            assert_eq!(status, StatusCode::UNAUTHORIZED, "{path} with {token:?}");
        }
    }
    assert_eq!(
        emulator.status_with("zones", Some(emulator.token())).await,
        StatusCode::OK
    );
    assert_unreadable(&home.path().join("local/token"));
}

/// Everything that hakube keeps, as text.
fn kept(home: &Home) -> String {
    let mut text = String::new();
    let mut todo = vec![home.path().join("state")];
    while let Some(directory) = todo.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                todo.push(path);
            } else {
                text.push_str(&std::fs::read_to_string(path).unwrap());
            }
        }
    }
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_are_encrypted_are_kept_nowhere_in_the_clear_and_can_be_again() {
    use age::secrecy::ExposeSecret as _;
    use std::os::unix::fs::PermissionsExt as _;
    let mut home = Home::new();
    let identity = age::x25519::Identity::generate();
    let file = home.beside("identity");
    std::fs::write(&file, identity.to_string().expose_secret()).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let recipient = identity.to_public().to_string();
    let file = file.to_str().unwrap().to_owned();

    // Written so, they would be lost.
    home.run(&format!("up --state-recipient {recipient}"))
        .await
        .exited(2)
        .says(&["couldn't be read again", "HAKUBE_STATE_IDENTITY"]);

    home.set("HAKUBE_STATE_RECIPIENTS", &recipient);
    home.set("HAKUBE_STATE_IDENTITY", &file);
    home.run("up").await.succeeded();
    home.run("replicate").await.succeeded();
    let text = kept(&home);
    assert!(!text.contains("PRIVATE KEY"), "{text}");
    assert!(text.contains("BEGIN AGE ENCRYPTED FILE"), "{text}");

    // Somebody without the key learns which it wants.
    for command in ["status", "repair", "replicate", "state decrypt"] {
        home.run_with(&[("HAKUBE_STATE_IDENTITY", "/dev/null")], command)
            .await
            .exited(2)
            .says(&["pki.json", "/dev/null"]);
    }
    home.run("state decrypt").await.succeeded();
    assert!(kept(&home).contains("PRIVATE KEY"));
    home.run("repair")
        .await
        .succeeded()
        .says(&["in the clear", "hakube state encrypt"]);
    home.run("state encrypt").await.succeeded();
    assert!(!kept(&home).contains("PRIVATE KEY"));
    home.run("down --yes").await.succeeded();
}
