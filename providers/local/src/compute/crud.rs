//! Insert, get, list and delete: the same for all types.

use axum::extract::{FromRequest, Query, State as Shared};
use axum::handler::Handler;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Map, Value};

use super::error::ApiError;
use super::limits;
use super::list::{self, ListQuery};
use super::place::{Body, Place};
use super::resource::{Level, Managed, Resource, Target};
use super::scope::Key;
use crate::cloud::Cloud;
use crate::operation::{Request, RequestId, Work};
use crate::store::{Phase, State};

/// What handlers return.
pub type Answer = Result<Json<Value>, ApiError>;

const PROJECT: &str = "/compute/v1/projects/{project}";

/// The paths of a type's collections: one for each kind of scope that it lives in.
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

/// The path of one resource of a type that lives in one kind of scope.
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

/// The list over all scopes.
pub fn aggregated<R: Resource>() -> Router<Cloud> {
    let path = format!("{PROJECT}/aggregated/{}", R::TYPE.collection());
    Router::new().route(&path, get(list_aggregated::<R>))
}

/// A resource as clients see it.
pub fn view<R: Resource>(resource: &R, state: &State) -> Map<String, Value> {
    let Ok(Value::Object(mut view)) = serde_json::to_value(resource) else {
        return Map::new();
    };
    resource.complete(state, &mut view);
    view
}

/// Checks a new resource and keeps it, not usable yet.
pub fn put_new<R: Managed>(state: &mut State, key: &Key, mut resource: R) -> Result<(), ApiError> {
    limits::name("resource.name", &key.name)?;
    if R::table(state).get(key).is_some() {
        return Err(ApiError::exists(&state.path_of::<R>(key)));
    }
    resource.meta_mut().name.clone_from(&key.name);
    resource.meta_mut().stamp(state, &Target::of::<R>(key));
    resource.prepare(state, key)?;
    R::table_mut(state).put(key.clone(), Phase::Creating, resource);
    Ok(())
}

/// Marks a resource as going, unless something needs it or an operation works on it.
pub fn start_delete<R: Managed>(state: &mut State, key: &Key) -> Result<Target, ApiError> {
    let target = Target::of::<R>(key);
    let resource = state.ready::<R>(key)?;
    state.idle(&target)?;
    resource.deletable()?;
    if let Some(user) = resource.user(state, key) {
        let path = state.path(&target);
        return Err(ApiError::in_use(R::TYPE.noun(), &path, &user));
    }
    state.table_mut(R::TYPE).set_phase(key, Phase::Deleting);
    Ok(target)
}

/// What a method that changes something comes to: the operation that it begins.
pub type Begun = Result<Request, ApiError>;

/// The handler of a method that begins an operation on the resource that its path names. `act` has, of the
/// request, what it takes: a body, a query, or both.
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
    Body(body): Body<Value>,
) -> Answer {
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

fn delete<R: Managed>(state: &mut State, key: &Key, (): ()) -> Begun {
    let target = start_delete::<R>(state, key)?;
    Ok(Request::new("delete", target, Work::Remove))
}

async fn get_one<R: Resource>(Shared(cloud): Shared<Cloud>, place: Place) -> Answer {
    let key = place.key()?;
    cloud.store().read(|state| {
        let resource = state.get::<R>(&key)?;
        Ok(Json(Value::Object(view(resource, state))))
    })
}

/// The handler of a list in one scope.
pub async fn list_all<R: Resource>(
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

async fn list_aggregated<R: Resource>(
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
