//! One file per verb.

mod delete;
mod get;
mod list;
mod patch;
mod strategic;
mod watch;
mod write;

use hyper::body::Incoming;
use hyper::{Request, Response, StatusCode};
use serde_json::Value;

use super::auth::User;
use super::request::{Query, ResourceRequest};
use super::resources::{self, Resource};
use super::status::{ApiError, ApiResult, json_response};
use super::storage::Store;
use super::{ApiServer, body, object, present};
use crate::serve::Body;

/// A request for something that is served.
struct Call<'a> {
    store: &'a Store,
    user: &'a User,
    resource: &'static Resource,
    info: ResourceRequest,
    query: Query,
}

impl Call<'_> {
    /// Of the collection asked for; ends in a slash.
    fn prefix(&self) -> String {
        let mut prefix = self.store.key(&[self.resource.plural]) + "/";
        if !self.info.namespace.is_empty() {
            prefix.push_str(&self.info.namespace);
            prefix.push('/');
        }
        prefix
    }

    /// Of one object in the place asked for.
    fn key(&self, name: &str) -> String {
        self.prefix() + name
    }

    /// `?dryRun=All`
    fn dry_run(&self) -> bool {
        self.query.get("dryRun").is_some_and(|value| value == "All")
    }

    fn about_status(&self) -> bool {
        self.info.subresource == "status"
    }
}

/// Answers a request that authentication and authorisation let through.
pub async fn dispatch(
    server: &ApiServer,
    user: &User,
    mut info: ResourceRequest,
    query: Query,
    request: Request<Incoming>,
) -> ApiResult<Response<Body>> {
    let resource = resources::find(&info.group, &info.version, &info.resource)
        .ok_or_else(ApiError::no_such_path)?;
    if !resource.namespaced {
        if !info.namespace.is_empty() && !resource.is_core("namespaces") {
            return Err(ApiError::no_such_path());
        }
        info.namespace.clear();
    }
    check_shape(resource, &info)?;
    let form = present::Form::of(request.headers(), &query);
    let media_type = body::media_type(request.headers());
    let call = Call {
        store: &server.store,
        user,
        resource,
        info,
        query,
    };
    let (code, answer) = match call.info.verb {
        "get" => (StatusCode::OK, form.one(resource, get::get(&call).await?)),
        "list" => (
            StatusCode::OK,
            form.list(resource, list::list(&call).await?),
        ),
        "watch" => return watch::watch(&call, form).await,
        "create" => {
            let new = body::decode(&media_type, &body::read(request).await?)?;
            (StatusCode::CREATED, write::create(&call, new).await?)
        }
        "update" => {
            let new = body::decode(&media_type, &body::read(request).await?)?;
            (StatusCode::OK, write::update(&call, new).await?)
        }
        "patch" => patch::patch(&call, &media_type, &body::read(request).await?).await?,
        "delete" => {
            let options = body::decode(&media_type, &body::read(request).await?)?;
            (StatusCode::OK, delete::delete(&call, &options).await?)
        }
        "deletecollection" => (StatusCode::OK, delete::collection(&call).await?),
        _ => return Err(ApiError::method_not_allowed()),
    };
    Ok(json_response(code, &answer))
}

/// Whether the path and the method can go together on this resource at all.
fn check_shape(resource: &Resource, info: &ResourceRequest) -> ApiResult<()> {
    for part in [&info.namespace, &info.name] {
        if !part.is_empty() && !object::path_segment(part) {
            return Err(ApiError::bad_request(format!("{part:?} can't be a name")));
        }
    }
    match info.subresource.as_str() {
        "" => {}
        "status" if resource.status && matches!(info.verb, "get" | "update" | "patch") => {}
        "status" if resource.status => return Err(ApiError::method_not_allowed()),
        _ => return Err(ApiError::no_such_path()),
    }
    let placed = !resource.namespaced || !info.namespace.is_empty();
    match info.verb {
        "list" | "watch" => Ok(()),
        "create" if !info.name.is_empty() => Err(ApiError::method_not_allowed()),
        _ if placed => Ok(()),
        // Kubernetes deletes collections one namespace at a time, and has no objects outside of one.
        "create" | "deletecollection" => Err(ApiError::method_not_allowed()),
        _ => Err(ApiError::no_such_path()),
    }
}

/// How many times a write that has no version of its own to defend is tried against a busy object.
const MAX_TRIES: usize = 16;

/// After that many lost races something is off.
fn contended(resource: &Resource, name: &str) -> ApiError {
    ApiError::conflict(resource, name)
}

/// The uid of an object, for messages and answers.
fn uid(object: &Value) -> &Value {
    &object["metadata"]["uid"]
}

/// Which methods there are, for discovery.
pub const VERBS: [&str; 8] = [
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "update",
    "watch",
];
