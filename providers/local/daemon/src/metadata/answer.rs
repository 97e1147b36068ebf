//! The metadata server's responses: formats, headers, and ETags for detecting changes.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;

use super::tree::Node;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Asked {
    recursive: String,
    alt: String,
    wait_for_change: String,
    last_etag: String,
    timeout_sec: Option<u64>,
}

impl Asked {
    fn is_recursive(&self) -> bool {
        self.recursive.eq_ignore_ascii_case("true")
    }

    /// The ETag that the client knows, if it wants to wait for a change and there was none yet.
    pub fn waits_for_other_than(&self, now: &Found) -> Option<String> {
        let waits = self.wait_for_change.eq_ignore_ascii_case("true");
        let is_known = self.last_etag.is_empty() || self.last_etag == now.etag();
        (waits && is_known).then(|| now.etag())
    }

    /// Resolves when the client wants a response in any case.
    pub async fn timeout(&self) {
        match self.timeout_sec {
            Some(seconds) if seconds > 0 => tokio::time::sleep(Duration::from_secs(seconds)).await,
            _ => std::future::pending().await,
        }
    }
}

#[derive(Debug)]
pub enum Found {
    /// Content of this type.
    Content(&'static str, String),
    /// A directory requested without a trailing slash: the redirect's target.
    Elsewhere(String),
    Nothing,
}

/// Where the metadata is.
pub const ROOT: &str = "/computeMetadata/v1";
const TEXT: &str = "application/text";
const JSON: &str = "application/json";

/// Looks up a path (below `/computeMetadata/v1`) in a machine's metadata.
pub fn find(tree: Option<&Node>, path: &str, asked: &Asked) -> Found {
    let has_slash = path.ends_with('/');
    let names = path.trim_matches('/');
    let names = names.split('/').filter(|_| !names.is_empty());
    let Some(node) = tree.and_then(|tree| tree.at(names)) else {
        return Found::Nothing;
    };
    match (
        node.is_directory(),
        asked.is_recursive(),
        asked.alt.as_str(),
    ) {
        (false, _, "json") => Found::Content(JSON, node.as_json().to_string()),
        (false, ..) if has_slash => Found::Nothing,
        (false, ..) => match node {
            Node::Hidden(_) => Found::Content(JSON, node.as_text()),
            _ => Found::Content(TEXT, node.as_text()),
        },
        (true, true, "text") => Found::Content(TEXT, node.as_lines()),
        (true, true, _) => Found::Content(JSON, node.as_json().to_string()),
        (true, false, _) if has_slash => Found::Content(TEXT, node.as_text()),
        (true, false, _) => Found::Elsewhere(format!("{ROOT}{path}/")),
    }
}

impl Found {
    /// The ETag, a hash of the content.
    pub fn etag(&self) -> String {
        let mut hasher = DefaultHasher::new();
        match self {
            Self::Content(_, content) => content.hash(&mut hasher),
            Self::Elsewhere(path) => path.hash(&mut hasher),
            Self::Nothing => {}
        }
        format!("{:016x}", hasher.finish())
    }

    pub fn into_response(self) -> Response {
        let etag = self.etag();
        match self {
            Self::Content(kind, content) => {
                let headers = [
                    (header::CONTENT_TYPE, kind.to_owned()),
                    (header::ETAG, etag),
                ];
                own((StatusCode::OK, headers, content).into_response())
            }
            Self::Elsewhere(path) => {
                let headers = [(header::LOCATION, path)];
                own((StatusCode::MOVED_PERMANENTLY, headers).into_response())
            }
            Self::Nothing => refusal(StatusCode::NOT_FOUND, "Not found."),
        }
    }
}

/// The paths above the metadata. Clients request `/` to detect a metadata server.
pub fn above_root(path: &str) -> Response {
    let listing = match path {
        "/" => "computeMetadata/\n",
        "/computeMetadata/" => "v1/\n",
        _ => return refusal(StatusCode::NOT_FOUND, "Not found."),
    };
    let headers = [(header::CONTENT_TYPE, TEXT)];
    own((StatusCode::OK, headers, listing).into_response())
}

/// A guest attribute was stored or removed.
pub fn done() -> Response {
    own(StatusCode::OK.into_response())
}

/// An error response with the reason.
pub fn refusal(status: StatusCode, why: &str) -> Response {
    own((status, format!("{why}\n")).into_response())
}

/// Adds the header that identifies a metadata server.
fn own(mut response: Response) -> Response {
    let headers = response.headers_mut();
    let google = header::HeaderValue::from_static("Google");
    headers.insert("metadata-flavor", google);
    let server = header::HeaderValue::from_static("Metadata Server for VM");
    headers.insert(header::SERVER, server);
    response
}
