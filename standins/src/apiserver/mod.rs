//! A stand-in for kube-apiserver: HTTPS in front of this replica's etcd. Stateless, so any number can run in
//! parallel.

mod auth;
mod discovery;
mod objects;
mod protobuf;
mod request;
mod serve;
mod status;
mod store;
mod table;
mod tls;

use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::{HeaderMap, Request, Response, StatusCode, header};
use tokio_util::sync::CancellationToken;

use self::auth::Authenticator;
use self::request::Call;
use self::serve::{Body, PeerChain, respond};
use self::status::{ApiError, ApiResult};
use self::store::Store;
use crate::Result;
use crate::flags::Flags;
use crate::version::Version;

/// How long etcd may take before the server counts as not ready.
const ETCD_TIMEOUT: Duration = Duration::from_secs(2);
/// kube-apiserver's own limit of a request's body.
const BODY_LIMIT: usize = 3 * 1024 * 1024;

/// State shared by all requests.
struct ApiServer {
    store: Store,
    authenticator: Authenticator,
    version: Version,
    stopping: CancellationToken,
}

/// Serves until the process ends. Listens before etcd responds; /readyz reports when it does. Once `stopping` is
/// cancelled, /readyz fails, and connections close after their next response.
pub async fn run(flags: &Flags, version: Version, stopping: CancellationToken) -> Result<()> {
    let store = Store::connect(flags).await?;
    let client_ca = tls::client_verifier(&flags.read("client-ca-file")?)
        .map_err(|why| format!("--client-ca-file: {why}"))?;
    let config = tls::server(
        flags.path("tls-cert-file")?,
        flags.path("tls-private-key-file")?,
        Arc::clone(&client_ca),
    )?;
    let server = Arc::new(ApiServer {
        authenticator: Authenticator {
            client_ca,
            bootstrap_tokens: flags.bool("enable-bootstrap-token-auth"),
        },
        store: store.clone(),
        version,
        stopping: stopping.clone(),
    });
    let interval = flags.span("etcd-compaction-interval", 300);
    if !interval.is_zero() {
        tokio::spawn(compact(store, interval));
    }
    let (address, port) = (
        flags.required("bind-address")?,
        flags.required("secure-port")?,
    );
    serve::serve(
        &format!("{address}:{port}"),
        config,
        &stopping,
        move |request, chain| {
            let server = Arc::clone(&server);
            async move {
                let answer = server.answer(request, chain).await;
                answer.unwrap_or_else(|error| error.response())
            }
        },
    )
    .await
}

/// Compacts, every `interval`, to the revision of one interval ago: leases are renewed every few seconds, and
/// each renewal is a revision. Several API servers compact to almost the same revision, which does no harm.
async fn compact(store: Store, interval: Duration) {
    let mut target = 0;
    loop {
        tokio::time::sleep(interval).await;
        match store.compact(target).await {
            Ok(now) => target = now,
            Err(error) => tracing::warn!(%error, "compaction failed"),
        }
    }
}

impl ApiServer {
    async fn answer(
        &self,
        request: Request<Incoming>,
        chain: PeerChain,
    ) -> ApiResult<Response<Body>> {
        let (head, body) = request.into_parts();
        let (method, headers) = (head.method, head.headers);
        let user = self
            .authenticator
            .authenticate(&chain, bearer(&headers), &self.store)
            .await?;
        let impersonates = |name: &header::HeaderName| name.as_str().starts_with("impersonate-");
        if headers.keys().any(impersonates) {
            return Err(ApiError::forbidden(
                "hakube's stand-in doesn't support impersonation",
            ));
        }
        let segments = request::segments(head.uri.path());
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        match segments.as_slice() {
            ["livez"] => return Ok(plain(StatusCode::OK, "ok")),
            ["readyz"] if self.stopping.is_cancelled() => {
                let code = StatusCode::INTERNAL_SERVER_ERROR;
                return Ok(plain(
                    code,
                    "[-]shutdown failed: process is shutting down\n",
                ));
            }
            ["readyz" | "healthz"] => return Ok(self.health().await),
            ["version"] => return Ok(serve::json(StatusCode::OK, &self.version.info())),
            _ if !user.is_authenticated() => {
                return Err(ApiError::forbidden("anonymous users see only health"));
            }
            path => {
                if let Some(answer) = discovery::answer(path) {
                    return Ok(answer);
                }
            }
        }
        let call = Call::parse(&method, &segments, head.uri.query())?;
        user.authorize(&call)?;
        let media_type = text(&headers, &header::CONTENT_TYPE);
        let body = read(body).await?;
        let (code, mut answer) = objects::answer(&self.store, &call, media_type, &body).await?;
        if table::is_wanted(&call, text(&headers, &header::ACCEPT)) {
            answer = table::of(&answer, jiff::Timestamp::now());
        }
        Ok(serve::json(code, &answer))
    }

    /// Whether etcd responds. A learner's doesn't. Liveness doesn't depend on etcd: a restart of this process
    /// wouldn't fix etcd.
    async fn health(&self) -> Response<Body> {
        match self.store.ping(ETCD_TIMEOUT).await {
            Ok(()) => plain(StatusCode::OK, "ok"),
            Err(error) => plain(
                StatusCode::INTERNAL_SERVER_ERROR,
                format!("[-]etcd failed: {error}\n"),
            ),
        }
    }
}

fn plain(code: StatusCode, content: impl Into<Bytes>) -> Response<Body> {
    respond(code, "text/plain; charset=utf-8", content)
}

async fn read(body: Incoming) -> ApiResult<Bytes> {
    let body = Limited::new(body, BODY_LIMIT).collect().await;
    let body = body.map_err(|error| ApiError::bad_request(format!("the body: {error}")))?;
    Ok(body.to_bytes())
}

/// A header's value; empty if absent.
fn text<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> &'a str {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default()
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = text(headers, &header::AUTHORIZATION).split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
