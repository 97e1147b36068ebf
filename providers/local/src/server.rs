//! The HTTP server: who gets in, and what is where.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Uri, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use subtle::ConstantTimeEq as _;

use crate::cloud::Cloud;
use crate::compute::error::ApiError;
use crate::exchanges::{self, Exchanges};
use crate::{admin, batch, compute, faults};

/// Who gets in. The API runs programs for whoever calls it, so neither another user of this
/// machine nor a page in a browser may.
#[derive(Clone)]
pub struct Guard(Arc<Secrets>);

struct Secrets {
    token: String,
    address: SocketAddr,
}

impl Guard {
    /// Lets in who has this token and asks for this address.
    pub fn new(token: String, address: SocketAddr) -> Self {
        Self(Arc::new(Secrets { token, address }))
    }

    fn check(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        if headers.contains_key(header::ORIGIN) {
            return Err(ApiError::not_admitted(
                "Requests of web pages are not served.",
            ));
        }
        if !self.is_own_host(headers) {
            return Err(ApiError::not_admitted(format!(
                "The Host header must be {}: a name that only resolves to this address is not served.",
                self.0.address
            )));
        }
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

    /// With or without the port: Google's own Rust client leaves it out.
    fn is_own_host(&self, headers: &HeaderMap) -> bool {
        let host = headers
            .get(header::HOST)
            .and_then(|value| value.to_str().ok());
        let address = self.0.address;
        host.is_some_and(|host| host == address.to_string() || host == address.ip().to_string())
    }
}

/// All of it.
pub fn app(cloud: Cloud, guard: Guard, exchanges: Option<Exchanges>) -> Router {
    let handlers = Router::new()
        .merge(compute::routes())
        .merge(admin::routes())
        .merge(faults::routes())
        .fallback(unknown)
        .method_not_allowed_fallback(unknown);
    // What fault rules answer is meant to be wrong: it isn't recorded.
    let handlers = match exchanges {
        Some(to) => handlers.layer(middleware::from_fn_with_state(to, exchanges::record)),
        None => handlers,
    };
    let api = handlers
        .layer(middleware::from_fn_with_state(
            cloud.clone(),
            faults::inject,
        ))
        .with_state(cloud);
    api.clone()
        .merge(batch::routes(api))
        .layer(middleware::from_fn_with_state(guard, admit))
}

async fn admit(
    State(guard): State<Guard>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    guard.check(request.headers())?;
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    // In a task of its own: a caller that is killed in mid-request takes its connection's task with it,
    // and what was accepted by then would stay half done, and busy, for ever.
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
        ApiError::unknown(format!("There is no {method} {path}."))
    }
}
