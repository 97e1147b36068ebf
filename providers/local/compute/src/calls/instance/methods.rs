//! Methods of existing instances.

use axum::extract::{Query, State as Shared};
use axum::routing::{get, post};
use axum::{Json, Router};
use hakube_local_resources::rules::access_config::{acquire_ephemeral, assign_external};
use hakube_local_resources::rules::fields;
use hakube_local_resources::rules::instance::idle;
use hakube_local_resources::types::instance::Status;
use hakube_local_resources::types::{AccessConfig, Instance, Request, Work};
use hakube_local_resources::{ApiError, Key, State, fresh_fingerprint};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::calls::crud::{self, Answer, Begun, begins};
use crate::cloud::Cloud;
use crate::place::{Body, Place};

/// `stop`, `start`, `reset`, access configs and the serial port.
pub fn routes() -> Router<Cloud> {
    let one = crud::one::<Instance>();
    let at = |method: &str| format!("{one}/{method}");
    Router::new()
        .route(&at("stop"), post(begins(stop)))
        .route(&at("start"), post(begins(start)))
        .route(&at("reset"), post(begins(reset)))
        .route(&at("addAccessConfig"), post(begins(add_access_config)))
        .route(
            &at("deleteAccessConfig"),
            post(begins(delete_access_config)),
        )
        .route(&at("serialPort"), get(serial_port))
}

fn stop(state: &mut State, key: &Key, (): ()) -> Begun {
    let (target, instance) = idle(state, key)?;
    instance.status = Status::Stopping;
    state.due_boots.remove(key);
    Ok(Request::new("stop", target, Work::Stop))
}

fn start(state: &mut State, key: &Key, (): ()) -> Begun {
    let (target, instance) = idle(state, key)?;
    // Starting a running instance is a no-op operation.
    if instance.status == Status::Running {
        return Ok(Request::new("start", target, Work::Update));
    }
    instance.status = Status::Staging;
    instance.status_message = None;
    let mut instance = instance.clone();
    acquire_ephemeral(state, &mut instance)?;
    *state.ready_mut::<Instance>(key)? = instance;
    Ok(Request::new("start", target, Work::Start))
}

fn reset(state: &mut State, key: &Key, (): ()) -> Begun {
    let (target, instance) = idle(state, key)?;
    if instance.status != Status::Running {
        return Err(ApiError::not_ready(&state.path(&target)));
    }
    instance.status = Status::Staging;
    Ok(Request::new("reset", target, Work::Reset))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AccessConfigQuery {
    #[serde(default)]
    pub network_interface: String,
    #[serde(default)]
    access_config: String,
}

fn add_access_config(
    state: &mut State,
    key: &Key,
    (Query(query), Body(body)): (Query<AccessConfigQuery>, Body<Value>),
) -> Begun {
    fields::check_part("networkInterfaces.accessConfigs", &body)?;
    let mut config: AccessConfig = serde_json::from_value(body)
        .map_err(|error| ApiError::invalid("accessConfig", "", error))?;
    let (target, instance) = idle(state, key)?;
    instance.accepts_config(&query.network_interface)?;
    let region = key.scope.region().unwrap_or_default();
    assign_external(state, region, &mut config)?;
    let instance = state.ready_mut::<Instance>(key)?;
    let nic = instance.nic_mut(&query.network_interface)?;
    nic.access_configs.push(config);
    nic.fingerprint = fresh_fingerprint();
    Ok(Request::new(
        "addAccessConfig",
        target,
        Work::AddAccessConfig,
    ))
}

fn delete_access_config(
    state: &mut State,
    key: &Key,
    Query(query): Query<AccessConfigQuery>,
) -> Begun {
    let (target, instance) = idle(state, key)?;
    let nic = instance.nic_mut(&query.network_interface)?;
    let before = nic.access_configs.len();
    nic.access_configs
        .retain(|config| config.name != query.access_config);
    if nic.access_configs.len() == before {
        let why = "The specified access config does not exist.";
        return Err(ApiError::invalid("accessConfig", &query.access_config, why));
    }
    nic.fingerprint = fresh_fingerprint();
    Ok(Request::new(
        "deleteAccessConfig",
        target,
        Work::RemoveAccessConfig,
    ))
}

#[derive(Deserialize)]
struct SerialPort {
    start: Option<String>,
}

/// The most serial output in one response, as in the real API.
const SERIAL_PORT_BYTES: u64 = 1024 * 1024;

async fn serial_port(
    Shared(cloud): Shared<Cloud>,
    place: Place,
    Query(query): Query<SerialPort>,
) -> Answer {
    let key = place.key()?;
    let link = cloud.store().read(|state| {
        let instance = state.get::<Instance>(&key)?;
        Ok(instance.meta.self_link.clone())
    })?;
    let console = cloud.guest(&key).log(None).await;
    let content = console
        .map_err(|error| ApiError::backend(format!("The console can't be read: {error}")))?;
    let content = content.unwrap_or_default();
    let length = content.len() as u64;
    let asked: u64 = match query.start.as_deref() {
        None | Some("") => length.saturating_sub(SERIAL_PORT_BYTES),
        Some(text) => text
            .parse()
            .map_err(|_| ApiError::invalid("start", text, "Must be a byte position."))?,
    };
    let start = asked.min(length);
    let end = length.min(start + SERIAL_PORT_BYTES);
    let range =
        usize::try_from(start).unwrap_or(usize::MAX)..usize::try_from(end).unwrap_or(usize::MAX);
    let contents = String::from_utf8_lossy(content.get(range).unwrap_or_default());
    Ok(Json(json!({
        "kind": "compute#serialPortOutput",
        "selfLink": format!("{link}/serialPort"),
        "contents": contents,
        "start": start.to_string(),
        "next": end.to_string(),
    })))
}
