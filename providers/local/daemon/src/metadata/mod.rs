//! The metadata server: a machine's metadata at `/computeMetadata/v1/`, including the guest attributes that
//! it can write.
//!
//! Compute Engine serves it at 169.254.169.254, which would need root. Here it has an address of the cloud's
//! own, [`Block::metadata`](hakube_local_resources::Block::metadata). Units find that in the variables `GCE_METADATA_HOST` and `GCE_METADATA_IP`,
//! which Google's libraries honour. The calling machine is identified through the kernel ([`caller`]), so
//! clients need do nothing.
//!
//! Source: <https://cloud.google.com/compute/docs/metadata/querying-metadata>.

mod answer;
mod caller;
mod content;
mod tree;

use std::net::SocketAddr;

use axum::Router;
use axum::extract::connect_info::ConnectInfo;
use axum::extract::{DefaultBodyLimit, Query, State as Shared};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::Response;
use bytes::Bytes;
use hakube_local_compute::Cloud;
use hakube_local_net::Door;
use hakube_local_resources::Key;
use hakube_local_resources::types::Instance;
use tokio::net::TcpListener;

use self::answer::{Asked, ROOT, refusal};
use crate::http;

/// The documented maximum of a guest attribute's value, in bytes.
const LONGEST_VALUE: usize = 256 * 1024;

pub async fn serve(cloud: Cloud, listener: TcpListener, door: Door) {
    let app = Router::new()
        .fallback(handle)
        .layer(DefaultBodyLimit::max(LONGEST_VALUE))
        .with_state(cloud.clone());
    http::serve(listener, app, door, cloud.stopping()).await;
}

async fn handle(
    Shared(cloud): Shared<Cloud>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    Query(asked): Query<Asked>,
    content: Bytes,
) -> Response {
    // A proxy on the machine must not expose the metadata.
    if headers.contains_key("x-forwarded-for") {
        return refusal(
            StatusCode::FORBIDDEN,
            "Requests with X-Forwarded-For are not served.",
        );
    }
    let path = uri.path();
    let Some(below) = path.strip_prefix(ROOT) else {
        return answer::above_root(path);
    };
    // Nor may a page in a browser, which can't send this header to another site.
    let flavor = headers.get("metadata-flavor");
    if flavor.is_none_or(|flavor| flavor != "Google") {
        return refusal(
            StatusCode::FORBIDDEN,
            "Missing Metadata-Flavor:Google header.",
        );
    }
    let Some(key) = caller::machine(&cloud, peer).await else {
        return refusal(
            StatusCode::FORBIDDEN,
            "Can't identify the calling machine: the client is not a machine's process and does not use \
             a machine's address.",
        );
    };
    match (method, below.strip_prefix("/instance/guest-attributes/")) {
        (Method::GET | Method::HEAD, _) => read(&cloud, &key, below, &asked).await,
        (Method::PUT, Some(attribute)) => write(&cloud, &key, attribute, Some(&content)).await,
        (Method::DELETE, Some(attribute)) => write(&cloud, &key, attribute, None).await,
        _ => refusal(
            StatusCode::METHOD_NOT_ALLOWED,
            "Only guest attributes can be written.",
        ),
    }
}

/// The current content; if the client waits for a change, the content after the next one.
async fn read(cloud: &Cloud, key: &Key, path: &str, asked: &Asked) -> Response {
    let attributes = match cloud.guest(key).guest_attributes().await {
        Ok(attributes) => attributes,
        Err(error) => return refusal(StatusCode::SERVICE_UNAVAILABLE, &error.to_string()),
    };
    let now = || {
        cloud.store().read(|state| {
            let tree = content::of(state, key, &attributes);
            answer::find(tree.as_ref(), path, asked)
        })
    };
    let first = now();
    let Some(known) = asked.waits_for_other_than(&first) else {
        return first.into_response();
    };
    let changed = cloud.store().wait_for(|state| {
        let tree = content::of(state, key, &attributes);
        let found = answer::find(tree.as_ref(), path, asked);
        (found.etag() != known).then_some(found)
    });
    tokio::select! {
        found = changed => found.into_response(),
        () = asked.timeout() => now().into_response(),
        () = cloud.stopped() => now().into_response(),
    }
}

/// Stores or removes a guest attribute: `NAMESPACE/KEY`.
async fn write(cloud: &Cloud, key: &Key, attribute: &str, value: Option<&[u8]>) -> Response {
    let enabled = cloud.store().read(|state| {
        let instance = state.get::<Instance>(key);
        instance.is_ok_and(|instance| instance.has_guest_attributes(state))
    });
    if !enabled {
        return refusal(
            StatusCode::FORBIDDEN,
            "Guest attributes endpoint access is disabled.",
        );
    }
    let parts: Vec<&str> = attribute.split('/').collect();
    let [namespace, name] = parts.as_slice() else {
        return refusal(StatusCode::BAD_REQUEST, "Expected NAMESPACE/KEY.");
    };
    if namespace.is_empty() || name.is_empty() {
        return refusal(StatusCode::BAD_REQUEST, "Expected NAMESPACE/KEY.");
    }
    let value = match value.map(std::str::from_utf8).transpose() {
        Ok(value) => value,
        Err(_) => return refusal(StatusCode::BAD_REQUEST, "The value must be UTF-8."),
    };
    let kept = cloud
        .guests()
        .keep_attribute(key, (namespace, name), value)
        .await;
    match kept {
        Ok(()) => answer::done(),
        Err(error) => refusal(StatusCode::SERVICE_UNAVAILABLE, &error.to_string()),
    }
}
