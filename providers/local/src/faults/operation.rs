//! What is to become of the operation that a request begins.

use std::time::Duration;

use super::{Act, Faults};
use crate::compute::error::ApiError;

tokio::task_local! {
    static OF_THIS_REQUEST: OperationFault;
}

/// How an operation is to go wrong.
#[derive(Debug, Clone, Default)]
pub struct OperationFault {
    /// It ends with this.
    pub error: Option<ApiError>,
    /// It stays RUNNING.
    pub stuck: Option<Stuck>,
}

/// How long an operation stays RUNNING.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stuck {
    /// For so long.
    For(Duration),
    /// Until the rules, which have been changed so many times, are changed again.
    Until(u64),
}

impl OperationFault {
    /// What the rules say about the request that is being handled.
    pub fn of_this_request() -> Self {
        OF_THIS_REQUEST.try_with(Clone::clone).unwrap_or_default()
    }

    /// Handles a request under this fault.
    pub(super) async fn during<T>(self, request: impl Future<Output = T>) -> T {
        OF_THIS_REQUEST.scope(self, request).await
    }
}

impl Faults {
    /// What an act means for the operation; nothing, when it is about the request itself.
    pub(super) fn operation_fault(&self, act: &Act) -> OperationFault {
        match act {
            Act::OperationError { code, message } => OperationFault {
                error: Some(ApiError::operation(code, message.clone())),
                stuck: None,
            },
            Act::OperationStuck { milliseconds } => OperationFault {
                error: None,
                stuck: Some(match milliseconds {
                    Some(milliseconds) => Stuck::For(Duration::from_millis(*milliseconds)),
                    None => Stuck::Until(*self.changes.borrow()),
                }),
            },
            _ => OperationFault::default(),
        }
    }

    /// Returns when an operation that is stuck may go on.
    pub async fn unstuck(&self, stuck: Stuck) {
        match stuck {
            Stuck::For(time) => tokio::time::sleep(time).await,
            Stuck::Until(changes) => {
                // The sender lives in self: this can't fail.
                let _ = self
                    .changes
                    .subscribe()
                    .wait_for(|now| *now != changes)
                    .await;
            }
        }
    }
}
