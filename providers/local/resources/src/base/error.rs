//! Compute Engine's errors.

use axum_core::response::{IntoResponse, Response};
use http::{StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// An error response. The wordings are Compute Engine's; programs match on them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// HTTP status code.
    pub status: u16,
    /// Machine-readable reason, in the API's camelCase.
    pub reason: String,
    /// The message.
    pub message: String,
}

impl ApiError {
    fn new(status: StatusCode, reason: &str, message: impl Into<String>) -> Self {
        Self {
            status: status.as_u16(),
            reason: reason.to_owned(),
            message: message.into(),
        }
    }

    /// 409: the name is taken. `path` is `projects/P/zones/Z/...`.
    pub fn exists(path: &str) -> Self {
        let message = format!("The resource '{path}' already exists");
        Self::new(StatusCode::CONFLICT, "alreadyExists", message)
    }

    /// 404: no such resource.
    pub fn missing(path: &str) -> Self {
        let message = format!("The resource '{path}' was not found");
        Self::new(StatusCode::NOT_FOUND, "notFound", message)
    }

    /// 400: another resource uses it.
    pub fn in_use(noun: &str, path: &str, user: &str) -> Self {
        let message = format!("The {noun} resource '{path}' is already being used by '{user}'");
        Self::new(
            StatusCode::BAD_REQUEST,
            "resourceInUseByAnotherResource",
            message,
        )
    }

    /// 403: a quota would be exceeded. `place` is `in region R`.
    pub fn quota(metric: &str, limit: f64, place: &str) -> Self {
        let message = format!("Quota '{metric}' exceeded.  Limit: {limit:.1} {place}.");
        Self::new(StatusCode::FORBIDDEN, "quotaExceeded", message)
    }

    /// 400: an operation on it is in progress.
    pub fn not_ready(path: &str) -> Self {
        let message = format!("The resource '{path}' is not ready");
        Self::new(StatusCode::BAD_REQUEST, "resourceNotReady", message)
    }

    /// 400: a field's value is invalid, with the reason.
    pub fn invalid(
        field: &str,
        value: impl std::fmt::Display,
        why: impl std::fmt::Display,
    ) -> Self {
        Self::refused(format!(
            "Invalid value for field '{field}': '{value}'. {why}"
        ))
    }

    /// 400 `invalid` with a custom message.
    pub fn refused(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid", message)
    }

    /// 400 with a custom reason.
    pub fn bad_request(reason: &str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, reason, message)
    }

    /// 412: the fingerprint is missing or stale.
    pub fn fingerprint() -> Self {
        Self::precondition("Supplied fingerprint does not match current metadata fingerprint.")
    }

    /// 412: a precondition isn't met.
    pub fn precondition(message: impl Into<String>) -> Self {
        Self::new(StatusCode::PRECONDITION_FAILED, "conditionNotMet", message)
    }

    /// 401: missing or wrong token.
    pub fn unauthorized() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "authError",
            "Request had invalid authentication credentials. Send `Authorization: Bearer` with \
             the content of this cloud's token file.",
        )
    }

    /// 401: the request is rejected whatever its token.
    pub fn not_admitted(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "authError", message)
    }

    /// 409 of the admin API: the machine is in the wrong state.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", message)
    }

    /// 404 of the admin API, with a custom message.
    pub fn unknown(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "notFound", message)
    }

    /// 400: Compute Engine has it, the emulator doesn't. It isn't a 501, because clients repeat requests that
    /// get a 5xx.
    pub fn not_emulated(what: impl std::fmt::Display) -> Self {
        let message = format!("The local cloud does not emulate {what}.");
        Self::new(StatusCode::BAD_REQUEST, "notImplemented", message)
    }

    /// 503: the emulator itself failed, for instance because the disk is full.
    pub fn backend(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "backendError", message)
    }

    /// An operation's error with this code, in `UPPER_SNAKE`.
    pub fn operation(code: &str, message: Option<String>) -> Self {
        let status = match code {
            _ if code.contains("RESOURCE_POOL_EXHAUSTED") || code == "STOCKOUT" => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            "QUOTA_EXCEEDED" | "RATE_LIMIT_EXCEEDED" => StatusCode::FORBIDDEN,
            "INTERNAL_ERROR" => StatusCode::INTERNAL_SERVER_ERROR,
            "BACKEND_ERROR" | "SERVICE_UNAVAILABLE" => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_REQUEST,
        };
        let message = message.unwrap_or_else(|| format!("Injected fault: {code}."));
        Self::new(status, code, message)
    }

    /// The error's code inside an operation: `resourceNotReady` becomes `RESOURCE_NOT_READY`.
    pub fn operation_code(&self) -> String {
        if !self.reason.contains(|c: char| c.is_ascii_lowercase()) {
            return self.reason.clone();
        }
        let mut code = String::with_capacity(self.reason.len() + 4);
        for letter in self.reason.chars() {
            if letter.is_ascii_uppercase() {
                code.push('_');
            }
            code.push(letter.to_ascii_uppercase());
        }
        code
    }

    fn body(&self) -> Value {
        json!({
            "error": {
                "code": self.status,
                "message": self.message,
                "errors": [{
                    "message": self.message,
                    "domain": "global",
                    "reason": self.reason,
                }],
            }
        })
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::BAD_REQUEST);
        let content_type = [(header::CONTENT_TYPE, "application/json")];
        (status, content_type, self.body().to_string()).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_has_compute_engines_shape() {
        let error = ApiError::in_use(
            "disk",
            "projects/p/zones/z/disks/d",
            "projects/p/zones/z/instances/i",
        );
        let body = error.body();
        assert_eq!(body["error"]["code"], 400);
        assert_eq!(
            body["error"]["errors"][0]["reason"],
            "resourceInUseByAnotherResource"
        );
        assert_eq!(
            body["error"]["message"],
            "The disk resource 'projects/p/zones/z/disks/d' is already being used by \
             'projects/p/zones/z/instances/i'"
        );
        assert_eq!(
            error.operation_code(),
            "RESOURCE_IN_USE_BY_ANOTHER_RESOURCE"
        );
    }
}
