//! Fills a project with thousands of instances, for testing clients in a crowded project. The instances are
//! stopped and have no machines.

use axum::extract::State as Shared;
use axum::{Json, extract::Query};
use hakube_local_compute::Cloud;
use hakube_local_resources::rules::managed::{Managed, put_new};
use hakube_local_resources::types::instance::{Instance, Status};
use hakube_local_resources::types::{Network, Subnetwork};
use hakube_local_resources::{ApiError, Key, Phase, Scope, State, catalog};
use ipnet::Ipv4Net;
use serde::Deserialize;
use serde_json::{Value, json};

/// The name of their network, and the prefix of their names.
const NAME: &str = "crowd";
const MOST: usize = 10_000;
/// The subnetworks' prefix length and first third octet, above the ranges that automatic subnetworks get,
/// unless there are very many.
const PREFIX: u8 = 19;
const FIRST_OCTETS: [u8; 3] = [128, 160, 192];

/// The parameters of the call.
#[derive(Deserialize)]
pub struct Size {
    count: usize,
}

/// Creates that many stopped instances, spread over all zones. Works once per cloud.
pub async fn gather(
    Shared(cloud): Shared<Cloud>,
    Query(size): Query<Size>,
) -> Result<Json<Value>, ApiError> {
    if size.count > MOST {
        let why = format!("At most {MOST}.");
        return Err(ApiError::invalid("count", size.count, why));
    }
    if cloud.store().read(|state| state.block.hosts) {
        return Err(ApiError::not_emulated("a crowd of machines that boot"));
    }
    let gathered = cloud.store().transact(|state| fill(state, size.count));
    gathered.await?;
    Ok(Json(json!({"instances": size.count})))
}

fn fill(state: &mut State, count: usize) -> Result<(), ApiError> {
    let network = Key::new(Scope::Global, NAME);
    put::<Network>(state, &network, json!({"autoCreateSubnetworks": false}))?;
    for (region, octet) in catalog::regions().zip(FIRST_OCTETS) {
        let key = Key::new(Scope::Region(region.to_owned()), NAME);
        let first = std::net::Ipv4Addr::new(127, state.block.octet, octet, 0);
        let range = Ipv4Net::new_assert(first, PREFIX);
        let subnetwork =
            json!({"network": format!("global/networks/{NAME}"), "ipCidrRange": range});
        put::<Subnetwork>(state, &key, subnetwork)?;
    }
    let zones: Vec<&str> = catalog::zones().collect();
    for (number, zone) in (0..count).zip(zones.iter().cycle()) {
        let key = Key::zonal(zone, &format!("{NAME}-{number:05}"));
        let region = key.scope.region().unwrap_or_default();
        let instance = json!({
            "machineType": format!("zones/{zone}/machineTypes/e2-micro"),
            "disks": [{"boot": true, "autoDelete": true, "initializeParams": {}}],
            "networkInterfaces": [{"subnetwork": format!("regions/{region}/subnetworks/{NAME}")}],
        });
        put::<Instance>(state, &key, instance)?;
        if let Some(instance) = state.instances.get_mut(&key) {
            instance.status = Status::Terminated;
        }
    }
    Ok(())
}

fn put<R: Managed>(state: &mut State, key: &Key, body: Value) -> Result<(), ApiError> {
    let resource: R =
        serde_json::from_value(body).map_err(|error| ApiError::backend(error.to_string()))?;
    put_new(state, key, resource)?;
    state.table_mut(R::TYPE).set_phase(key, Phase::Ready);
    Ok(())
}
