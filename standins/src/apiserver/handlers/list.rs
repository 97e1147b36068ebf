//! GET of a collection: all of it at one revision, or page by page at one revision.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Call;
use crate::apiserver::selectors::Selector;
use crate::apiserver::status::{ApiError, ApiResult};
use crate::apiserver::storage::Stored;

/// How much is asked of etcd at once when the client sets no limit, or a selector may drop most of it.
const CHUNK: usize = 500;

/// Where the next page starts. Opaque to clients.
#[derive(Serialize, Deserialize)]
struct Continue {
    rv: i64,
    start: String,
}

/// A list, or one page of it.
pub(super) struct Listing {
    pub items: Vec<Stored>,
    pub revision: i64,
    pub next: Option<String>,
}

/// The list that the query asks for, as an object.
pub(super) async fn list(call: &Call<'_>) -> ApiResult<Value> {
    let listing = gather(call).await?;
    let mut metadata = json!({"resourceVersion": listing.revision.to_string()});
    if let Some(next) = listing.next {
        metadata["continue"] = next.into();
    }
    let items: Vec<Value> = listing
        .items
        .into_iter()
        .map(|stored| stored.object)
        .collect();
    Ok(json!({
        "kind": format!("{}List", call.resource.kind),
        "apiVersion": call.resource.api_version(),
        "metadata": metadata,
        "items": items,
    }))
}

/// Reads the page that the query asks for.
pub(super) async fn gather(call: &Call<'_>) -> ApiResult<Listing> {
    let selector = Selector::parse(call.resource, &call.query)?;
    let prefix = call.prefix();
    let limit = number(call, "limit")?
        .and_then(|limit| usize::try_from(limit).ok())
        .filter(|limit| *limit > 0);
    let (mut revision, mut start) =
        match call.query.get("continue").filter(|token| !token.is_empty()) {
            Some(token) => {
                let token = parse_continue(token, &prefix)?;
                (token.rv, Some(token.start))
            }
            None if call
                .query
                .get("resourceVersionMatch")
                .is_some_and(|m| m == "Exact") =>
            {
                (number(call, "resourceVersion")?.unwrap_or(0), None)
            }
            None => (0, None),
        };
    let chunk = limit.filter(|_| selector.is_empty()).unwrap_or(CHUNK);
    let mut items = Vec::new();
    loop {
        let page = call
            .store
            .list(
                &prefix,
                start.as_deref(),
                i64::try_from(chunk).unwrap_or(i64::MAX),
                revision,
            )
            .await?;
        // The first answer fixes the revision of all that follow.
        revision = page.revision;
        let mut remaining = page.items.into_iter();
        for stored in remaining.by_ref() {
            start = Some(format!("{}\0", stored.key));
            if selector.matches(&stored.object) {
                items.push(stored);
            }
            if limit == Some(items.len()) {
                break;
            }
        }
        let more = page.more || remaining.next().is_some();
        if !more {
            return Ok(Listing {
                items,
                revision,
                next: None,
            });
        }
        if limit == Some(items.len()) {
            let next = start.map(|start| {
                encode_continue(&Continue {
                    rv: revision,
                    start,
                })
            });
            return Ok(Listing {
                items,
                revision,
                next,
            });
        }
    }
}

fn number(call: &Call<'_>, parameter: &str) -> ApiResult<Option<i64>> {
    match call.query.get(parameter).filter(|text| !text.is_empty()) {
        None => Ok(None),
        Some(text) => text.parse().map(Some).map_err(|_| {
            ApiError::bad_request(format!(
                "Invalid value: {text:?}: {parameter} must be a number"
            ))
        }),
    }
}

fn encode_continue(token: &Continue) -> String {
    URL_SAFE_NO_PAD.encode(json!(token).to_string())
}

/// A token must lead into the collection that was authorised, not into the next one.
fn parse_continue(token: &str, prefix: &str) -> ApiResult<Continue> {
    URL_SAFE_NO_PAD
        .decode(token)
        .ok()
        .and_then(|json| serde_json::from_slice::<Continue>(&json).ok())
        .filter(|token| token.start.starts_with(prefix))
        .ok_or_else(|| ApiError::bad_request("continue key is not valid"))
}
