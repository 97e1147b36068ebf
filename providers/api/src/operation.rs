//! Which of the caller's operations a call belongs to.

/// The operation that a provider's calls are made for.
///
/// A provider whose API knows repeated requests again makes the ids of its requests from this: a call
/// that is sent again, by a process that went on after a crash too, is then the same call. What one
/// operation does more than once (make, delete, make again) is the provider's to tell apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperationKey {
    /// The same for as long as the operation is unfinished, whoever goes on with it; no other
    /// operation's.
    pub id: String,
    /// Whether another process may have made calls for it: one that was killed, say.
    pub resumed: bool,
}
