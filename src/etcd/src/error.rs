//! etcd's errors, identified by their messages, since several share a gRPC code.

use etcd_client::Error as ClientError;

/// The result type of calls to etcd.
pub type EtcdResult<T> = Result<T, EtcdError>;

/// Why a call to etcd failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EtcdError {
    /// No member could be reached.
    #[error("could not reach etcd at {at}: {why}")]
    Unreachable {
        /// The addresses tried.
        at: String,
        /// The last one's error.
        why: String,
    },
    /// A member is down, or was connected less than 5 s ago: etcd checks this before any change.
    #[error("etcd refused the change because of unhealthy members ({0})")]
    Unhealthy(String),
    /// The learner has less than 90 % of the leader's log.
    #[error("the learner hasn't caught up with the leader yet")]
    NotInSync,
    /// The member is already a voter.
    #[error("the member is already a voter")]
    NotLearner,
    /// There is already a learner: etcd allows one at a time.
    #[error("there is already a learner; etcd allows one at a time")]
    TooManyLearners,
    /// A member with that peer URL exists.
    #[error("a member with that peer URL already exists")]
    Exists,
    /// There is no such member.
    #[error("there is no such member")]
    NotFound,
    /// Any other error, with etcd's message.
    #[error("{0}")]
    Other(String),
}

impl EtcdError {
    /// Whether the same call may succeed in a moment.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. } | Self::Unhealthy(_) | Self::NotInSync
        )
    }

    /// Identifies an error by etcd's message.
    pub(super) fn from_words(words: &str) -> Self {
        // "can only promote a learner member which is in sync" contains another error's message.
        let table = [
            ("unhealthy cluster", Self::Unhealthy(words.to_owned())),
            ("in sync with leader", Self::NotInSync),
            ("can only promote a learner", Self::NotLearner),
            ("too many learner", Self::TooManyLearners),
            ("Peer URLs already exists", Self::Exists),
            ("member ID already exist", Self::Exists),
            ("member not found", Self::NotFound),
        ];
        let known = table.into_iter().find(|(part, _)| words.contains(part));
        known.map_or_else(|| Self::Other(words.to_owned()), |(_, kind)| kind)
    }

    pub(super) fn from_client(error: &ClientError) -> Self {
        match error {
            ClientError::GRpcStatus(status) => match Self::from_words(status.message()) {
                Self::Other(words) if no_answer(status, &words) => Self::Unreachable {
                    at: "its members".to_owned(),
                    why: words,
                },
                known => known,
            },
            other => Self::Unreachable {
                at: "its members".to_owned(),
                why: chain(other),
            },
        }
    }
}

/// gRPC's Unavailable and DeadlineExceeded, and broken connections, count as no response. So does a
/// learner's refusal: another member may respond.
fn no_answer(status: &impl std::fmt::Debug, words: &str) -> bool {
    let status = format!("{status:?}");
    ["Unavailable", "DeadlineExceeded", "Cancelled"]
        .iter()
        .any(|code| status.contains(code))
        || words.contains("not supported for learner")
        || words.contains("transport error")
        || words.contains("timed out")
}

/// An error with its causes: the outermost only says "transport error".
fn chain(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        words = format!("{words}: {inner}");
        cause = inner.source();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_identified_by_their_messages() {
        let table = [
            (
                "etcdserver: unhealthy cluster",
                EtcdError::Unhealthy("etcdserver: unhealthy cluster".into()),
            ),
            (
                "etcdserver: can only promote a learner member which is in sync with leader",
                EtcdError::NotInSync,
            ),
            (
                "etcdserver: can only promote a learner member",
                EtcdError::NotLearner,
            ),
            (
                "etcdserver: too many learner members in cluster",
                EtcdError::TooManyLearners,
            ),
            ("etcdserver: Peer URLs already exists", EtcdError::Exists),
            ("etcdserver: member not found", EtcdError::NotFound),
            (
                "etcdserver: bad leader transferee",
                EtcdError::Other("etcdserver: bad leader transferee".into()),
            ),
        ];
        for (words, kind) in table {
            assert_eq!(EtcdError::from_words(words), kind);
        }
    }
}
