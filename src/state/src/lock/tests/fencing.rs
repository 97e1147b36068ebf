//! A process that lost the lock writes nothing more, not even a write already in progress.

use serde::{Deserialize, Serialize};

use super::*;
use crate::document::Envelope;
use crate::lock::fence::Damaged;
use crate::store::document_key;
use crate::{Document, Operation};

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Wish {
    replicas: u32,
}

impl Document for Wish {
    const NAME: &'static str = "intent";
    const FORMAT: u32 = 1;
}

fn wish(replicas: u32) -> Wish {
    Wish { replicas }
}

fn assert_lost(result: Result<(), LockError>) {
    assert!(matches!(result, Err(LockError::Lost { .. })), "{result:?}");
}

/// A write by a process that checked the lock before it was lost.
async fn write_late(guard: &LockGuard, document: &Wish) -> Result<(), LockError> {
    guard
        .claim()
        .replace(
            &document_key::<Wish>("prod"),
            Damaged::Refuse,
            |origin, _| Envelope::of(origin, 1, document).map(Some),
        )
        .await
        .map(drop)
}

async fn break_lock(store: &Store) {
    let held = store.lock_holder("prod").await.unwrap().unwrap();
    store.unlock("prod", &held).await.unwrap();
}

fn entry(id: &str) -> Operation {
    Operation {
        id: id.into(),
        operation: "up".into(),
        by: Actor::current(),
        started: Timestamp::now(),
        finished: None,
        outcome: None,
        steps: Vec::new(),
        endpoint_gap_ms: None,
    }
}

/// The contract of every store.
pub(crate) async fn a_holder_without_the_lock_writes_nothing_more(store: &Store) {
    // To a document that exists.
    let former = lock_in_turn(store).await;
    former.write(&wish(1)).await.unwrap();
    former.journal_append(&entry("before")).await.unwrap();
    break_lock(store).await;
    assert_eq!(store.lock_holder("prod").await.unwrap(), None);
    assert_lost(former.write(&wish(9)).await.map(drop));
    assert_lost(write_late(&former, &wish(9)).await);
    assert_lost(former.journal_append(&entry("after")).await);
    assert_lost(former.delete_cluster().await);
    assert_eq!(store.read("prod").await.unwrap(), Some(wish(1)));
    assert_eq!(store.journal_list("prod").await.unwrap().len(), 1);

    // The next holder writes; the previous one's return changes nothing.
    let next = lock_in_turn(store).await;
    next.write(&wish(3)).await.unwrap();
    former.release().await.unwrap();
    next.check().await.unwrap();
    assert_eq!(store.read("prod").await.unwrap(), Some(wish(3)));

    // To a document that is deleted: a late `down` or a late `up`.
    next.delete_cluster().await.unwrap();
    break_lock(store).await;
    assert_lost(write_late(&next, &wish(9)).await);
    assert_eq!(store.read::<Wish>("prod").await.unwrap(), None);
    assert!(store.clusters().await.unwrap().is_empty());
}

/// Of two stores on the same location, at the same instant, one gets the lock and the other an error.
pub(crate) async fn of_two_at_once_one_proceeds(stores: [Store; 2]) {
    let start = Arc::new(tokio::sync::Barrier::new(2));
    let mut both = JoinSet::new();
    for store in stores {
        let start = start.clone();
        both.spawn(async move {
            start.wait().await;
            let outcome = store.lock("prod", holder("up")).await;
            // The first doesn't finish before the second has got its error.
            start.wait().await;
            match outcome {
                Ok(guard) => {
                    guard.write(&wish(1)).await.unwrap();
                    guard.release().await.unwrap();
                    true
                }
                Err(LockError::Held { .. }) => false,
                Err(error) => panic!("{error}"),
            }
        });
    }
    let outcomes = timeout(DEADLINE, both.join_all()).await.unwrap();
    assert_eq!(outcomes.iter().filter(|proceeded| **proceeded).count(), 1);
}

#[tokio::test]
async fn a_holder_without_the_lock_is_refused_in_memory() {
    a_holder_without_the_lock_writes_nothing_more(&Store::memory()).await;
}

