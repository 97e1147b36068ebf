//! Truncated, overwritten and deleted files: each is reported by name, and never guessed at.

use std::fs;
use std::path::{Path, PathBuf};

use super::*;

/// A cluster's whole state.
async fn filled(directory: &Path) -> Store {
    let store = Store::in_directory(directory).unwrap();
    let guard = lock(&store, "prod").await;
    guard.write(&wish(3)).await.unwrap();
    let authorities = Authorities::generate(Lifetimes::default(), Timestamp::now()).unwrap();
    guard.write(&authorities.to_documents()).await.unwrap();
    let entry = operation("a", Timestamp::UNIX_EPOCH);
    guard.journal_append(&entry).await.unwrap();
    guard.release().await.unwrap();
    store
}

/// Reads all documents, and takes the lock.
async fn use_all(store: &Store) -> Result<(), LockError> {
    store.clusters().await?;
    store.read::<Wish>("prod").await?;
    store.read::<AuthorityDocuments>("prod").await?;
    store.journal_list("prod").await?;
    store.lock_holder("prod").await?;
    lock_once(store).await
}

async fn lock_once(store: &Store) -> Result<(), LockError> {
    let guard = store.lock("prod", Holder::current("up")).await?;
    guard.release().await
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let all = tree(directory).into_keys();
    all.filter(|path| path.ends_with(".json"))
        .map(|path| directory.join(path))
        .collect()
}

#[tokio::test]
async fn a_truncated_file_is_reported_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let store = filled(directory.path()).await;
    use_all(&store).await.unwrap();
    let files = files(directory.path());
    assert_eq!(files.len(), 4, "{files:?}");
    for file in files {
        let whole = fs::read(&file).unwrap();
        let name = file.strip_prefix(directory.path()).unwrap();
        for length in 0..whole.len() {
            fs::write(&file, &whole[..length]).unwrap();
            let error = use_all(&store).await.unwrap_err().to_string();
            let named = error.contains(name.to_str().unwrap());
            assert!(named, "{} of {length} bytes: {error}", name.display());
        }
        fs::write(&file, &whole).unwrap();
    }
    use_all(&store).await.unwrap();
}

#[tokio::test]
async fn a_malformed_lock_blocks_until_it_is_deleted() {
    let directory = tempfile::tempdir().unwrap();
    let store = filled(directory.path()).await;
    let record = directory.path().join("prod/lock/holder.json");
    assert!(record.exists());
    for garbage in [
        &b"\xff\x00\xfe"[..],
        b"",
        b"[]",
        b"{\"format\": 1}",
        b"held by ada",
    ] {
        fs::write(&record, garbage).unwrap();
        let error = lock_once(&store).await.unwrap_err().to_string();
        assert!(
            error.contains("prod/lock/holder.json") && error.contains("delete"),
            "{error}"
        );
        assert_eq!(fs::read(&record).unwrap(), garbage);
    }
}

/// If generations started over, they would be below the documents', and every write would be refused.
#[tokio::test]
async fn generations_continue_after_the_lock_was_deleted() {
    let directory = tempfile::tempdir().unwrap();
    let store = filled(directory.path()).await;
    for _ in 0..3 {
        write(&store, "prod", &wish(1)).await;
    }
    fs::remove_dir_all(directory.path().join("prod/lock")).unwrap();
    write(&store, "prod", &wish(5)).await;
    assert_eq!(store.read("prod").await.unwrap(), Some(wish(5)));
    write(&store, "prod", &wish(5)).await;
    let record = fs::read_to_string(directory.path().join("prod/lock/holder.json")).unwrap();
    assert!(record.contains("\"generation\": 6"), "{record}");
}

/// By an hour, on the host that holds the lock and on another.
#[tokio::test]
async fn a_clock_that_was_set_back_breaks_no_lock_and_blocks_no_one() {
    use crate::clock::Clock;
    let directory = tempfile::tempdir().unwrap();
    let now = filled(directory.path()).await;
    let behind = now
        .clone()
        .with_clock(Clock::ahead(-SignedDuration::from_hours(1)));
    let ahead = now
        .clone()
        .with_clock(Clock::ahead(SignedDuration::from_hours(1)));

    let held = lock(&now, "prod").await;
    let error = lock_once(&behind).await.unwrap_err();
    assert!(matches!(error, LockError::Held { .. }), "{error}");
    held.write(&wish(1)).await.unwrap();
    held.release().await.unwrap();

    // A record written in the future, according to the clock, doesn't block.
    write(&ahead, "prod", &wish(2)).await;
    write(&behind, "prod", &wish(3)).await;
    assert_eq!(now.read("prod").await.unwrap(), Some(wish(3)));
}
