//! Records requests and responses, for checking them against Compute Engine's description of its API.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::{self, Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use hakube_local_resources::ApiError;
use serde_json::{Value, json};

/// A file with one JSON document per line and exchange. Clones write to the same file.
#[derive(Debug, Clone)]
pub struct Exchanges(Arc<Mutex<File>>);

/// Strings longer than this, or with blanks, have no format to check and may hold documents.
const LONGEST: usize = 256;

impl Exchanges {
    /// Creates a file in this directory, readable by its owner only.
    pub fn record_in(directory: &Path) -> io::Result<Self> {
        let name = format!("{}-{:08x}.jsonl", std::process::id(), rand::random::<u32>());
        let file = OpenOptions::new()
            .create_new(true)
            .append(true)
            .mode(0o600)
            .open(directory.join(name))?;
        Ok(Self(Arc::new(Mutex::new(file))))
    }

    fn write(&self, exchange: &Value) {
        let line = format!("{exchange}\n");
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = file.write_all(line.as_bytes()) {
            tracing::warn!(%error, "exchange not recorded");
        }
    }
}

/// Serves a request, and records it if it belongs to the Compute Engine API.
pub async fn record(State(to): State<Exchanges>, request: Request, next: Next) -> Response {
    if !request.uri().path().starts_with("/compute/") {
        return next.run(request).await;
    }
    let (head, content) = request.into_parts();
    let Ok(sent) = body::to_bytes(content, usize::MAX).await else {
        return ApiError::refused("The request's body could not be read.").into_response();
    };
    let client = client(&head.headers);
    let (method, uri) = (head.method.clone(), head.uri.clone());
    let request = Request::from_parts(head, Body::from(sent.clone()));
    let (head, content) = next.run(request).await.into_parts();
    let Ok(answer) = body::to_bytes(content, usize::MAX).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    to.write(&json!({
        "client": client,
        "method": method.as_str(),
        "path": uri.path(),
        "query": uri.query().unwrap_or_default(),
        "request": document(&sent),
        "status": head.status.as_u16(),
        "answer": document(&answer),
    }));
    Response::from_parts(head, Body::from(answer))
}

/// The name of one of Google's clients; empty for others.
fn client(headers: &HeaderMap) -> String {
    let said = headers.get("x-goog-api-client");
    said.and_then(|value| value.to_str().ok())
        .unwrap_or_default()
        .to_owned()
}

/// A body without secrets. A body that isn't JSON becomes a string.
fn document(bytes: &Bytes) -> Value {
    if bytes.is_empty() {
        return Value::Null;
    }
    let mut value = serde_json::from_slice(bytes).unwrap_or_else(|_| "not JSON".into());
    shorten(&mut value);
    value
}

fn shorten(value: &mut Value) {
    match value {
        Value::String(text) if text.len() > LONGEST || text.contains(char::is_whitespace) => {
            *text = format!("({} bytes)", text.len());
        }
        Value::Array(items) => items.iter_mut().for_each(shorten),
        Value::Object(fields) => fields.values_mut().for_each(shorten),
        _ => {}
    }
}
