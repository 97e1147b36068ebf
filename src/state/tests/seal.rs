//! Keys encrypted at rest.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use age::secrecy::ExposeSecret as _;
use age::x25519::Identity;

use super::*;

/// A file that its owner alone can read.
fn private(path: PathBuf, text: &str) -> PathBuf {
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path
}

/// A key pair: to be encrypted to, and the file that opens it.
fn key_pair(directory: &Path, name: &str) -> (String, PathBuf) {
    let identity = Identity::generate();
    let file = private(directory.join(name), identity.to_string().expose_secret());
    (identity.to_public().to_string(), file)
}

fn keys() -> AuthorityDocuments {
    Authorities::generate(Lifetimes::default(), Timestamp::now())
        .unwrap()
        .to_documents()
}

async fn read(directory: &Path, seal: &Seal) -> Result<Option<AuthorityDocuments>> {
    let store = Store::in_directory(directory).unwrap().sealed(seal.clone());
    store.read("prod").await
}

async fn write_sealed(directory: &Path, seal: &Seal, keys: &AuthorityDocuments) {
    let store = Store::in_directory(directory).unwrap().sealed(seal.clone());
    let lock = lock(&store, "prod").await;
    lock.write(&wish(1)).await.unwrap();
    lock.write(keys).await.unwrap();
    lock.release().await.unwrap();
}

fn stored(directory: &Path) -> String {
    fs::read_to_string(directory.join("prod/pki.json")).unwrap()
}

#[tokio::test]
async fn keys_are_opened_by_each_recipient_and_nobody_else() {
    let directory = tempfile::tempdir().unwrap();
    let [(ada, adas), (ben, bens), (_, evas)] =
        ["ada", "ben", "eva"].map(|name| key_pair(directory.path(), name));
    let state = directory.path().join("state");
    let seal = Seal {
        recipients: vec![ada, ben],
        identities: vec![adas.clone()],
        passphrases: None,
    };
    let keys = keys();
    write_sealed(&state, &seal, &keys).await;

    let text = stored(&state);
    assert!(
        !text.contains("PRIVATE KEY") && !text.contains("CERTIFICATE"),
        "{text}"
    );
    // Who takes the lock over must see and write these without any key.
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (&document["format"], &document["fence"]),
        (&2.into(), &1.into())
    );
    let unkeyed = Store::in_directory(&state).unwrap();
    drop(lock(&unkeyed, "prod").await);

    for file in [&adas, &bens] {
        let seal = Seal {
            identities: vec![evas.clone(), file.clone()],
            ..Seal::default()
        };
        assert_eq!(read(&state, &seal).await.unwrap(), Some(keys.clone()));
    }
    let nobody = read(&state, &Seal::default())
        .await
        .unwrap_err()
        .to_string();
    assert!(nobody.contains("set HAKUBE_STATE_IDENTITY"), "{nobody}");
    let eva = Seal {
        identities: vec![evas.clone()],
        ..Seal::default()
    };
    let error = read(&state, &eva).await.unwrap_err().to_string();
    assert!(
        error.contains("prod/pki.json") && error.contains(evas.to_str().unwrap()),
        "{error}"
    );
}

#[tokio::test]
async fn a_passphrase_opens_what_was_encrypted_to_it_also_after_it_was_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    let seal = |name: &str, text: &str| Seal {
        passphrases: Some(private(directory.path().join(name), text)),
        ..Seal::default()
    };
    let keys = keys();
    write_sealed(&state, &seal("first", "correct horse\n"), &keys).await;
    assert!(!stored(&state).contains("PRIVATE KEY"));

    let both = seal("both", "battery staple\ncorrect horse\n");
    assert_eq!(read(&state, &both).await.unwrap(), Some(keys.clone()));
    write_sealed(&state, &both, &keys).await;
    let second = seal("second", "battery staple\n");
    assert_eq!(read(&state, &second).await.unwrap(), Some(keys));
    let error = read(&state, &seal("first", "correct horse\n"))
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            StateError::Sealed {
                source: SealError::WrongKey { .. },
                ..
            }
        ),
        "{error}"
    );
    assert!(!error.to_string().contains("horse"), "{error}");
    let error = read(&state, &Seal::default())
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("set HAKUBE_STATE_PASSPHRASE_FILE"),
        "{error}"
    );
}

