//! Insert, get, list and delete, shared by all types.

use std::collections::BTreeMap;

use axum::extract::{FromRequest, Query, State as Shared};
use axum::handler::Handler;
use axum::routing::{self as method, get, post};
use axum::{Json, Router};
use hakube_local_resources::list::ListQuery;
use hakube_local_resources::rules::fields;
use hakube_local_resources::rules::managed::{Managed, Seen, put_new, start_delete, view};
use hakube_local_resources::types::{Request, Work};
use hakube_local_resources::{ApiError, Key, Level, Resource, State, Target, Type, list};
use serde_json::Value;

use crate::cloud::Cloud;
use crate::operation::RequestId;
use crate::place::{Body, Place};

/// The return type of handlers.
pub type Answer = Result<Json<Value>, ApiError>;

const PROJECT: &str = "/compute/v1/projects/{project}";

/// The paths of a type's collections: one for each kind of scope.
pub fn collections<R: Resource>() -> impl Iterator<Item = String> {
    const REGION: &str = "regions/{region}";
    let scopes: &[&str] = match R::TYPE.level() {
        Level::Global => &["global"],
        Level::Region => &[REGION],
        Level::Zone => &["zones/{zone}"],
        Level::GlobalOrRegion => &["global", REGION],
        Level::Any => &["global", REGION, "zones/{zone}"],
    };
    let collection = R::TYPE.collection();
    scopes
        .iter()
        .map(move |scope| format!("{PROJECT}/{scope}/{collection}"))
}

/// The path of a single resource, by kind of scope.
pub fn one<R: Resource>() -> String {
    let collection: String = collections::<R>().take(1).collect();
    format!("{collection}/{{name}}")
}

/// Insert, list, get and delete.
pub fn routes<R: Managed>() -> Router<Cloud> {
    collections::<R>().fold(Router::new(), |router, many| {
        let one = format!("{many}/{{name}}");
        router
            .route(&many, get(list_all::<R>).post(insert::<R>))
            .route(&one, get(get_one::<R>).delete(begins(delete::<R>)))
    })
}

/// Insert and delete, of a type whose get and list are special.
pub fn changes<R: Managed>() -> Router<Cloud> {
    collections::<R>().fold(Router::new(), |router, many| {
        let one = format!("{many}/{{name}}");
        router
            .route(&many, post(insert::<R>))
            .route(&one, method::delete(begins(delete::<R>)))
    })
}

/// The list over all scopes.
pub fn aggregated<R: Seen>() -> Router<Cloud> {
    let path = format!("{PROJECT}/aggregated/{}", R::TYPE.collection());
    Router::new().route(&path, get(list_aggregated::<R>))
}

/// The result of a mutating method: the operation that it starts.
pub type Begun = Result<Request, ApiError>;

/// The handler of a method that starts an operation on the resource in its path. `act` takes what it needs
/// of the request: a body, a query, or both.
pub fn begins<I, M>(
    act: fn(&mut State, &Key, I) -> Begun,
) -> impl Handler<(M, Shared<Cloud>, Place, Query<RequestId>, I), Cloud>
where
    I: FromRequest<Cloud, M> + Send + 'static,
    M: 'static,
{
    move |Shared(cloud): Shared<Cloud>, place: Place, Query(id): Query<RequestId>, input: I| async move {
        let key = place.key()?;
        cloud.begin(id, &key, |state| act(state, &key, input)).await
    }
}

async fn insert<R: Managed>(
    Shared(cloud): Shared<Cloud>,
    place: Place,
    Query(id): Query<RequestId>,
    Query(sources): Query<BTreeMap<String, String>>,
    Body(mut body): Body<Value>,
) -> Answer {
    take_source(R::TYPE, &sources, &mut body)?;
    fields::check_insert(R::TYPE, &body)?;
    let resource: R = serde_json::from_value(body).map_err(|error| {
        ApiError::refused(format!("Invalid value for field 'resource': {error}"))
    })?;
    let name = resource.meta().name.as_str();
    let key = Key::new(place.scope, name).of(place.project.as_deref());
    cloud
        .begin(id, &key, |state| {
            put_new(state, &key, resource)?;
            Ok(Request::new("insert", Target::of::<R>(&key), Work::Create))
        })
        .await
}

/// What an insert is made from may be a parameter of the query: gcloud names a disk's image so.
fn take_source(
    kind: Type,
    query: &BTreeMap<String, String>,
    body: &mut Value,
) -> Result<(), ApiError> {
    for (name, value) in query.iter().filter(|(name, _)| name.starts_with("source")) {
        match (kind, name.as_str(), body.as_object_mut()) {
            (Type::Disk, "sourceImage", Some(body)) => {
                body.insert(name.clone(), value.as_str().into());
            }
            _ => {
                let noun = kind.noun();
                let what = format!("the parameter '{name}' of inserts of the type {noun}");
                return Err(ApiError::not_emulated(what));
            }
        }
    }
    Ok(())
}

fn delete<R: Managed>(state: &mut State, key: &Key, (): ()) -> Begun {
    let target = start_delete::<R>(state, key)?;
    Ok(Request::new("delete", target, Work::Remove))
}

async fn get_one<R: Seen>(Shared(cloud): Shared<Cloud>, place: Place) -> Answer {
    let key = place.key()?;
    cloud.store().read(|state| {
        let resource = state.get::<R>(&key)?;
        Ok(Json(Value::Object(view(resource, state))))
    })
}

/// The handler of a list in one scope.
pub async fn list_all<R: Seen>(
    Shared(cloud): Shared<Cloud>,
    place: Place,
    Query(query): Query<ListQuery>,
) -> Answer {
    cloud.store().read(|state| {
        let project = place.project.as_deref();
        let items = R::table(state).within_project(project, &place.scope);
        let items = items.map(|(key, resource)| (key.name.clone(), view(resource, state).into()));
        let page = list::page(items.collect(), &query)?;
        let noun = R::TYPE.noun();
        Ok(Json(
            page.into_answer(
                &format!("compute#{noun}List"),
                state
                    .url_in(
                        project,
                        format_args!("{}/{}", place.scope, R::TYPE.collection()),
                    )
                    .into(),
            ),
        ))
    })
}

async fn list_aggregated<R: Seen>(
    Shared(cloud): Shared<Cloud>,
    place: Place,
    Query(query): Query<ListQuery>,
) -> Answer {
    cloud.store().read(|state| {
        let items = R::table(state).iter();
        let items = items.filter(|(key, _)| key.project == place.project);
        let items = items.map(|(key, resource)| {
            let in_project = format!("{}/{}", key.scope, key.name);
            (in_project, view(resource, state).into())
        });
        let page = list::page(items.collect(), &query)?;
        Ok(Json(page.into_aggregated(
            R::TYPE.noun(),
            R::TYPE.collection(),
            R::TYPE.level(),
            state.url_in(
                place.project.as_deref(),
                format_args!("aggregated/{}", R::TYPE.collection()),
            ),
        )))
    })
}
