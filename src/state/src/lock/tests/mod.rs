#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod earlier;
pub(crate) mod fencing;

use jiff::Timestamp;
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::object::lock_key;
use super::*;
use crate::store::lock_prefix;
use crate::{Actor, StateError};
use hakube_testing::counts;

/// Longer than anything here takes; only failures wait for it.
const DEADLINE: Duration = Duration::from_secs(30);

fn holder(operation: &str) -> Holder {
    Holder {
        by: Actor {
            user: "root".into(),
            host: "build-7".into(),
            pid: std::process::id(),
        },
        operation: operation.into(),
    }
}

/// A record as another process would have left it.
async fn leave(store: &Store, record: LockRecord) -> Claim {
    let claim = Claim::new(store.clone(), "prod", record, HOLD);
    let found = store.lock_object("prod").await.unwrap();
    assert!(claim.take(found.version).await.unwrap());
    claim
}

fn record_of(pid: u32, generation: u64, acquired: Timestamp) -> LockRecord {
    let mut holder = holder("replicate");
    holder.by.pid = pid;
    LockRecord::new(generation, holder, acquired, HOLD)
}

fn expired(generation: u64) -> LockRecord {
    record_of(std::process::id(), generation, Timestamp::now() - 2 * HOLD)
}

fn sleeper() -> Child {
    Command::new("sleep").arg("600").spawn().unwrap()
}

