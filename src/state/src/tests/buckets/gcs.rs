//! The part of Cloud Storage's XML API that a store uses, with generation preconditions. Neither
//! PyPI nor npm has an emulator that supports them (gcp-storage-emulator accepts every write, and
//! returns no generation). <https://cloud.google.com/storage/docs/xml-api/reference-headers>

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use jiff::Timestamp;

#[derive(Default)]
struct Objects {
    generation: u64,
    objects: BTreeMap<String, (u64, Bytes)>,
}

type Shared = Arc<Mutex<Objects>>;

/// Serves one bucket until the runtime shuts down.
pub async fn serve() -> SocketAddr {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .unwrap();
    let address = listener.local_addr().unwrap();
    let router = axum::Router::new()
        .route("/{*path}", any(answer))
        .with_state(Shared::default());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    address
}

async fn answer(
    State(shared): State<Shared>,
    method: Method,
    Path(path): Path<String>,
    Query(query): Query<BTreeMap<String, String>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut bucket = shared.lock().unwrap();
    let key = path.split_once('/').map_or("", |(_, key)| key).to_owned();
    let expected = headers
        .get("x-goog-if-generation-match")
        .map(|generation| generation.to_str().unwrap().parse::<u64>().unwrap());
    let found = bucket.objects.get(&key).cloned();
    let current = found.as_ref().map_or(0, |(generation, _)| *generation);
    if expected.is_some_and(|expected| expected != current) {
        return StatusCode::PRECONDITION_FAILED.into_response();
    }
    match (method, found) {
        (Method::GET, _) if key.is_empty() => list(&bucket, &query).into_response(),
        (Method::GET | Method::HEAD, Some((generation, content))) => {
            (stamps(generation), content).into_response()
        }
        (Method::PUT, _) => {
            bucket.generation += 1;
            let generation = bucket.generation;
            bucket.objects.insert(key, (generation, body));
            stamps(generation).into_response()
        }
        (Method::DELETE, Some(_)) => {
            bucket.objects.remove(&key);
            StatusCode::NO_CONTENT.into_response()
        }
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

fn stamps(generation: u64) -> [(&'static str, String); 3] {
    [
        ("x-goog-generation", generation.to_string()),
        ("etag", format!("\"{generation}\"")),
        (
            "last-modified",
            Timestamp::now().strftime("%a, %d %b %Y %T GMT").to_string(),
        ),
    ]
}

fn list(bucket: &Objects, query: &BTreeMap<String, String>) -> String {
    let prefix = query.get("prefix").map_or("", String::as_str);
    let delimited = query.contains_key("delimiter");
    let (mut contents, mut prefixes) = (String::new(), Vec::new());
    for (key, (generation, content)) in &bucket.objects {
        let Some(rest) = key.strip_prefix(prefix) else {
            continue;
        };
        match rest.split_once('/') {
            Some((first, _)) if delimited => prefixes.push(format!(
                "<CommonPrefixes><Prefix>{prefix}{first}/</Prefix></CommonPrefixes>"
            )),
            _ => contents.push_str(&format!(
                "<Contents><Key>{key}</Key><Size>{}</Size><ETag>\"{generation}\"</ETag>\
                 <LastModified>{:.3}</LastModified></Contents>",
                content.len(),
                Timestamp::now()
            )),
        }
    }
    prefixes.dedup();
    format!(
        "<ListBucketResult>{contents}{}</ListBucketResult>",
        prefixes.concat()
    )
}
