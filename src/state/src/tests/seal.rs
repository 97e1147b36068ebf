//! Keys encrypted at rest.

use hakube_settings::SealKeys;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use hakube_age::Identity;

use super::*;

/// Writes a file that only its owner can read.
fn private(path: PathBuf, text: &str) -> PathBuf {
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path
}

/// A key pair: the public key, and the private key's file.
fn key_pair(directory: &Path, name: &str) -> (String, PathBuf) {
    let identity = Identity::generate().unwrap();
    let file = private(directory.join(name), &identity.expose());
    (identity.to_public().to_string(), file)
}

fn keys() -> AuthorityDocuments {
    Authorities::generate(Lifetimes::default(), Timestamp::now())
        .unwrap()
        .to_documents()
}

async fn read(directory: &Path, keys: &SealKeys) -> Result<Option<AuthorityDocuments>> {
    let store = Store::in_directory(directory).unwrap().sealed(keys.clone());
    store.read("prod").await
}

async fn write_sealed(directory: &Path, seal: &SealKeys, keys: &AuthorityDocuments) {
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
async fn keys_are_decrypted_by_each_recipient_only() {
    let directory = tempfile::tempdir().unwrap();
    let [(ada, adas), (ben, bens), (_, evas)] =
        ["ada", "ben", "eva"].map(|name| key_pair(directory.path(), name));
    let state = directory.path().join("state");
    let seal = SealKeys {
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
    // A process that takes over the lock must be able to read and write these without a key.
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (&document["format"], &document["fence"]),
        (&3.into(), &1.into())
    );
    let unkeyed = Store::in_directory(&state).unwrap();
    drop(lock(&unkeyed, "prod").await);

    for file in [&adas, &bens] {
        let seal = SealKeys {
            identities: vec![evas.clone(), file.clone()],
            ..SealKeys::default()
        };
        assert_eq!(read(&state, &seal).await.unwrap(), Some(keys.clone()));
    }
    let nobody = read(&state, &SealKeys::default())
        .await
        .unwrap_err()
        .to_string();
    assert!(nobody.contains("set HAKUBE_STATE_IDENTITY"), "{nobody}");
    let eva = SealKeys {
        identities: vec![evas.clone()],
        ..SealKeys::default()
    };
    let error = read(&state, &eva).await.unwrap_err().to_string();
    assert!(
        error.contains("prod/pki.json") && error.contains(evas.to_str().unwrap()),
        "{error}"
    );
}

#[tokio::test]
async fn a_replaced_passphrase_still_decrypts() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    let seal = |name: &str, text: &str| SealKeys {
        passphrases: Some(private(directory.path().join(name), text)),
        ..SealKeys::default()
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
    let error = read(&state, &SealKeys::default())
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("set HAKUBE_STATE_PASSPHRASE_FILE"),
        "{error}"
    );
}

/// The keys are the only copy.
#[tokio::test]
async fn keys_are_never_encrypted_irrecoverably() {
    let directory = tempfile::tempdir().unwrap();
    let (recipient, _) = key_pair(directory.path(), "ada");
    let (_, others) = key_pair(directory.path(), "eva");
    let keys = keys();
    for identities in [Vec::new(), vec![others]] {
        let state = directory.path().join("state");
        write_sealed(&state, &SealKeys::default(), &keys).await;
        let before = stored(&state);
        let seal = SealKeys {
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
        assert!(error.contains("could not be decrypted again"), "{error}");
        guard.release().await.unwrap();
        let found = read(&state, &SealKeys::default()).await.unwrap();
        assert_eq!((found, stored(&state)), (Some(keys.clone()), before));
    }
}

#[tokio::test]
async fn unusable_key_files_are_reported_without_their_content() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    let (recipient, good) = key_pair(directory.path(), "good");
    let seal = |identity: PathBuf| SealKeys {
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
            "line 1 isn't an age private key",
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
async fn damage_is_reported_and_never_half_decrypted() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    let (recipient, file) = key_pair(directory.path(), "ada");
    let seal = SealKeys {
        recipients: vec![recipient],
        identities: vec![file],
        passphrases: None,
    };
    write_sealed(&state, &seal, &keys()).await;
    let mut document: serde_json::Value = serde_json::from_str(&stored(&state)).unwrap();
    // As before checksums existed, which would find the damage first.
    document["format"] = 2.into();
    for member in ["revision", "sha256"] {
        document.as_object_mut().unwrap().remove(member).unwrap();
    }
    let text = document["age"].as_str().unwrap();
    // Testing every length is slow; these hit header, nonce, payload and the last line.
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
