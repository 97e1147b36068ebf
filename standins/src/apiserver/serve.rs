//! The HTTPS server: its accept loop and responses.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use rustls_pki_types::CertificateDer;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::Result;

pub type Body = Full<Bytes>;

/// How long a client may take for its TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// The client's certificate chain, leaf first; empty if none. Only possession of the key has been verified.
pub type PeerChain = Arc<[CertificateDer<'static>]>;

/// Serves for ever: `handler` handles each request of each connection. Once `stopping` is cancelled, connections close
/// after their next response.
///
/// # Errors
/// The address is in use, or isn't this machine's.
pub async fn serve<H, F>(
    address: &str,
    tls: Arc<ServerConfig>,
    stopping: &CancellationToken,
    handler: H,
) -> Result<()>
where
    H: Fn(Request<Incoming>, PeerChain) -> F + Clone + Send + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| format!("can't listen on {address}: {error}"))?;
    tracing::info!(address, "serving");
    let acceptor = TlsAcceptor::from(tls);
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let (acceptor, stopping) = (acceptor.clone(), stopping.clone());
                tokio::spawn(connection(acceptor, stream, stopping, handler.clone()));
            }
            // Usually out of file descriptors: pause until others are closed.
            Err(error) => {
                tracing::warn!(%error, "accept failed");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn connection<H, F>(
    acceptor: TlsAcceptor,
    stream: TcpStream,
    stopping: CancellationToken,
    handler: H,
) where
    H: Fn(Request<Incoming>, PeerChain) -> F + Clone + Send + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    stream.set_nodelay(true).ok();
    // Load balancers' TCP probes fail here every few seconds, and clients disconnect: no message.
    let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await
    else {
        return;
    };
    let chain: PeerChain = stream
        .get_ref()
        .1
        .peer_certificates()
        .unwrap_or_default()
        .iter()
        .map(|certificate| certificate.clone().into_owned())
        .collect();
    let service = service_fn(move |request| {
        let answer = handler(request, Arc::clone(&chain));
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let serving = http1::Builder::new()
        .keep_alive(!stopping.is_cancelled())
        .serve_connection(TokioIo::new(stream), service);
    let mut serving = std::pin::pin!(serving);
    tokio::select! {
        _ = serving.as_mut() => return,
        // Not for a connection that began afterwards: it may not have received its only request yet.
        () = stopping.cancelled(), if !stopping.is_cancelled() => {}
    }
    serving.as_mut().graceful_shutdown();
    serving.await.ok();
}

/// A response with an object.
pub fn json(code: StatusCode, value: &Value) -> Response<Body> {
    respond(code, "application/json", value.to_string())
}

/// A response with any content.
pub fn respond(
    code: StatusCode,
    content_type: &'static str,
    content: impl Into<Bytes>,
) -> Response<Body> {
    let mut response = Response::new(Full::new(content.into()));
    *response.status_mut() = code;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    response
}
