//! A layer around the Compute Engine API's handlers that applies fault rules.

use std::future::pending;
use std::io;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use hakube_local_client::{Act, Moment};
use hakube_local_compute::{Cloud, OperationFault};
use hakube_local_net::Connection;
use hakube_local_resources::ApiError;

/// Logs a request and applies the fault rules.
pub async fn inject(State(cloud): State<Cloud>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if path.starts_with("/local/") {
        return served(request, next).await;
    }
    let (ordinal, act) = cloud.faults().arrived(request.method().as_str(), path);
    let answer = match act {
        None => Some(served(request, next).await),
        Some(act) => {
            tracing::info!(method = %request.method(), path, ?act, "fault");
            carry_out(&cloud, act, request, next).await
        }
    };
    match answer {
        Some(answer) => {
            cloud.faults().answered(ordinal, answer.status().as_u16());
            answer
        }
        None => broken_off(),
    }
}

/// Runs a request to completion even if the client disconnects: nothing would finish a half-made change.
async fn served(request: Request, next: Next) -> Response {
    served_under(OperationFault::default(), request, next).await
}

async fn served_under(fault: OperationFault, request: Request, next: Next) -> Response {
    let served = tokio::spawn(fault.during(next.run(request)));
    served.await.unwrap_or_else(|error| {
        ApiError::backend(format!("The request was not served: {error}")).into_response()
    })
}

/// The response; `None` to end the connection without one.
async fn carry_out(cloud: &Cloud, act: Act, request: Request, next: Next) -> Option<Response> {
    let fault = cloud.faults().operation_fault(&act);
    match act {
        Act::OperationError { .. } | Act::OperationStuck { .. } => {
            Some(served_under(fault, request, next).await)
        }
        Act::Refuse {
            status,
            reason,
            message,
            retry_after,
            when,
        } => {
            if when == Moment::After {
                served(request, next).await;
            }
            let message = message.unwrap_or_else(|| format!("Injected fault: {reason}."));
            Some(refusal(status, reason, message, retry_after))
        }
        Act::Delay { milliseconds } => {
            tokio::time::sleep(Duration::from_millis(milliseconds)).await;
            Some(served(request, next).await)
        }
        Act::Drop { when } => {
            if when == Moment::After {
                served(request, next).await;
            }
            None
        }
        Act::Reset { when } => {
            let connection = request.extensions().get::<ConnectInfo<Connection>>();
            if let Some(ConnectInfo(connection)) = connection {
                connection.reset_at_end();
            }
            if when == Moment::After {
                served(request, next).await;
            }
            None
        }
        Act::NoAnswer { when } => {
            if when == Moment::After {
                served(request, next).await;
            }
            // Ends when the client disconnects.
            pending().await
        }
        Act::Answer {
            status,
            content_type,
            body,
        } => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
            let mut answer = (status, body).into_response();
            if let Ok(content_type) = HeaderValue::from_str(&content_type) {
                answer
                    .headers_mut()
                    .insert(header::CONTENT_TYPE, content_type);
            }
            Some(answer)
        }
    }
}

fn refusal(status: u16, reason: String, message: String, retry_after: Option<u64>) -> Response {
    let error = ApiError {
        status,
        reason,
        message,
    };
    let mut answer = error.into_response();
    if let Some(seconds) = retry_after {
        answer
            .headers_mut()
            .insert(header::RETRY_AFTER, seconds.into());
    }
    answer
}

/// A body that fails before its first byte: hyper then closes the connection without sending anything.
fn broken_off() -> Response {
    let broken = io::Error::new(io::ErrorKind::ConnectionAborted, "injected fault");
    let body = futures::stream::once(std::future::ready(Err::<Bytes, _>(broken)));
    Response::new(Body::from_stream(body))
}
