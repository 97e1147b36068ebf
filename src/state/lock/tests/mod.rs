#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub(crate) mod fencing;

use jiff::Timestamp;
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::state::Actor;
use crate::testing::counts;

/// Longer than anything here takes; nothing waits for it but a failure.
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
    assert!(claim.create().await.unwrap());
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

/// Takes the lock, however long others have it.
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
async fn the_second_is_told_who_is_first() {
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

    // Another cluster's lock is another lock.
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
async fn a_guard_that_is_dropped_gives_the_lock_back() {
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
                    "a generation came twice"
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
    timeout(4 * DEADLINE, all).await.expect("somebody starves");
    counts::tell(
        &format!("lock: taken in turn, {name}"),
        tasks * rounds,
        0,
        None,
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_who_want_it_one_at_a_time_has_it() {
    contend("in memory", Store::memory(), 4, 100).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_who_want_it_one_at_a_time_has_it_in_a_directory_too() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::in_directory(directory.path()).unwrap();
    contend("in a directory", store, 2, 25).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_who_find_a_dead_holder_one_takes_over() {
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
async fn a_killed_process_holds_nothing_and_a_living_one_does() {
    let store = Store::memory();
    let mut process = sleeper();
    leave(&store, record_of(process.id(), 1, Timestamp::now())).await;
    let error = store.lock("prod", holder("up")).await.unwrap_err();
    assert!(matches!(error, LockError::Held { .. }), "{error}");

    process.kill().unwrap();
    // Dead, though its parent hasn't looked yet, is dead.
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
async fn a_holder_that_cannot_be_looked_at_keeps_it_until_it_expires() {
    let store = Store::memory();
    // No such process here: so it is, or was, one of somewhere else.
    let elsewhere = |acquired| record_of(u32::MAX, 1, acquired);
    let claim = leave(&store, elsewhere(Timestamp::now())).await;
    let error = store.lock("prod", holder("up")).await.unwrap_err();
    assert!(matches!(error, LockError::Held { .. }), "{error}");

    claim.withdraw().await.unwrap();
    leave(&store, elsewhere(Timestamp::now() - 2 * HOLD)).await;
    store.lock("prod", holder("up")).await.unwrap();
}

#[tokio::test]
async fn a_hold_is_renewed_while_the_guard_lives() {
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
async fn a_holder_that_was_replaced_learns_it_and_does_not_come_back() {
    let store = Store::memory();
    let hold = Duration::from_millis(300);
    let guard = store.lock_for("prod", holder("up"), hold).await.unwrap();
    // As if this process had been asleep for so long that another took over.
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

/// The four steps of the argument in the module's documentation, in both orders that matter.
#[tokio::test]
async fn a_late_renewal_and_a_takeover_never_both_succeed() {
    // Renewed before the other looks again: the other yields.
    let store = Store::memory();
    let late = leave(&store, expired(1)).await;
    let other = leave(&store, record_of(std::process::id(), 2, Timestamp::now())).await;
    let renewed = expired(1).renewed(Timestamp::now(), HOLD);
    late.withdraw().await.unwrap();
    leave(&store, renewed).await;
    assert!(!store.is_ours("prod", 2, None).await.unwrap());
    other.withdraw().await.unwrap();
    assert_eq!(
        store.lock_holder("prod").await.unwrap().unwrap().generation,
        1
    );

    // The other looked first, and won: the renewal fails, and leaves nothing that looks like a hold.
    let store = Store::memory();
    let late = leave(&store, expired(1)).await;
    leave(&store, record_of(std::process::id(), 2, Timestamp::now())).await;
    assert!(store.is_ours("prod", 2, None).await.unwrap());
    let error = late.renew().await.unwrap_err();
    assert!(
        matches!(error, LockError::Lost { generation: 1, .. }),
        "{error}"
    );
    assert_eq!(
        store.lock_holder("prod").await.unwrap().unwrap().generation,
        2
    );
}

#[tokio::test]
async fn who_starts_from_stale_records_does_not_win_with_an_old_generation() {
    let store = Store::memory();
    leave(
        &store,
        record_of(std::process::id(), 5, Timestamp::now()).released(),
    )
    .await;
    // Generation 3 was used and swept while this one hesitated: creating it succeeds again.
    leave(&store, record_of(std::process::id(), 3, Timestamp::now())).await;
    assert!(!store.is_ours("prod", 3, None).await.unwrap());
}

#[tokio::test]
async fn a_lock_of_a_newer_hakube_is_not_taken_over() {
    let store = Store::memory();
    let newer = br#"{"format": 9}"#.to_vec();
    store
        .objects
        .put(&record_key("prod", 1), newer)
        .await
        .unwrap();
    let error = store.lock("prod", holder("up")).await.unwrap_err();
    assert!(
        matches!(error, LockError::State(StateError::NewerFormat { .. })),
        "{error}"
    );
}
