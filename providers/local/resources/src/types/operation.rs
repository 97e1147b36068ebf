//! Operations, as clients see them.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::base::{ApiError, Meta, now, resource};

/// An asynchronous change.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Operation {
    /// The common fields.
    #[serde(flatten)]
    pub meta: Meta,
    /// `insert`, `delete`, ...
    pub operation_type: String,
    /// URL.
    pub target_link: String,
    /// uint64 as a string.
    pub target_id: String,
    /// How far it is.
    pub status: Status,
    /// 0 to 100.
    pub progress: u8,
    /// The caller. The local cloud knows only its owner.
    pub user: String,
    /// RFC 3339.
    pub insert_time: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) start_time: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) end_time: Option<String>,
    /// The request's `requestId`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_operation_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) http_error_status_code: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) http_error_message: Option<String>,
}

/// `status` of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[allow(missing_docs)]
pub enum Status {
    Pending,
    Running,
    Done,
}

resource!(Operation);

impl Operation {
    /// Marks it as running.
    pub fn begin(&mut self) {
        self.status = Status::Running;
        self.start_time = Some(now());
    }

    /// Marks it as done, successful or failed.
    pub fn end(&mut self, result: Result<(), ApiError>) {
        self.status = Status::Done;
        self.progress = 100;
        self.end_time = Some(now());
        if let Err(error) = result {
            self.error = Some(json!({
                "errors": [{"code": error.operation_code(), "message": error.message}],
            }));
            let status = http::StatusCode::from_u16(error.status).unwrap_or_default();
            self.http_error_status_code = Some(error.status);
            // The reason phrase in capitals, as in Compute Engine.
            self.http_error_message = status.canonical_reason().map(str::to_uppercase);
        }
    }

    /// Its end time, for dropping the oldest.
    pub fn ended(&self) -> Option<&str> {
        self.end_time.as_deref()
    }
}
