//! Chooses the `requestId` of a changing call, and decides what its response proves.
//!
//! Compute Engine remembers request ids for about an hour. It ignores a request whose id it has seen, and
//! responds with the operation that the first request started, whatever its result. So a repeated call must
//! have the same id, or it is made twice. A new identical call must have a new id, or it isn't made at all:
//! its resource may have been created and deleted since, and the response would be the first call's success.
//!
//! An id is derived from the caller's operation, which stays the same when another process continues it; from
//! the action and the resource; and from how many such changes of that operation are known to have ended,
//! successfully or not. So a resource that is created, deleted and recreated in one operation has three ids.
//!
//! That count is in memory, and lost when the process is killed. The process that continues counts from 0,
//! and may repeat the id of a call that ended long ago. The same goes for a process that never learned the
//! result of a call. Then the response is *in doubt*: the operation may be this call's or an earlier one's.
//! In both cases nothing with that id is running once the operation has ended. So the end of such a call,
//! successful or not, doesn't count as its result. The caller gets an error that makes it check the resource
//! again, and makes what is still missing with the next id. The price is one more check after a crash.

use hakube_provider::{Attempt, OperationKey};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use uuid::Uuid;

/// The request ids of one operation's changes.
pub(crate) struct Requests {
    seed: Uuid,
    /// Whether another process may have sent some of them.
    resumed: bool,
    changes: Mutex<BTreeMap<String, Change>>,
}

/// What is known about a change to a resource.
#[derive(Debug, Default, Clone, Copy)]
struct Change {
    /// How many are known to have ended.
    ended: u32,
    /// Whether one was sent since and isn't known to have ended.
    sent: bool,
}

/// A change in progress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) id: Uuid,
    /// Whether the id may have been sent before. Then the call's end proves nothing.
    pub(crate) in_doubt: bool,
    change: String,
    ended_before: u32,
}

impl Requests {
    /// Starts without any sent changes.
    pub(crate) fn of(operation: &OperationKey) -> Self {
        Self {
            seed: Uuid::new_v5(&Uuid::NAMESPACE_OID, operation.id.as_bytes()),
            resumed: operation.resumed,
            changes: Mutex::default(),
        }
    }

    /// The request for the next change. One that was sent and isn't known to have ended is repeated.
    pub(crate) fn next(&self, attempt: &Attempt) -> Request {
        let words = attempt.words();
        let mut changes = self.lock();
        let change = changes.entry(words.clone()).or_default();
        let in_doubt = self.resumed || change.sent;
        change.sent = true;
        let name = format!("{words} {}", change.ended);
        Request {
            id: Uuid::new_v5(&self.seed, name.as_bytes()),
            in_doubt,
            change: words,
            ended_before: change.ended,
        }
    }

    /// Records that the operation has ended, successfully or not. The next such change is a new one.
    pub(crate) fn ended(&self, request: &Request) {
        if let Some(change) = self.lock().get_mut(&request.change)
            && change.ended == request.ended_before
        {
            change.ended += 1;
            change.sent = false;
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Change>> {
        // Each update is atomic, so a poisoned lock is still consistent.
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operation(resumed: bool) -> Requests {
        Requests::of(&OperationKey {
            id: "1f2e3d4c".into(),
            resumed,
        })
    }

    fn create() -> Attempt {
        Attempt::new("create", "machine m in z")
    }

    #[test]
    fn a_repeated_call_has_the_same_id_and_is_in_doubt() {
        let requests = operation(false);
        let first = requests.next(&create());
        let again = requests.next(&create());
        assert_eq!(first.id, again.id);
        assert!(!first.in_doubt && again.in_doubt);
    }

    #[test]
    fn a_new_identical_call_has_a_new_id() {
        let requests = operation(false);
        let first = requests.next(&create());
        requests.ended(&first);
        let second = requests.next(&create());
        let other = requests.next(&create().to("delete"));
        assert!(!second.in_doubt && !other.in_doubt);
        assert_ne!(first.id, second.id);
        assert_ne!(second.id, other.id);
    }

    #[test]
    fn a_continuing_process_sends_the_same_ids_all_in_doubt() {
        let (dead, next) = (operation(false), operation(true));
        let first = dead.next(&create());
        dead.ended(&first);
        let second = dead.next(&create());
        let seen = next.next(&create());
        assert_eq!(seen.id, first.id);
        next.ended(&seen);
        let seen = next.next(&create());
        assert_eq!(seen.id, second.id);
        assert!(seen.in_doubt);
    }

    #[test]
    fn two_ends_of_one_call_count_once() {
        let requests = operation(false);
        let (first, again) = (requests.next(&create()), requests.next(&create()));
        requests.ended(&first);
        requests.ended(&again);
        let third = requests.next(&create());
        requests.ended(&third);
        assert_ne!(third.id, requests.next(&create()).id);
        assert!(!third.in_doubt);
    }

    #[test]
    fn another_operation_has_other_ids() {
        let other = Requests::of(&OperationKey {
            id: "2f2e3d4c".into(),
            resumed: false,
        });
        assert_ne!(
            operation(false).next(&create()).id,
            other.next(&create()).id
        );
    }
}
