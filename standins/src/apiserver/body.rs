//! Request bodies: read, bounded, decoded.

use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::{HeaderMap, Request, header};
use serde_json::Value;

use super::protobuf;
use super::status::{ApiError, ApiResult};

/// kube-apiserver's own limit.
const LIMIT: usize = 3 * 1024 * 1024;

/// The media type of a request, without parameters.
pub fn media_type(headers: &HeaderMap) -> String {
    let value = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    value
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase()
}

/// Reads a whole body.
pub async fn read(request: Request<Incoming>) -> ApiResult<bytes::Bytes> {
    match Limited::new(request.into_body(), LIMIT).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(ApiError::too_large(LIMIT)),
        Err(error) => Err(ApiError::bad_request(format!(
            "the request's body could not be read: {error}"
        ))),
    }
}

/// Decodes an object. An empty body is null.
pub fn decode(media_type: &str, body: &[u8]) -> ApiResult<Value> {
    if body.is_empty() {
        return Ok(Value::Null);
    }
    let unreadable = |error: &dyn std::fmt::Display| {
        ApiError::bad_request(format!("the object provided is unrecognized: {error}"))
    };
    match media_type {
        ""
        | "*/*"
        | "application/json"
        | "application/merge-patch+json"
        | "application/strategic-merge-patch+json"
        | "application/json-patch+json" => {
            serde_json::from_slice(body).map_err(|error| unreadable(&error))
        }
        "application/yaml" | "application/apply-patch+yaml" => {
            let text = std::str::from_utf8(body).map_err(|error| unreadable(&error))?;
            // Clients send JSON under this name as often as YAML, and it parses faster.
            serde_json::from_str(text)
                .or_else(|_| serde_saphyr::from_str(text))
                .map_err(|error| unreadable(&error))
        }
        protobuf::MEDIA_TYPE => protobuf::decode(body).map_err(|error| unreadable(&error)),
        other => Err(ApiError::unsupported_media_type(other)),
    }
}
