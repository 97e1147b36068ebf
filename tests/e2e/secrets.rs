//! Places where secrets must not be.

use crate::support::{Emulator, Home};
use reqwest::StatusCode;
use serde_json::Value;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// A secret, identified by a unique part of it.
pub struct Secret {
    pub name: String,
    pub part: String,
}

/// Every file below a directory, if it exists.
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

/// The line of a key's text with the actual key.
fn part_of_key(text: &str) -> String {
    let line = match text.lines().count() {
        // Not PEM: only the key.
        1 => 0,
        // An Ed25519 key is in the first of two lines; the second is the public half.
        4 => 1,
        // In other keys the first line is nearly constant.
        _ => 2,
    };
    text.lines().nth(line).unwrap().to_owned()
}

/// The authorities' keys in the store.
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

    let mut public: Vec<(String, String)> = vec![("the output".to_owned(), said)];
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
    // "-----BEGIN PRIVATE KEY-----" and "-----BEGIN EC PRIVATE KEY-----", in plain text and in base64.
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
async fn only_the_authority_for_kubelets_leaves_the_store() {
    let home = Home::new();
    home.run("up").await.succeeded();
    home.run("replicate").await.succeeded();
    let on_machines = files(&home.path().join("local"));
    // Every replica signs service-account tokens and encrypts Secrets; those keys belong to no authority.
    let may_go = ["kubelet-ca.key", "service-account.key", "encryption.key"];
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
async fn the_local_clouds_api_needs_its_token() {
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

/// Everything that hakube stores, as text.
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
async fn keys_can_be_encrypted_and_decrypted_again() {
    use std::os::unix::fs::PermissionsExt as _;
    let mut home = Home::new();
    let identity = hakube_age::Identity::generate().unwrap();
    let file = home.beside("identity");
    std::fs::write(&file, identity.expose().as_str()).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let recipient = identity.to_public().to_string();
    let file = file.to_str().unwrap().to_owned();

    // Encrypted without an identity, they could never be read again.
    home.run(&format!("up --state-recipient {recipient}"))
        .await
        .exited(2)
        .says(&["could not be decrypted again", "HAKUBE_STATE_IDENTITY"]);

    home.set("HAKUBE_STATE_RECIPIENTS", &recipient);
    home.set("HAKUBE_STATE_IDENTITY", &file);
    home.run("up").await.succeeded();
    home.run("replicate").await.succeeded();
    let text = kept(&home);
    assert!(!text.contains("PRIVATE KEY"), "{text}");
    assert!(text.contains("BEGIN AGE ENCRYPTED FILE"), "{text}");

    // Without the key, the error names the required one.
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
        .says(&["hakube state encrypt"]);
    home.run("state encrypt").await.succeeded();
    assert!(!kept(&home).contains("PRIVATE KEY"));
    home.run("down --yes").await.succeeded();
}