/// They are the only copy.
#[tokio::test]
async fn keys_are_never_encrypted_so_that_they_are_lost() {
    let directory = tempfile::tempdir().unwrap();
    let (recipient, _) = key_pair(directory.path(), "ada");
    let (_, others) = key_pair(directory.path(), "eva");
    let keys = keys();
    for identities in [Vec::new(), vec![others]] {
        let state = directory.path().join("state");
        write_sealed(&state, &Seal::default(), &keys).await;
        let before = stored(&state);
        let seal = Seal {
            recipients: vec![recipient.clone()],
            identities,
            passphrases: None,
        };
        let store = Store::in_directory(&state).unwrap().sealed(seal);
        assert!(
            store
                .is_exposed::<AuthorityDocuments>("prod")
                .await
                .unwrap()
        );
        let guard = lock(&store, "prod").await;
        let error = guard.write(&keys).await.unwrap_err().to_string();
        assert!(error.contains("couldn't be read again"), "{error}");
        guard.release().await.unwrap();
        let found = read(&state, &Seal::default()).await.unwrap();
        assert_eq!((found, stored(&state)), (Some(keys.clone()), before));
    }
}

#[tokio::test]
async fn files_of_keys_that_will_not_do_are_named_and_what_is_in_them_is_not_shown() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    let (recipient, good) = key_pair(directory.path(), "good");
    let seal = |identity: PathBuf| Seal {
        recipients: vec![recipient.clone()],
        identities: vec![identity],
        passphrases: None,
    };
    write_sealed(&state, &seal(good.clone()), &keys()).await;

    let readable = directory.path().join("readable");
    fs::copy(&good, &readable).unwrap();
    fs::set_permissions(&readable, fs::Permissions::from_mode(0o644)).unwrap();
    for (file, says) in [
        (directory.path().join("absent"), "No such file"),
        (readable, "chmod 600"),
        (
            private(directory.path().join("text"), "s3cr3t\n"),
            "non-identity data on line 1",
        ),
        (
            private(directory.path().join("bytes"), "\u{1}\u{0}"),
            "line 1",
        ),
    ] {
        let error = read(&state, &seal(file.clone()))
            .await
            .unwrap_err()
            .to_string();
        let named = error.contains(file.to_str().unwrap()) && error.contains(says);
        assert!(named && !error.contains("s3cr3t"), "{error}");
    }
}

#[tokio::test]
async fn what_was_damaged_is_told_and_never_half_opened() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    let (recipient, file) = key_pair(directory.path(), "ada");
    let seal = Seal {
        recipients: vec![recipient],
        identities: vec![file],
        passphrases: None,
    };
    write_sealed(&state, &seal, &keys()).await;
    let document: serde_json::Value = serde_json::from_str(&stored(&state)).unwrap();
    let text = document["age"].as_str().unwrap();
    // Every length is slow; these hit header, nonce, payload and the last line.
    for length in (0..text.len()).step_by(97).chain([text.len() - 40]) {
        let mut damaged = document.clone();
        damaged["age"] = text[..length].into();
        fs::write(state.join("prod/pki.json"), damaged.to_string()).unwrap();
        let error = read(&state, &seal).await.unwrap_err();
        assert!(
            matches!(error, StateError::Sealed { .. }),
            "{length}: {error}"
        );
    }
    for age in [serde_json::json!(7), serde_json::Value::Null] {
        let mut damaged = document.clone();
        damaged["age"] = age;
        fs::write(state.join("prod/pki.json"), damaged.to_string()).unwrap();
        read(&state, &seal).await.unwrap_err();
    }
}
