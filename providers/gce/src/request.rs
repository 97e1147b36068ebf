//! Which `requestId` a changing call bears, and what its answer proves.
//!
//! Compute Engine remembers the ids of requests for about an hour and ignores a request whose id it has
//! seen: it answers with the operation that the first one began, however that one ended. So a call that is
//! sent again must bear the id that it had, or it is two; and a call that is meant anew must not, or it is
//! none: its name may have been made and deleted since, and the answer would be the success of the first.
//!
//! An id is made from the caller's operation, which is the same when another process goes on with it; from
//! what is done to which resource; and from how many such changes of that operation have been seen to
//! end, well or badly. So what is made, deleted and made again in one operation has three ids.
//!
//! That count is in memory, and a process that was killed takes it along. Whoever goes on counts from 0
//! and may send an id again of which the call has long ended, and so may whoever never learnt what became
//! of a call. Then the answer is *in doubt*: the operation may be this call's, or one from before.
//! Either way nothing of that id is under way once it has ended. So the end of such a call, success or
//! not, is never taken for the outcome: the caller is told to look again, and what is still to be done
//! then is done under the next id. One look more after a crash is the price.

use hakube_provider::{Attempt, OperationKey};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use uuid::Uuid;

/// The ids of one operation's changes.
pub(crate) struct Requests {
    seed: Uuid,
    /// Whether another process may have sent any of them.
    resumed: bool,
    changes: Mutex<BTreeMap<String, Change>>,
}

/// What is known of a change to a resource.
#[derive(Debug, Default, Clone, Copy)]
struct Change {
    /// How often it was seen to end.
    ended: u32,
    /// Whether it was sent since, and not seen to end.
    sent: bool,
}

/// A change that is being made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    /// Its `requestId`.
    pub(crate) id: Uuid,
    /// Whether the id may have been sent before: its end proves nothing.
    pub(crate) in_doubt: bool,
    change: String,
    ended_before: u32,
}

impl Requests {
    /// None was sent by this process yet.
    pub(crate) fn of(operation: &OperationKey) -> Self {
        Self {
            seed: Uuid::new_v5(&Uuid::NAMESPACE_OID, operation.id.as_bytes()),
            resumed: operation.resumed,
            changes: Mutex::default(),
        }
    }

    /// The change that is to be sent now. One that was sent before and not seen to end is the same.
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

    /// Its operation has ended, well or badly: the next such change is another.
    pub(crate) fn ended(&self, request: &Request) {
        if let Some(change) = self.lock().get_mut(&request.change)
            && change.ended == request.ended_before
        {
            change.ended += 1;
            change.sent = false;
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Change>> {
        // Each change is counted in one piece.
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
    fn what_is_sent_again_has_its_id_and_is_in_doubt() {
        let requests = operation(false);
        let first = requests.next(&create());
        let again = requests.next(&create());
        assert_eq!(first.id, again.id);
        assert!(!first.in_doubt && again.in_doubt);
    }

    #[test]
    fn what_is_meant_anew_has_an_id_of_its_own() {
        let requests = operation(false);
        let first = requests.next(&create());
        requests.ended(&first);
        let anew = requests.next(&create());
        let other = requests.next(&create().to("delete"));
        assert!(!anew.in_doubt && !other.in_doubt);
        assert_ne!(first.id, anew.id);
        assert_ne!(anew.id, other.id);
    }

    #[test]
    fn whoever_goes_on_sends_the_same_ids_and_doubts_them_all() {
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
