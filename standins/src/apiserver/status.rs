//! Failures in the API's own form: a `Status` object, with Kubernetes' reasons and wording.

use hyper::{Response, StatusCode, header};
use serde_json::{Value, json};

use super::resources::Resource;
use crate::serve::{Body, full};

/// A failed request.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{code} {reason}: {message}")]
pub struct ApiError {
    /// HTTP status.
    pub code: StatusCode,
    /// Machine-readable reason, as in `metav1.StatusReason`.
    pub reason: &'static str,
    /// What kubectl prints.
    pub message: String,
    /// `metav1.StatusDetails`, or null.
    pub details: Value,
}

/// What a handler comes back with.
pub type ApiResult<T> = Result<T, ApiError>;

fn details(resource: &Resource, name: &str) -> Value {
    json!({"name": name, "group": resource.group, "kind": resource.plural})
}

impl ApiError {
    fn new(code: StatusCode, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            reason,
            message: message.into(),
            details: Value::Null,
        }
    }

    fn with_details(mut self, details: Value) -> Self {
        self.details = details;
        self
    }

    /// 400: the request makes no sense, whatever the state.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadRequest", message)
    }

    /// 401: credentials were shown, and they are wrong.
    pub fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "Unauthorized", "Unauthorized")
    }

    /// 403.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "Forbidden", message)
    }

    /// 403 for one object, for reasons of content rather than of who asks.
    pub fn forbidden_object(resource: &Resource, name: &str, why: &str) -> Self {
        Self::forbidden(format!(
            "{} {name:?} is forbidden: {why}",
            resource.qualified()
        ))
        .with_details(details(resource, name))
    }

    /// 404 for a path that isn't served.
    pub fn no_such_path() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "NotFound",
            "the server could not find the requested resource",
        )
        .with_details(json!({}))
    }

    /// 404 for an object.
    pub fn not_found(resource: &Resource, name: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "NotFound",
            format!("{} {name:?} not found", resource.qualified()),
        )
        .with_details(details(resource, name))
    }

    /// 405.
    pub fn method_not_allowed() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "MethodNotAllowed",
            "the server does not allow this method on the requested resource",
        )
        .with_details(json!({}))
    }

    /// 409: created by somebody else before.
    pub fn already_exists(resource: &Resource, name: &str) -> Self {
        Self::new(
            StatusCode::CONFLICT,
            "AlreadyExists",
            format!("{} {name:?} already exists", resource.qualified()),
        )
        .with_details(details(resource, name))
    }

    /// 409: the writer had seen an older version.
    pub fn conflict(resource: &Resource, name: &str) -> Self {
        Self::conflict_because(
            resource,
            name,
            "the object has been modified; please apply your changes to the latest version and try again",
        )
    }

    /// 409: a precondition of the request isn't met.
    pub fn conflict_because(resource: &Resource, name: &str, why: &str) -> Self {
        Self::new(
            StatusCode::CONFLICT,
            "Conflict",
            format!(
                "Operation cannot be fulfilled on {} {name:?}: {why}",
                resource.qualified()
            ),
        )
        .with_details(details(resource, name))
    }

    /// 410: the revision asked for has been compacted away.
    pub fn expired(message: impl Into<String>) -> Self {
        Self::new(StatusCode::GONE, "Expired", message)
    }

    /// 413.
    pub fn too_large(limit: usize) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "RequestEntityTooLarge",
            format!("Request entity too large: limit is {limit}"),
        )
    }

    /// 415.
    pub fn unsupported_media_type(given: &str) -> Self {
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "UnsupportedMediaType",
            format!(
                "the body of the request was in an unknown format - {given:?}; this stand-in reads application/json, \
                 application/yaml, application/merge-patch+json, application/strategic-merge-patch+json and \
                 application/apply-patch+yaml"
            ),
        )
    }

    /// 422: a field's value is wrong. `causes` are (field, problem).
    pub fn invalid(resource: &Resource, name: &str, causes: &[(String, String)]) -> Self {
        let list: Vec<_> = causes
            .iter()
            .map(|(field, problem)| format!("{field}: {problem}"))
            .collect();
        let all = if let [one] = list.as_slice() {
            one.clone()
        } else {
            format!("[{}]", list.join(", "))
        };
        let causes: Vec<_> = causes
            .iter()
            .map(|(field, problem)| json!({"reason": "FieldValueInvalid", "message": problem, "field": field}))
            .collect();
        let kind = resource.kind;
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "Invalid",
            format!("{kind} {name:?} is invalid: {all}"),
        )
        .with_details(
            json!({"name": name, "group": resource.group, "kind": kind, "causes": causes}),
        )
    }

    /// 500: etcd, mostly.
    pub fn internal(message: impl std::fmt::Display) -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "InternalError",
            format!("Internal error occurred: {message}"),
        )
    }

    /// 504: whether a write was applied isn't known.
    pub fn timeout(message: impl Into<String>) -> Self {
        Self::new(StatusCode::GATEWAY_TIMEOUT, "Timeout", message)
    }

    /// The `Status` object.
    pub fn object(&self) -> Value {
        let mut status = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
        });
        if !self.details.is_null() {
            status["details"] = self.details.clone();
        }
        status["code"] = self.code.as_u16().into();
        status
    }

    /// The whole answer.
    pub fn response(&self) -> Response<Body> {
        json_response(self.code, &self.object())
    }
}

/// The `Status` that answers a deletion.
pub fn deleted(resource: &Resource, name: &str, uid: &Value) -> Value {
    let mut details = details(resource, name);
    details["uid"] = uid.clone();
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})
}

/// A JSON answer.
pub fn json_response(code: StatusCode, value: &Value) -> Response<Body> {
    respond(code, "application/json", value.to_string())
}

/// An answer of any type.
pub fn respond(
    code: StatusCode,
    content_type: &'static str,
    content: impl Into<bytes::Bytes>,
) -> Response<Body> {
    let mut response = Response::new(full(content));
    *response.status_mut() = code;
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static(content_type),
    );
    headers.insert(
        header::CACHE_CONTROL,
        header::HeaderValue::from_static("no-cache, private"),
    );
    response
}
