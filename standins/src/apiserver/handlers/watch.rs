//! GET of a collection with `watch=true`: what changes from a revision on, for as long as the client
//! stays.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use etcd_client::{WatchResponse, WatchStream};
use futures::stream;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use hyper::{Response, header};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Call, list};
use crate::apiserver::present::Form;
use crate::apiserver::resources::Resource;
use crate::apiserver::selectors::Selector;
use crate::apiserver::status::{ApiError, ApiResult};
use crate::apiserver::storage::{self, Change};
use crate::serve::Body;

/// A watch ends by itself after this, so that clients spread over the servers again (Kubernetes:
/// between one and two times `--min-request-timeout`, 30 minutes).
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30 * 60);

/// A watch under way. Dropping it, as hyper does when the client goes, ends the watch in etcd too.
struct Watch {
    resource: &'static Resource,
    selector: Selector,
    form: Form,
    bookmarks: bool,
    stream: WatchStream,
    pending: VecDeque<Bytes>,
    deadline: Instant,
    over: bool,
    /// Tables carry their column definitions once.
    first_row: bool,
}

/// Starts a watch.
pub(super) async fn watch(call: &Call<'_>, form: Form) -> ApiResult<Response<Body>> {
    let text = |name: &str| call.query.get(name).map(String::as_str).unwrap_or_default();
    let is_set = |name: &str| matches!(text(name), "true" | "1");
    let timeout = match text("timeoutSeconds").parse() {
        Ok(seconds) if seconds > 0 => Duration::from_secs(seconds),
        _ => DEFAULT_TIMEOUT.mul_f64(rand::random_range(1.0..2.0)),
    };
    let since: i64 = match text("resourceVersion") {
        "" => 0,
        version => version.parse().map_err(|_| {
            ApiError::bad_request(format!("Invalid value: {version:?}: resourceVersion"))
        })?,
    };

    // Without a version, or asked to (informers of 1.32 and later), what exists comes first.
    let initial_events = is_set("sendInitialEvents");
    let initial = match since == 0 || initial_events {
        true => Some(list::gather(call).await?),
        false => None,
    };
    let from = initial.as_ref().map_or(since, |listing| listing.revision);
    let mut watch = Watch {
        resource: call.resource,
        selector: Selector::parse(call.resource, &call.query)?,
        form,
        bookmarks: is_set("allowWatchBookmarks"),
        stream: call.store.watch(&call.prefix(), from + 1).await?,
        pending: VecDeque::new(),
        deadline: Instant::now() + timeout,
        over: false,
        first_row: true,
    };
    for stored in initial.into_iter().flat_map(|listing| listing.items) {
        watch.push("ADDED", stored.object);
    }
    if initial_events {
        watch.push_bookmark(from, true);
    }

    let lines = stream::unfold(watch, |mut watch| async move {
        let line = watch.next().await?;
        Some((Ok::<_, Infallible>(Frame::data(line)), watch))
    });
    let mut response = Response::new(StreamBody::new(lines).boxed_unsync());
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static("application/json"),
    );
    Ok(response)
}

impl Watch {
    /// The next line, when there is one.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(line) = self.pending.pop_front() {
                return Some(line);
            }
            if self.over {
                return None;
            }
            match tokio::time::timeout_at(self.deadline, self.stream.message()).await {
                Ok(Ok(Some(answer))) => self.take(&answer),
                // Time is up, or etcd went away: clients come back with the last version they saw.
                Ok(Ok(None) | Err(_)) | Err(_) => return None,
            }
        }
    }

    fn take(&mut self, answer: &WatchResponse) {
        if answer.canceled() {
            let error = match answer.compact_revision() {
                0 => ApiError::internal(answer.cancel_reason()),
                oldest => ApiError::expired(format!(
                    "too old resource version: compacted up to {oldest}"
                )),
            };
            return self.fail(&error);
        }
        match storage::changes(answer.events()) {
            Ok(changes) => changes
                .into_iter()
                .for_each(|change| self.push_change(change)),
            Err(error) => self.fail(&error.into()),
        }
        // etcd's periodic notice that a watch is up to date; it has no events.
        if self.bookmarks
            && !answer.created()
            && answer.events().is_empty()
            && let Some(header) = answer.header()
        {
            self.push_bookmark(header.revision(), false);
        }
    }

    /// An object that starts or ceases to match the selector appears or disappears.
    fn push_change(&mut self, change: Change) {
        let matching = |stored: Option<storage::Stored>| {
            stored
                .map(|stored| stored.object)
                .filter(|object| self.selector.matches(object))
        };
        match (matching(change.before), matching(change.after)) {
            (None, Some(now)) => self.push("ADDED", now),
            (Some(_), Some(now)) => self.push("MODIFIED", now),
            (Some(mut last), None) => {
                // A deletion carries the last state, at the revision of the deletion.
                storage::set_version(&mut last, change.revision);
                self.push("DELETED", last);
            }
            (None, None) => {}
        }
    }

    fn push(&mut self, kind: &str, object: Value) {
        let object = self
            .form
            .event(self.resource, object, std::mem::take(&mut self.first_row));
        self.push_line(kind, &object);
    }

    fn push_bookmark(&mut self, revision: i64, end_of_initial: bool) {
        let mut bookmark = json!({"metadata": {"resourceVersion": revision.to_string()}});
        self.resource.stamp(&mut bookmark);
        if end_of_initial {
            bookmark["metadata"]["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        self.push_line("BOOKMARK", &bookmark);
    }

    fn fail(&mut self, error: &ApiError) {
        self.push_line("ERROR", &error.object());
        self.over = true;
    }

    fn push_line(&mut self, kind: &str, object: &Value) {
        let line = format!("{{\"type\":\"{kind}\",\"object\":{object}}}\n");
        self.pending.push_back(line.into());
    }
}
