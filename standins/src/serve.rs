//! The accept loop that all HTTPS servers here share.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rustls::ServerConfig;
use rustls_pki_types::CertificateDer;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::error::{Result, StartError};

/// Whole or streamed (watch) answer.
pub type Body = UnsyncBoxBody<Bytes, Infallible>;

/// What a client may take to finish its TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// A body that is all there.
pub fn full(content: impl Into<Bytes>) -> Body {
    Full::new(content.into()).boxed_unsync()
}

/// The certificate chain that the client showed, leaf first; empty if none. Possession of the key has
/// been proved, nothing else.
pub type PeerChain = Arc<[CertificateDer<'static>]>;

/// Binds `address` (`host:port`).
pub async fn listen(address: &str) -> Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .map_err(|source| StartError::Listen {
            address: address.to_owned(),
            source,
        })
}

/// Serves for ever: `handler` answers each request of each connection.
pub async fn serve<H, F>(listener: TcpListener, tls: Arc<ServerConfig>, handler: H)
where
    H: Fn(Request<Incoming>, PeerChain) -> F + Clone + Send + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let acceptor = TlsAcceptor::from(tls);
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(connection(acceptor.clone(), stream, handler.clone()));
            }
            // Out of file descriptors, mostly: a short rest lets others finish.
            Err(error) => {
                tracing::warn!(%error, "accept failed");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn connection<H, F>(acceptor: TlsAcceptor, stream: TcpStream, handler: H)
where
    H: Fn(Request<Incoming>, PeerChain) -> F + Clone + Send + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    stream.set_nodelay(true).ok();
    let stream = match tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        // Load balancers' TCP probes end here, every few seconds: not worth more than debug.
        Ok(Err(error)) => return tracing::debug!(%error, "TLS handshake failed"),
        Err(_) => return tracing::debug!("TLS handshake timed out"),
    };
    let chain: PeerChain = stream
        .get_ref()
        .1
        .peer_certificates()
        .unwrap_or_default()
        .iter()
        .map(|c| c.clone().into_owned())
        .collect();
    let service = service_fn(move |request| {
        let answer = handler(request, chain.clone());
        async move { Ok::<_, Infallible>(answer.await) }
    });
    if let Err(error) = auto::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(stream), service)
        .await
    {
        tracing::debug!(error = %error, "connection ended");
    }
}
