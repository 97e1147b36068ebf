//! A web server for a directory of artifacts. It serves files, or byte ranges of them.

use super::beneath::{Refusal, Root};
use super::verify::glance;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use hakube_error::{Error, Result};
use hakube_output as output;
use jiff::Timestamp;
use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio_util::sync::CancellationToken;

/// The size of the buffer for each client.
const BLOCK: usize = 256 << 10;
/// The grace period of downloads when the server stops: clients can resume elsewhere or later.
const GRACE: Duration = Duration::from_secs(2);

/// Serves until `stop`. Calls `ready` with the address.
///
/// # Errors
/// The directory wasn't filled by fetch, or the address can't be listened on.
pub async fn serve(
    directory: &Path,
    listen: SocketAddr,
    stop: CancellationToken,
    ready: impl FnOnce(SocketAddr, usize),
) -> Result<()> {
    let root = Root::open(directory).map_err(|error| {
        Error::bad_input(format!("could not read {}", directory.display())).because(error)
    })?;
    let files = glance(directory, &root)?;
    let failed = |error: std::io::Error| {
        Error::bad_input(format!("could not listen on {listen}"))
            .because(error)
            .hint("use another address: --listen ADDRESS:PORT")
    };
    let listener = tokio::net::TcpListener::bind(listen)
        .await
        .map_err(failed)?;
    ready(listener.local_addr().map_err(failed)?, files);
    let app = Router::new().fallback(answer).with_state(Arc::new(root));
    let service = app.into_make_service_with_connect_info::<SocketAddr>();
    let served = axum::serve(listener, service)
        .with_graceful_shutdown(stop.clone().cancelled_owned())
        .into_future();
    let ended = async {
        stop.cancelled().await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        served = served => served.map_err(failed),
        () = ended => Ok(()),
    }
}

async fn answer(
    State(root): State<Arc<Root>>,
    ConnectInfo(client): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    let (method, uri) = (request.method(), request.uri());
    let answer = match path(uri.path()) {
        _ if !matches!(*method, Method::GET | Method::HEAD) => (
            StatusCode::METHOD_NOT_ALLOWED,
            [(header::ALLOW, "GET, HEAD")],
        )
            .into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
        Some(path) => match root.file(&path) {
            Ok((file, size)) => {
                content(file, size, request.headers(), method == Method::HEAD).await
            }
            Err(Refusal::Absent | Refusal::Outside) => StatusCode::NOT_FOUND.into_response(),
            Err(Refusal::Unreadable(_)) => StatusCode::FORBIDDEN.into_response(),
        },
    };
    let length = answer.headers().get(header::CONTENT_LENGTH);
    let length = length
        .and_then(|length| length.to_str().ok())
        .unwrap_or("0");
    // The path as requested, with unprintable characters still encoded.
    output::print_note(&format!(
        "{:.0} {client} {method} {} {} {length}",
        Timestamp::now(),
        uri.path(),
        answer.status().as_u16()
    ));
    answer
}

/// The file that a URL's path names. The kernel refuses paths that lead outside; this refuses paths
/// that no fetched file can have.
fn path(url: &str) -> Option<PathBuf> {
    let decoded = percent_encoding::percent_decode_str(url.strip_prefix('/')?)
        .decode_utf8()
        .ok()?;
    let is_plain = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.contains('\0');
    decoded
        .split('/')
        .all(is_plain)
        .then(|| PathBuf::from(&*decoded))
}

async fn content(file: File, size: u64, headers: &HeaderMap, is_head: bool) -> Response {
    let range = headers
        .get(header::RANGE)
        .and_then(|range| range.to_str().ok());
    let Ok((from, until)) = range.map_or(Ok((0, size)), |range| part(range, size)) else {
        let sizes = [(header::CONTENT_RANGE, format!("bytes */{size}"))];
        return (StatusCode::RANGE_NOT_SATISFIABLE, sizes).into_response();
    };
    let is_whole = (from, until) == (0, size);
    let mut file = tokio::fs::File::from_std(file);
    if from > 0 && file.seek(std::io::SeekFrom::Start(from)).await.is_err() {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    let body = if is_head {
        Body::empty()
    } else {
        blocks(file.take(until - from))
    };
    let mut answer = Response::new(body);
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(until - from));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    let kind = HeaderValue::from_static("application/octet-stream");
    headers.insert(header::CONTENT_TYPE, kind);
    if !is_whole {
        let range = format!("bytes {from}-{}/{size}", until.saturating_sub(1));
        if let Ok(range) = HeaderValue::try_from(range) {
            headers.insert(header::CONTENT_RANGE, range);
        }
        *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    answer
}

/// The first byte, and the one after the last. Several ranges, and malformed ones, mean the whole
/// file, as HTTP allows (RFC 9110, 14.2). A range that begins beyond the end is an error.
fn part(range: &str, size: u64) -> std::result::Result<(u64, u64), ()> {
    let whole = Ok((0, size));
    let Some((from, to)) = range
        .strip_prefix("bytes=")
        .and_then(|range| range.split_once('-'))
    else {
        return whole;
    };
    let number = |text: &str| text.trim().parse::<u64>().ok();
    match (number(from), number(to)) {
        (Some(from), _) if from >= size => Err(()),
        (Some(from), None) if to.trim().is_empty() => Ok((from, size)),
        (Some(from), Some(to)) if from <= to => Ok((from, size.min(to.saturating_add(1)))),
        (None, Some(0)) if from.trim().is_empty() => Err(()),
        (None, Some(last)) if from.trim().is_empty() => Ok((size.saturating_sub(last), size)),
        _ => whole,
    }
}

fn blocks(file: tokio::io::Take<tokio::fs::File>) -> Body {
    Body::from_stream(futures::stream::try_unfold(file, async |mut file| {
        let mut block = vec![0; BLOCK];
        let read = file.read(&mut block).await?;
        block.truncate(read);
        let block = (read > 0).then(|| (Bytes::from(block), file));
        Ok::<_, std::io::Error>(block)
    }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_a_file_below_or_none() {
        let plain = |url| path(url).map(|path| path.display().to_string());
        assert_eq!(plain("/etcd/v1/a%2Db.tgz").unwrap(), "etcd/v1/a-b.tgz");
        for url in [
            "/",
            "",
            "etcd",
            "//etc/passwd",
            "/../x",
            "/a/../x",
            "/%2e%2e/x",
            "/a/%2E%2E%2Fx",
            "/a%2f..%2fx",
            "/.hidden",
            "/a%00b",
            "/a/",
            "/%ff",
        ] {
            assert_eq!(plain(url), None, "{url}");
        }
    }

    #[test]
    fn ranges_are_those_of_http() {
        let table = [
            ("bytes=0-", Ok((0, 10))),
            ("bytes=3-", Ok((3, 10))),
            ("bytes=3-5", Ok((3, 6))),
            ("bytes=3-99", Ok((3, 10))),
            ("bytes=3-18446744073709551615", Ok((3, 10))),
            ("bytes=-4", Ok((6, 10))),
            ("bytes=-99", Ok((0, 10))),
            ("bytes=10-", Err(())),
            ("bytes=-0", Err(())),
            // Ranges that aren't understood.
            ("bytes=5-3", Ok((0, 10))),
            ("bytes=1-2,4-5", Ok((0, 10))),
            ("bytes=x-", Ok((0, 10))),
            ("lines=1-2", Ok((0, 10))),
        ];
        for (range, wanted) in table {
            assert_eq!(part(range, 10), wanted, "{range}");
        }
    }
}
