//! Operations, as clients see them.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::work::Request;
use crate::compute::error::ApiError;
use crate::compute::resource::{Meta, Target, Type, now, resource};
use crate::compute::scope::Key;
use crate::store::State;

/// An asynchronous change.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Operation {
    #[serde(flatten)]
    pub(crate) meta: Meta,
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
    /// Who asked. The local cloud knows only its owner.
    pub user: String,
    /// RFC 3339.
    pub insert_time: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    start_time: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    end_time: Option<String>,
    /// The request's `requestId`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_operation_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    http_error_status_code: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    http_error_message: Option<String>,
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

resource!(Operation, operations);

impl Operation {
    /// One that has just been accepted, and its key.
    pub fn pending(state: &State, request: &Request, id: Option<String>) -> (Key, Self) {
        let of = &request.target.key;
        let key = Key::new(of.scope.clone(), fresh_name()).of(of.project.as_deref());
        let mut meta = Meta {
            name: key.name.clone(),
            ..Meta::default()
        };
        let own = Target {
            kind: Type::Operation,
            key: key.clone(),
        };
        meta.stamp(state, &own);
        let table = state.table(request.target.kind);
        let operation = Self {
            operation_type: request.verb.to_owned(),
            target_link: state.link(&request.target),
            target_id: table.id(&request.target.key).unwrap_or_default(),
            status: Status::Pending,
            progress: 0,
            user: "owner@localhost".into(),
            insert_time: meta.creation_timestamp.clone(),
            start_time: None,
            end_time: None,
            client_operation_id: id,
            error: None,
            http_error_status_code: None,
            http_error_message: None,
            meta,
        };
        (key, operation)
    }

    /// It has begun.
    pub fn begin(&mut self) {
        self.status = Status::Running;
        self.start_time = Some(now());
    }

    /// It has ended, well or badly.
    pub fn end(&mut self, result: Result<(), ApiError>) {
        self.status = Status::Done;
        self.progress = 100;
        self.end_time = Some(now());
        if let Err(error) = result {
            self.error = Some(json!({
                "errors": [{"code": error.operation_code(), "message": error.message}],
            }));
            let status = axum::http::StatusCode::from_u16(error.status).unwrap_or_default();
            self.http_error_status_code = Some(error.status);
            // The reason phrase, in capitals, as Compute Engine has it.
            self.http_error_message = status.canonical_reason().map(str::to_uppercase);
        }
    }

    /// When it ended, for forgetting the oldest.
    pub fn ended(&self) -> Option<&str> {
        self.end_time.as_deref()
    }
}

/// `operation-<ms>-<hex>-<hex>-<hex>`
fn fresh_name() -> String {
    let milliseconds = jiff::Timestamp::now().as_millisecond();
    let [a, b, c]: [u32; 3] = rand::random();
    format!("operation-{milliseconds}-{a:013x}-{b:08x}-{c:08x}")
}
