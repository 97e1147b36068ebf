//! `POST /batch/compute/v1`: several requests in one, as gcloud and Google's Python client send them.
//! <https://cloud.google.com/compute/docs/api/how-tos/batch>
//!
//! Request and response are `multipart/mixed`; each part is an `application/http` message. A part is served
//! like a separate request, so it is logged and fault rules apply to it.

use axum::Router;
use axum::body::{self, Body, Bytes};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, HeaderValue, Request, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use futures::stream;
use hakube_local_resources::ApiError;
use multer::Multipart;
use tower::ServiceExt as _;

const PATH: &str = "/batch/compute/v1";
/// Compute Engine's limit.
const MOST_PARTS: usize = 1000;
const LARGEST: usize = 64 * 1024 * 1024;
const BOUNDARY: &str = "batch_of_the_local_cloud";

/// The batch endpoint over this API.
pub fn routes(api: Router) -> Router {
    Router::new()
        .route(PATH, post(batch))
        .layer(DefaultBodyLimit::max(LARGEST))
        .with_state(api)
}

/// One request of a batch, and the content ID for its response.
struct Part {
    id: String,
    request: Request<Body>,
}

async fn batch(
    State(api): State<Router>,
    headers: HeaderMap,
    content: Bytes,
) -> Result<Response, ApiError> {
    let mut answer = Vec::new();
    // Sequential: a batch promises no order, and a fixed one keeps the log readable.
    for part in parts(&headers, content).await? {
        let served = api.clone().oneshot(part.request).await;
        let served = served.unwrap_or_else(|never| match never {});
        write(&mut answer, &part.id, served).await;
    }
    answer.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    let content_type = format!("multipart/mixed; boundary={BOUNDARY}");
    Ok(([(header::CONTENT_TYPE, content_type)], answer).into_response())
}

async fn parts(headers: &HeaderMap, content: Bytes) -> Result<Vec<Part>, ApiError> {
    let content_type = headers.get(header::CONTENT_TYPE);
    let boundary = content_type.and_then(boundary).ok_or_else(|| {
        ApiError::refused("A batch needs the content type multipart/mixed with a boundary.")
    })?;
    let content = stream::iter([Ok::<_, std::convert::Infallible>(with_crlf(&content))]);
    let mut multipart = Multipart::new(content, boundary);
    let malformed = |error: multer::Error| ApiError::refused(format!("Malformed batch: {error}"));
    let mut parts = Vec::new();
    while let Some(field) = multipart.next_field().await.map_err(malformed)? {
        if parts.len() == MOST_PARTS {
            let why = format!("The batch has more than {MOST_PARTS} requests.");
            return Err(ApiError::refused(why));
        }
        let id = field.headers().get("content-id");
        let id = id.and_then(|id| id.to_str().ok()).unwrap_or_default();
        let id = id.trim_start_matches('<').trim_end_matches('>').to_owned();
        let message = field.bytes().await.map_err(malformed)?;
        let request = request(message)
            .ok_or_else(|| ApiError::refused(format!("Part '{id}' is not an HTTP request.")))?;
        parts.push(Part { id, request });
    }
    Ok(parts)
}

/// Python's clients end lines with LF, against the standard, and Google accepts it. In the JSON bodies a
/// line end is just whitespace.
fn with_crlf(content: &[u8]) -> Bytes {
    let mut lines = Vec::with_capacity(content.len() + 256);
    for (index, line) in content.split(|byte| *byte == b'\n').enumerate() {
        if index > 0 {
            lines.extend_from_slice(b"\r\n");
        }
        lines.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
    }
    lines.into()
}

/// The boundary in a content type.
fn boundary(content_type: &HeaderValue) -> Option<String> {
    let text = content_type.to_str().ok()?;
    let parameters = text.strip_prefix("multipart/mixed")?.split(';');
    let mut boundaries =
        parameters.filter_map(|parameter| parameter.trim().strip_prefix("boundary="));
    Some(boundaries.next()?.trim_matches('"').to_owned())
}

/// Parses an HTTP request. Headers about the connection and the sender are dropped: a part has neither.
fn request(message: Bytes) -> Option<Request<Body>> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut parsed = httparse::Request::new(&mut headers);
    // Some clients omit the empty line when there is no body.
    let mut text = message.to_vec();
    text.extend_from_slice(b"\r\n\r\n");
    let httparse::Status::Complete(head) = parsed.parse(&text).ok()? else {
        return None;
    };
    let path = parsed.path?;
    // Some clients write the whole URL.
    let path = path.find("/compute/").map_or(path, |at| &path[at..]);
    let mut request = Request::builder().method(parsed.method?).uri(path);
    for header in parsed.headers {
        if header.name.eq_ignore_ascii_case("content-type")
            || header.name.eq_ignore_ascii_case("x-goog-api-client")
        {
            request = request.header(header.name, header.value);
        }
    }
    let body = message.slice(head.min(message.len())..);
    request.body(Body::from(body)).ok()
}

async fn write(to: &mut Vec<u8>, id: &str, answer: Response) {
    let (head, content) = answer.into_parts();
    // A fault rule wants to break the connection, but this part of the batch has no connection of its own.
    let content = body::to_bytes(content, usize::MAX)
        .await
        .unwrap_or_default();
    let status = head.status;
    let text = format!(
        "--{BOUNDARY}\r\nContent-Type: application/http\r\nContent-ID: <response-{id}>\r\n\r\n\
         HTTP/1.1 {} {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        status.as_u16(),
        status.canonical_reason().unwrap_or_default(),
        content.len(),
    );
    to.extend_from_slice(text.as_bytes());
    to.extend_from_slice(&content);
    to.extend_from_slice(b"\r\n");
}