#[tokio::test]
async fn a_holder_without_the_lock_is_refused_in_a_directory() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::in_directory(directory.path()).unwrap();
    a_holder_without_the_lock_writes_nothing_more(&store).await;
}

#[tokio::test]
async fn a_late_first_write_of_a_new_document_is_refused_too() {
    let store = Store::memory();
    let late = lock_in_turn(&store).await;
    break_lock(&store).await;
    assert_lost(write_late(&late, &wish(1)).await);
    assert!(store.clusters().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_started_at_the_same_instant_one_proceeds_200_times_over() {
    let directory = tempfile::tempdir().unwrap();
    for _ in 0..200 {
        // Each opens the store itself, like separate processes.
        let stores = [(); 2].map(|()| Store::in_directory(directory.path()).unwrap());
        of_two_at_once_one_proceeds(stores).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn only_one_of_many_replaces_a_version() {
    let directory = tempfile::tempdir().unwrap();
    let key = document_key::<Wish>("prod");
    for store in [
        Store::in_directory(directory.path()).unwrap(),
        Store::memory(),
    ] {
        store.objects.put(&key, b"{}".to_vec()).await.unwrap();
        for _ in 0..20 {
            let (_, version) = store.objects.get_version(&key).await.unwrap().unwrap();
            let mut writers = JoinSet::new();
            for number in 0..4 {
                let (store, key, version) = (store.clone(), key.clone(), version.clone());
                let content = format!("{{\"writer\": {number}}}").into_bytes();
                writers.spawn(async move {
                    store.objects.replace(&key, version, content).await.unwrap()
                });
            }
            let done = writers.join_all().await;
            assert_eq!(done.iter().filter(|done| **done).count(), 1);
        }
    }
}

#[tokio::test]
async fn a_waiting_process_is_notified_once_and_then_gets_the_lock() {
    let store = Store::memory();
    let first = store.lock("prod", holder("replicate")).await.unwrap();
    let (told, hears) = tokio::sync::oneshot::channel();
    let waiting = store.clone();
    let second = tokio::spawn(async move {
        let (stop, mut told) = (CancellationToken::new(), Some(told));
        let on_wait = |held: &LockRecord| {
            let told = told.take().expect("notified twice about the same holder");
            told.send(held.to_string()).unwrap();
        };
        waiting
            .lock_within("prod", holder("up"), DEADLINE, &stop, on_wait)
            .await
    });
    let heard = timeout(DEADLINE, hears).await.unwrap().unwrap();
    assert!(heard.starts_with("replicate by root@build-7"), "{heard}");
    first.release().await.unwrap();
    let second = timeout(DEADLINE, second).await.unwrap().unwrap().unwrap();
    second.check().await.unwrap();
}

#[tokio::test]
async fn a_timeout_reports_the_holder() {
    let store = Store::memory();
    let _first = store.lock("prod", holder("replicate")).await.unwrap();
    let stop = CancellationToken::new();
    let asked = |patience| store.lock_within("prod", holder("up"), patience, &stop, |_| {});
    for patience in [Duration::ZERO, Duration::from_millis(1)] {
        let error = asked(patience).await.unwrap_err();
        assert!(matches!(error, LockError::Held { .. }), "{error}");
    }
    stop.cancel();
    let error = timeout(DEADLINE, asked(10 * DEADLINE)).await.unwrap();
    assert!(matches!(error, Err(LockError::Held { .. })), "{error:?}");
}

#[tokio::test]
async fn unlock_breaks_only_the_lock_of_the_holder_shown() {
    let store = Store::memory();
    let shown = {
        let first = lock_in_turn(&store).await;
        let shown = store.lock_holder("prod").await.unwrap().unwrap();
        first.release().await.unwrap();
        shown
    };
    let second = lock_in_turn(&store).await;
    let error = store.unlock("prod", &shown).await.unwrap_err();
    assert!(matches!(error, LockError::Held { .. }), "{error}");
    second.check().await.unwrap();
}
