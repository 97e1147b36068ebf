//! The HTTP server: access checks and routes.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Uri, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use hakube_local_compute::Cloud;
use hakube_local_resources::ApiError;
use subtle::ConstantTimeEq as _;

use crate::exchanges::{self, Exchanges};
use crate::identity::{self, Identity};
use crate::{admin, admin_faults, batch, inject};

/// The access checks. The API runs programs for its callers, so other users of this host and pages in a
/// browser are rejected.
#[derive(Clone)]
pub struct Guard(Arc<Secrets>);

struct Secrets {
    token: String,
    address: SocketAddr,
}

impl Guard {
    /// Admits requests with this token and for this address.
    pub fn new(token: String, address: SocketAddr) -> Self {
        Self(Arc::new(Secrets { token, address }))
    }

    /// Rejects requests of pages in a browser.
    fn check_origin(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        if headers.contains_key(header::ORIGIN) {
            return Err(ApiError::not_admitted(
                "Requests from web pages are not served.",
            ));
        }
        if !self.is_own_host(headers) {
            return Err(ApiError::not_admitted(format!(
                "The Host header must be {}: a name that only resolves to this address is not served.",
                self.0.address
            )));
        }
        Ok(())
    }

    fn check(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        self.check_origin(headers)?;
        let sent = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer "))
            .unwrap_or_default();
        if bool::from(sent.as_bytes().ct_eq(self.0.token.as_bytes())) {
            Ok(())
        } else {
            Err(ApiError::unauthorized())
        }
    }

    /// With or without the port: Google's Rust client omits it.
    fn is_own_host(&self, headers: &HeaderMap) -> bool {
        let host = headers
            .get(header::HOST)
            .and_then(|value| value.to_str().ok());
        let address = self.0.address;
        host.is_some_and(|host| host == address.to_string() || host == address.ip().to_string())
    }
}

/// The whole API.
pub fn app(cloud: Cloud, guard: Guard, identity: Identity, exchanges: Option<Exchanges>) -> Router {
    let handlers = Router::new()
        .merge(hakube_local_compute::routes())
        .merge(admin::routes())
        .merge(admin_faults::routes())
        .fallback(unknown)
        .method_not_allowed_fallback(unknown);
    // Responses of fault rules are wrong on purpose, so they aren't recorded.
    let handlers = match exchanges {
        Some(to) => handlers.layer(middleware::from_fn_with_state(to, exchanges::record)),
        None => handlers,
    };
    let api = handlers
        .layer(middleware::from_fn_with_state(
            cloud.clone(),
            inject::inject,
        ))
        .with_state(cloud);
    api.clone()
        .merge(batch::routes(api))
        .layer(middleware::from_fn_with_state(guard.clone(), admit))
        .merge(
            identity::routes(identity)
                .layer(middleware::from_fn_with_state(guard, admit_without_token)),
        )
}

/// Requests without a token: they reveal no secret and change nothing.
async fn admit_without_token(
    State(guard): State<Guard>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    guard.check_origin(request.headers())?;
    Ok(next.run(request).await)
}

async fn admit(
    State(guard): State<Guard>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    guard.check(request.headers())?;
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    // In a separate task: if a client dies in mid-request, its connection's task ends, and an accepted
    // change would stay half-done and locked for ever.
    let answer = tokio::spawn(next.run(request)).await;
    let answer = answer.map_err(|stopped| ApiError::backend(stopped.to_string()))?;
    tracing::debug!(%method, path, status = answer.status().as_u16());
    Ok(answer)
}

async fn unknown(method: axum::http::Method, uri: Uri) -> ApiError {
    let path = uri.path();
    if path.starts_with("/compute/") || path.starts_with("/batch/") {
        ApiError::not_emulated(format_args!("{method} {path}"))
    } else {
        ApiError::unknown(format!("No such method: {method} {path}."))
    }
}
