//! The metadata server: what a machine is told of itself, at `/computeMetadata/v1/`, and the guest attributes that
//! it tells of itself.
//!
//! In Compute Engine it is at 169.254.169.254, an address that can't be had without root. Here it has an address of
//! the cloud's own, [`Block::metadata`], and units find that in the variables
//! `GCE_METADATA_HOST` and `GCE_METADATA_IP`, which Google's libraries honour. Which machine asks is found out from
//! the kernel ([`caller`]), so that clients need do nothing for it.
//!
//! Source: <https://cloud.google.com/compute/docs/metadata/querying-metadata>.

mod answer;
mod caller;
mod content;
mod tree;

use std::net::{SocketAddr, SocketAddrV4};

use axum::Router;
use axum::extract::connect_info::ConnectInfo;
use axum::extract::{DefaultBodyLimit, Query, State as Shared};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::Response;
use bytes::Bytes;
use tokio::net::TcpListener;

use self::answer::{Asked, refusal};
use crate::cloud::Cloud;
use crate::compute::instance::Instance;
use crate::compute::scope::Key;
use crate::store::addresses::Block;

/// Its port; 80 would take privilege.
const PORT: u16 = 8780;

/// Documented: the longest value of a guest attribute.
const LONGEST_VALUE: usize = 256 * 1024;

const ROOT: &str = "/computeMetadata/v1";

/// Where a cloud's is.
pub fn address(block: Block) -> SocketAddrV4 {
    SocketAddrV4::new(block.metadata(), PORT)
}

/// Serves until the cloud stops.
pub async fn serve(cloud: Cloud, listener: TcpListener) {
    let own = listener.local_addr();
    let app = Router::new()
        .fallback(handle)
        .layer(DefaultBodyLimit::max(LONGEST_VALUE))
        .with_state(cloud.clone());
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    let served = axum::serve(listener, app)
        .with_graceful_shutdown(async move { cloud.stopped().await })
        .await;
    if let Err(error) = served {
        tracing::error!(?own, %error, "metadata server");
    }
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
    // A proxy on the machine must not hand this out to others.
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
    // Nor may a page in a browser, which can't send such a header to another site.
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
            "It can't be told which machine asks: neither is this a process of a machine, nor does it ask \
             from a machine's address.",
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

/// The content as it is now; or, when that is asked for, as soon as it isn't what the client knows.
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

/// Keeps or forgets a guest attribute: `NAMESPACE/KEY`.
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