/// Takes the lock, waiting for other holders.
async fn lock_in_turn(store: &Store) -> LockGuard {
    loop {
        match store.lock("prod", holder("up")).await {
            Ok(guard) => return guard,
            Err(LockError::Held { .. } | LockError::Contended { .. }) => {
                tokio::task::yield_now().await;
            }
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test]
async fn the_second_is_told_the_holder() {
    let store = Store::memory();
    let first = store.lock("prod", holder("replicate")).await.unwrap();
    let error = store.lock("prod", holder("down")).await.unwrap_err();
    let pid = std::process::id();
    let expected =
        format!("cluster prod is locked: replicate by root@build-7, pid {pid}, since 0s");
    assert!(error.to_string().starts_with(&expected), "{error}");
    assert_eq!(
        store
            .lock_holder("prod")
            .await
            .unwrap()
            .unwrap()
            .holder
            .operation,
        "replicate"
    );

    // Another cluster has its own lock.
    store
        .lock("dev", holder("up"))
        .await
        .unwrap()
        .release()
        .await
        .unwrap();

    let generation = first.claim().generation();
    first.release().await.unwrap();
    assert_eq!(store.lock_holder("prod").await.unwrap(), None);
    let next = store.lock("prod", holder("down")).await.unwrap();
    assert!(next.claim().generation() > generation);
}

#[tokio::test]
async fn dropping_the_guard_releases_the_lock() {
    let store = Store::memory();
    drop(store.lock("prod", holder("up")).await.unwrap());
    timeout(DEADLINE, lock_in_turn(&store)).await.unwrap();
}

async fn contend(name: &str, store: Store, tasks: usize, rounds: usize) {
    let busy = Arc::new(AtomicBool::new(false));
    let newest = Arc::new(AtomicU64::new(0));
    let mut contenders = JoinSet::new();
    for _ in 0..tasks {
        let (store, busy, newest) = (store.clone(), busy.clone(), newest.clone());
        contenders.spawn(async move {
            for _ in 0..rounds {
                let guard = lock_in_turn(&store).await;
                assert!(!busy.swap(true, Ordering::SeqCst), "two holders at once");
                let before = newest.swap(guard.claim().generation(), Ordering::SeqCst);
                assert!(
                    before < guard.claim().generation(),
                    "a generation was used twice"
                );
                tokio::task::yield_now().await;
                guard.check().await.unwrap();
                busy.store(false, Ordering::SeqCst);
                guard.release().await.unwrap();
            }
        });
    }
    let all = async {
        while let Some(contender) = contenders.join_next().await {
            contender.unwrap();
        }
    };
    timeout(4 * DEADLINE, all).await.expect("a task starves");
    counts::tell(
        &format!("lock: taken in turn, {name}"),
        tasks * rounds,
        0,
        None,
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_of_many_at_a_time_holds_the_lock() {
    contend("in memory", Store::memory(), 4, 100).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_of_many_at_a_time_holds_the_lock_in_a_directory_too() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::in_directory(directory.path()).unwrap();
    contend("in a directory", store, 2, 25).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_of_many_takes_over_from_a_dead_holder() {
    let directory = tempfile::tempdir().unwrap();
    for round in 0..40 {
        let store = match round % 4 {
            0 => Store::in_directory(&directory.path().join(round.to_string())).unwrap(),
            _ => Store::memory(),
        };
        leave(&store, expired(7)).await;
        let mut contenders = JoinSet::new();
        for _ in 0..4 {
            let store = store.clone();
            contenders.spawn(async move { store.lock("prod", holder("up")).await });
        }
        let mut winners = Vec::new();
        for outcome in contenders.join_all().await {
            match outcome {
                Ok(guard) => winners.push(guard),
                Err(LockError::Held { record, .. }) => assert!(record.generation > 7),
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(winners.len(), 1, "in round {round}");
    }
    counts::tell("lock: a dead holder's, wanted by four", 40, 0, None);
}

#[tokio::test]
async fn a_killed_process_loses_the_lock_and_a_living_one_keeps_it() {
    let store = Store::memory();
    let mut process = sleeper();
    leave(&store, record_of(process.id(), 1, Timestamp::now())).await;
    let error = store.lock("prod", holder("up")).await.unwrap_err();
    assert!(matches!(error, LockError::Held { .. }), "{error}");

    process.kill().unwrap();
    // A zombie counts as dead.
    let guard = timeout(DEADLINE, lock_in_turn(&store)).await.unwrap();
    assert_eq!(guard.claim().generation(), 2);
    guard.release().await.unwrap();

    process.wait().unwrap();
    let mut process = sleeper();
    leave(&store, record_of(process.id(), 3, Timestamp::now())).await;
    process.kill().unwrap();
    process.wait().unwrap();
    assert_eq!(lock_in_turn(&store).await.claim().generation(), 4);
}

#[tokio::test]
async fn a_holder_on_another_host_keeps_the_lock_until_it_expires() {
    let store = Store::memory();
    // There is no such process here, so it runs or ran on another host.
    let elsewhere = |acquired| record_of(u32::MAX, 1, acquired);
    leave(&store, elsewhere(Timestamp::now())).await;
    let error = store.lock("prod", holder("up")).await.unwrap_err();
    assert!(matches!(error, LockError::Held { .. }), "{error}");

    leave(&store, elsewhere(Timestamp::now() - 2 * HOLD)).await;
    store.lock("prod", holder("up")).await.unwrap();
}

#[tokio::test]
async fn the_lock_is_renewed_while_the_guard_exists() {
    let store = Store::memory();
    let guard = store
        .lock_for("prod", holder("up"), Duration::from_secs(1))
        .await
        .unwrap();
    let expires = async || store.lock_holder("prod").await.unwrap().map(|r| r.expires);
    let first = expires().await.unwrap();
    let renewed = async {
        while expires().await.is_none_or(|at| at == first) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(DEADLINE, renewed).await.unwrap();
    drop(guard);
}

#[tokio::test]
async fn a_replaced_holder_notices_and_does_not_return() {
    let store = Store::memory();
    let hold = Duration::from_millis(300);
    let guard = store.lock_for("prod", holder("up"), hold).await.unwrap();
    // As if this process had been suspended long enough for another to take over.
    leave(&store, record_of(std::process::id(), 2, Timestamp::now())).await;
    let error = guard.check().await.unwrap_err();
    assert!(
        matches!(error, LockError::Lost { generation: 1, .. }),
        "{error}"
    );
    timeout(DEADLINE, guard.lost().cancelled()).await.unwrap();
    guard.release().await.unwrap();
    let holder = store.lock_holder("prod").await.unwrap().unwrap();
    assert_eq!(holder.generation, 2);
}

/// A holder renews while another process, which has read the expired record, takes the lock.
#[tokio::test]
async fn a_late_renewal_and_a_takeover_never_both_succeed() {
    let generation = async |store: &Store| {
        let held = store.lock_holder("prod").await.unwrap();
        held.map(|held| held.generation)
    };
    // The renewal comes first.
    let store = Store::memory();
    let late = leave(&store, expired(1)).await;
    let seen = store.lock_object("prod").await.unwrap();
    late.renew().await.unwrap();
    let next = record_of(std::process::id(), 2, Timestamp::now());
    let taken = store.succeed("prod", seen, next.clone(), HOLD).await;
    assert!(taken.unwrap().is_none());
    assert_eq!(generation(&store).await, Some(1));

    // The takeover comes first.
    let store = Store::memory();
    let late = leave(&store, expired(1)).await;
    let seen = store.lock_object("prod").await.unwrap();
    let taken = store.succeed("prod", seen, next, HOLD).await;
    assert!(taken.unwrap().is_some());
    for late in [late.renew().await, late.release().await] {
        let error = late.unwrap_err();
        assert!(
            matches!(error, LockError::Lost { generation: 1, .. }),
            "{error}"
        );
    }
    assert_eq!(generation(&store).await, Some(2));
}

/// The client repeats a request whose response was lost, and the store refuses it.
#[tokio::test]
async fn a_lock_is_taken_if_only_the_response_was_lost() {
    let store = Store::memory();
    let claim = leave(&store, record_of(std::process::id(), 1, Timestamp::now())).await;
    assert!(claim.take(None).await.unwrap());
    // Another process's, even of the same generation, is not.
    let record = record_of(std::process::id(), 1, Timestamp::now());
    let other = Claim::new(store.clone(), "prod", record, HOLD);
    assert!(!other.take(None).await.unwrap());
}

#[tokio::test]
async fn the_lock_of_a_newer_hakube_is_not_taken_over() {
    let store = Store::memory();
    let newer = br#"{"format": 9}"#.to_vec();
    store.objects.put(&lock_key("prod"), newer).await.unwrap();
    let error = store.lock("prod", holder("up")).await.unwrap_err();
    assert!(
        matches!(error, LockError::State(StateError::NewerFormat { .. })),
        "{error}"
    );
}
