//! Faults of operations.

use hakube_local_resources::ApiError;
use hakube_local_resources::types::Stuck;

tokio::task_local! {
    static OF_THIS_REQUEST: OperationFault;
}

/// How an operation fails.
#[derive(Debug, Clone, Default)]
pub struct OperationFault {
    /// The error that it ends with.
    pub error: Option<ApiError>,
    /// How long it stays RUNNING.
    pub stuck: Option<Stuck>,
}

impl OperationFault {
    /// The operation fault of the current request.
    pub fn of_this_request() -> Self {
        OF_THIS_REQUEST.try_with(Clone::clone).unwrap_or_default()
    }

    /// Handles a request under this fault.
    pub async fn during<T>(self, request: impl Future<Output = T>) -> T {
        OF_THIS_REQUEST.scope(self, request).await
    }
}
