//! A stand-in for kube-apiserver: HTTPS in front of this replica's etcd.
//!
//! Stateless but for what etcd keeps, so that any number of them may run side by side. Not offered:
//! admission webhooks, RBAC evaluation, service-account tokens, aggregation, protobuf answers, OpenAPI schemas.

mod auth;
mod authz;
mod body;
mod compact;
mod discovery;
mod handlers;
mod health;
mod namespaces;
mod object;
mod present;
mod protobuf;
mod request;
mod resources;
mod selectors;
mod status;
mod storage;
mod strategy;
mod table;

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::{HeaderMap, Request, Response, header};

use self::auth::{AskOnly, Authenticator};
use self::health::Health;
use self::request::{RequestInfo, parse_query};
use self::status::{ApiError, ApiResult};
use self::storage::Store;
use crate::error::{Result, StartError};
use crate::flags::Flags;
use crate::serve::{self, Body, PeerChain};
use crate::tls;
use crate::version::Version;

/// What every request needs.
struct ApiServer {
    store: Store,
    authenticator: Authenticator,
    health: Health,
    version: Version,
}

/// Serves until the process is told to stop. Listens before etcd answers, and says so at /readyz.
pub async fn run(flags: &Flags, version: Version) -> Result<()> {
    let store = Store::connect(flags).await?;
    let client_ca = match flags.text("client-ca-file") {
        Some(_) => {
            let pem = flags.read("client-ca-file")?;
            let roots = tls::roots(&pem).map_err(|why| flags.bad_content("client-ca-file", why))?;
            Some(tls::client_verifier(roots)?)
        }
        None => None,
    };
    tls::certificates(&flags.read("tls-cert-file")?)
        .map_err(|why| flags.bad_content("tls-cert-file", why))?;
    tls::private_key(&flags.read("tls-private-key-file")?)
        .map_err(|why| flags.bad_content("tls-private-key-file", why))?;
    let path = |flag: &str| flags.path(flag).unwrap_or_default();
    let files = tls::KeyFiles::load(path("tls-cert-file"), path("tls-private-key-file"))
        .map_err(StartError::Tls)?;
    let verifier = client_ca.clone().map(|inner| Arc::new(AskOnly(inner)) as _);
    let config = tls::server_of_files(files, verifier)?;

    let address = flags.listen_address()?;
    let listener = serve::listen(&address).await?;
    let server = Arc::new(ApiServer {
        health: Health::new(store.clone()),
        authenticator: Authenticator {
            client_ca,
            bootstrap_tokens: flags.bool("enable-bootstrap-token-auth"),
            anonymous: flags.bool("anonymous-auth"),
        },
        store: store.clone(),
        version,
    });
    tracing::info!(%address, "serving");

    let bootstrap = server.clone();
    tokio::spawn(async move {
        namespaces::ensure_built_in(&bootstrap.store).await;
        bootstrap.health.bootstrapped();
    });
    let interval = flags.duration("etcd-compaction-interval");
    if !interval.is_zero() {
        tokio::spawn(compact::run(store, interval));
    }
    serve::serve(listener, config, move |request, chain| {
        let server = server.clone();
        async move { server.answer(request, chain).await }
    })
    .await;
    Ok(())
}

impl ApiServer {
    async fn answer(&self, request: Request<Incoming>, chain: PeerChain) -> Response<Body> {
        let line = tracing::enabled!(tracing::Level::DEBUG)
            .then(|| format!("{} {}", request.method(), request.uri()));
        let response = self
            .handle(request, chain)
            .await
            .unwrap_or_else(|error| error.response());
        if let Some(line) = line {
            tracing::debug!(status = response.status().as_u16(), "{line}");
        }
        response
    }

    async fn handle(
        &self,
        request: Request<Incoming>,
        chain: PeerChain,
    ) -> ApiResult<Response<Body>> {
        let headers = request.headers();
        let user = self
            .authenticator
            .authenticate(&chain, bearer(headers), &self.store)
            .await?;
        if headers
            .keys()
            .any(|name| name.as_str().starts_with("impersonate-"))
        {
            return Err(ApiError::forbidden(
                "impersonation is not offered by hakube's stand-in",
            ));
        }
        let query = parse_query(request.uri().query());
        let info = RequestInfo::parse(request.method(), request.uri().path(), &query);
        authz::authorize(&user, &info, request.method().as_str())?;
        match info {
            RequestInfo::Resource(info) => {
                handlers::dispatch(self, &user, info, query, request).await
            }
            RequestInfo::Path(path) => self.path(&path, &query).await,
        }
    }

    async fn path(&self, path: &str, query: &request::Query) -> ApiResult<Response<Body>> {
        if let Some(answer) = self.health.answer(path, query).await {
            return Ok(answer);
        }
        discovery::answer(path, &self.version).ok_or_else(ApiError::no_such_path)
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
