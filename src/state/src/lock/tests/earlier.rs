//! Locks that an earlier hakube left: one object per holder, in format 1.

use super::*;
use crate::document::encode;
use object_store::path::Path;

fn earlier_key(generation: u64) -> Path {
    lock_prefix("prod").join(format!("{generation:020}.json"))
}

/// A record as an earlier hakube wrote it.
async fn leave_earlier(store: &Store, record: &LockRecord) {
    let key = earlier_key(record.generation);
    let content = encode(&store.objects.origin(&key), 1, record).unwrap();
    store.objects.put(&key, content).await.unwrap();
}

fn held(generation: u64) -> LockRecord {
    record_of(std::process::id(), generation, Timestamp::now())
}

async fn keys(store: &Store) -> Vec<Path> {
    store.objects.list(&lock_prefix("prod")).await.unwrap()
}

#[tokio::test]
async fn an_earlier_holder_keeps_others_out() {
    let store = Store::memory();
    leave_earlier(&store, &held(3)).await;
    // A loser of the earlier protocol, which hasn't deleted its record.
    leave_earlier(&store, &expired(4)).await;
    let error = store.lock("prod", holder("up")).await.unwrap_err();
    let LockError::Held { record, .. } = error else {
        panic!("{error}");
    };
    assert_eq!(record.generation, 3);
    assert_eq!(store.lock_holder("prod").await.unwrap(), Some(*record));
    assert_eq!(keys(&store).await, [3, 4].map(earlier_key));
}

#[tokio::test]
async fn an_earlier_lock_that_ended_is_replaced() {
    for last in [expired(7), held(7).released()] {
        let store = Store::memory();
        leave_earlier(&store, &expired(6)).await;
        leave_earlier(&store, &last).await;
        let guard = store.lock("prod", holder("up")).await.unwrap();
        assert_eq!(guard.claim().generation(), 8);
        assert_eq!(keys(&store).await, [lock_key("prod")]);
    }
}

#[tokio::test]
async fn an_earlier_holder_can_be_ousted() {
    let store = Store::memory();
    let record = held(7);
    leave_earlier(&store, &record).await;
    store.unlock("prod", &record).await.unwrap();
    assert_eq!(store.lock_holder("prod").await.unwrap(), None);
    assert_eq!(keys(&store).await, [lock_key("prod")]);
}

/// Between this process's look at the records and its write.
#[tokio::test]
async fn an_earlier_hakube_that_was_faster_wins() {
    let store = Store::memory();
    leave_earlier(&store, &expired(7)).await;
    let seen = store.lock_object("prod").await.unwrap();
    leave_earlier(&store, &held(8)).await;
    let taken = store.succeed("prod", seen, held(8), HOLD).await;
    assert!(taken.unwrap().is_none());
    assert_eq!(keys(&store).await, [7, 8].map(earlier_key));
}
