//! Files that were cut off, overwritten or deleted: each is told by name, none is guessed at.

use std::fs;
use std::path::{Path, PathBuf};

use super::*;
use crate::cluster::fixtures::replicas;
use crate::run::Stored;

/// A cluster's whole state.
async fn filled(directory: &Path) -> Store {
    let store = Store::in_directory(directory).unwrap();
    let guard = lock(&store, "prod").await;
    let stored = Stored {
        intent: replicas(&["", "abc", "def"]),
        unfinished: None,
    };
    guard.write(&stored).await.unwrap();
    let authorities = Authorities::generate(Lifetimes::default(), Timestamp::now()).unwrap();
    guard.write(&authorities.to_documents()).await.unwrap();
    let entry = operation("a", Timestamp::UNIX_EPOCH);
    guard.journal_append(&entry).await.unwrap();
    guard.release().await.unwrap();
    store
}

/// Reads everything, and takes the lock.
async fn use_all(store: &Store) -> Result<(), LockError> {
    store.clusters().await?;
    store.read::<Stored>("prod").await?;
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
async fn a_file_that_was_cut_off_anywhere_is_told_by_name() {
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
async fn a_lock_that_is_garbage_is_nobodys_until_somebody_deletes_it() {
    let directory = tempfile::tempdir().unwrap();
    let store = filled(directory.path()).await;
    let record = directory.path().join("prod/lock/00000000000000000001.json");
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
            error.contains("prod/lock/00000000000000000001.json") && error.contains("delete"),
            "{error}"
        );
        assert_eq!(fs::read(&record).unwrap(), garbage);
    }
}

/// Generations that started over would be below those of the documents, and every write refused.
#[tokio::test]
async fn a_lock_whose_records_were_deleted_goes_on_where_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let store = filled(directory.path()).await;
    for _ in 0..3 {
        write(&store, "prod", &wish(1)).await;
    }
    fs::remove_dir_all(directory.path().join("prod/lock")).unwrap();
    write(&store, "prod", &wish(5)).await;
    assert_eq!(store.read("prod").await.unwrap(), Some(wish(5)));
    let records = tree(&directory.path().join("prod/lock"));
    assert!(
        records.contains_key("00000000000000000005.json"),
        "{records:?}"
    );
}

/// By an hour, on the host that holds the lock and on another.
#[tokio::test]
async fn a_clock_that_was_set_back_lets_no_two_in_and_nobody_out() {
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

    // What the clock says was written in the future is no obstacle.
    write(&ahead, "prod", &wish(2)).await;
    write(&behind, "prod", &wish(3)).await;
    assert_eq!(now.read("prod").await.unwrap(), Some(wish(3)));
}
