//! What Compute Engine has before anybody makes anything: regions, zones, machine types, images.

use axum::extract::{Path, Query, State as Shared};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::crud::Answer;
use super::error::ApiError;
use super::link;
use super::list::{self, ListQuery};
use super::place::Place;
use super::quota;
use super::resource::Level;
use super::scope::Scope;
use crate::cloud::Cloud;
use crate::store::State;

const REGIONS: &[(&str, &[&str])] = &[
    (
        "europe-west1",
        &["europe-west1-b", "europe-west1-c", "europe-west1-d"],
    ),
    (
        "europe-west4",
        &["europe-west4-a", "europe-west4-b", "europe-west4-c"],
    ),
    (
        "us-central1",
        &[
            "us-central1-a",
            "us-central1-b",
            "us-central1-c",
            "us-central1-f",
        ],
    ),
];

/// Name, CPUs, memory in MB.
const MACHINE_TYPES: &[(&str, u32, u32)] = &[
    ("e2-micro", 2, 1024),
    ("e2-small", 2, 2048),
    ("e2-medium", 2, 4096),
    ("e2-standard-2", 2, 8192),
    ("e2-standard-4", 4, 16384),
    ("e2-standard-8", 8, 32768),
    ("e2-standard-16", 16, 65536),
    ("e2-standard-32", 32, 131_072),
    ("n1-standard-1", 1, 3840),
    ("n1-standard-2", 2, 7680),
    ("n1-standard-4", 4, 15360),
    ("n1-standard-8", 8, 30720),
    ("n1-standard-16", 16, 61440),
    ("n1-standard-32", 32, 122_880),
];

/// Project, family, image.
const IMAGES: &[(&str, &str, &str)] = &[
    ("debian-cloud", "debian-12", "debian-12-bookworm-v20260610"),
    ("debian-cloud", "debian-11", "debian-11-bullseye-v20260609"),
    (
        "ubuntu-os-cloud",
        "ubuntu-2204-lts",
        "ubuntu-2204-jammy-v20260605",
    ),
    (
        "ubuntu-os-cloud",
        "ubuntu-2404-lts-amd64",
        "ubuntu-2404-noble-amd64-v20260606",
    ),
    ("cos-cloud", "cos-stable", "cos-stable-121-18867-0-1"),
];

/// The regions' names.
pub fn regions() -> impl Iterator<Item = &'static str> {
    REGIONS.iter().map(|(region, _)| *region)
}

/// The zones' names.
pub fn zones() -> impl Iterator<Item = &'static str> {
    REGIONS.iter().flat_map(|(_, zones)| zones.iter().copied())
}

/// CPUs and memory of a machine type.
pub fn machine_type(name: &str) -> Option<(u32, u32)> {
    let mut types = MACHINE_TYPES.iter();
    types
        .find(|(known, _, _)| *known == name)
        .map(|(_, cpus, memory)| (*cpus, *memory))
}

/// The URL of the image that a reference (by name or family, of any project) stands for.
pub fn image_link(state: &State, field: &str, text: &str) -> Result<String, ApiError> {
    let path = text.find("projects/").map_or_else(
        || format!("projects/{}/{text}", state.project),
        |at| text[at..].to_owned(),
    );
    let parts: Vec<&str> = path.split('/').collect();
    let found = match *parts.as_slice() {
        // gcloud names families by their zonal view.
        ["projects", project, "zones", _, "imageFamilyViews", family]
        | ["projects", project, "global", "images", "family", family] => IMAGES
            .iter()
            .find(|(p, f, _)| *p == project && *f == family),
        ["projects", project, "global", "images", name] => {
            IMAGES.iter().find(|(p, _, n)| *p == project && *n == name)
        }
        _ => return Err(ApiError::invalid(field, text, "The URL is malformed.")),
    };
    let (project, _, name) = found.ok_or_else(|| ApiError::missing(&path))?;
    Ok(format!(
        "{}/compute/v1/projects/{project}/global/images/{name}",
        state.base
    ))
}

/// The read-only part of the API.
pub fn routes() -> Router<Cloud> {
    let project = "/compute/v1/projects/{project}";
    Router::new()
        .route(&format!("{project}/zones"), get(list_zones))
        .route(&format!("{project}/zones/{{zone}}"), get(get_zone))
        .route(&format!("{project}/regions"), get(list_regions))
        .route(&format!("{project}/regions/{{region}}"), get(get_region))
        .route(
            &format!("{project}/zones/{{zone}}/machineTypes"),
            get(list_types),
        )
        .route(
            &format!("{project}/zones/{{zone}}/machineTypes/{{name}}"),
            get(get_type),
        )
        .route(
            &format!("{project}/aggregated/machineTypes"),
            get(list_all_types),
        )
        .route(&format!("{project}/global/images"), get(list_images))
        .route(
            &format!("{project}/zones/{{zone}}/imageFamilyViews/{{family}}"),
            get(get_family_view),
        )
        .route(
            &format!("{project}/global/images/{{image}}"),
            get(get_image),
        )
        .route(
            &format!("{project}/global/images/family/{{family}}"),
            get(get_family),
        )
}

/// Ids of things that nobody makes: stable, and the same in every cloud.
pub fn id_of(name: &str) -> String {
    // FNV-1a: any fixed hash will do, std's is not promised to stay.
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash.max(1).to_string()
}

/// The service account of machines that aren't given another. It has no credentials.
pub const DEFAULT_SERVICE_ACCOUNT: &str = "1-compute@developer.gserviceaccount.com";

/// When all of this came to be.
pub const CREATED: &str = "2014-05-30T18:35:16.413-07:00";

fn zone_view(state: &State, zone: &str) -> Value {
    json!({
        "kind": "compute#zone",
        "id": id_of(zone),
        "name": zone,
        "description": zone,
        "status": "UP",
        "creationTimestamp": CREATED,
        "region": state.url(format_args!("regions/{}", super::scope::region_of(zone))),
        "selfLink": state.url(format_args!("zones/{zone}")),
    })
}

fn region_view(state: &State, region: &str) -> Value {
    let zones = zones().filter(|zone| super::scope::region_of(zone) == region);
    let zones: Vec<String> = zones
        .map(|zone| state.url(format_args!("zones/{zone}")))
        .collect();
    json!({
        "kind": "compute#region",
        "id": id_of(region),
        "name": region,
        "description": region,
        "status": "UP",
        "creationTimestamp": CREATED,
        "zones": zones,
        "quotas": quota::view(state, &Scope::Region(region.to_owned())),
        "selfLink": state.url(format_args!("regions/{region}")),
    })
}

fn type_view(state: &State, zone: &str, name: &str) -> Option<Value> {
    let (cpus, memory) = machine_type(name)?;
    Some(json!({
        "kind": "compute#machineType",
        "id": id_of(name),
        "name": name,
        "description": format!("{cpus} vCPUs, {memory} MB RAM, or so the API says"),
        "guestCpus": cpus,
        "memoryMb": memory,
        "zone": zone,
        "creationTimestamp": CREATED,
        "isSharedCpu": false,
        "selfLink": state.url(format_args!("zones/{zone}/machineTypes/{name}")),
    }))
}

fn image_view(state: &State, (project, family, name): (&str, &str, &str)) -> Value {
    json!({
        "kind": "compute#image",
        "id": id_of(name),
        "name": name,
        "family": family,
        "status": "READY",
        "diskSizeGb": "10",
        "architecture": "X86_64",
        "creationTimestamp": CREATED,
        "selfLink": format!("{}/compute/v1/projects/{project}/global/images/{name}", state.base),
    })
}

fn zone_of(place: &Place) -> &str {
    match &place.scope {
        Scope::Zone(name) | Scope::Region(name) => name,
        Scope::Global => "",
    }
}

async fn get_zone(Shared(cloud): Shared<Cloud>, place: Place) -> Answer {
    Ok(Json(
        cloud
            .store()
            .read(|state| zone_view(state, zone_of(&place))),
    ))
}

async fn get_region(Shared(cloud): Shared<Cloud>, place: Place) -> Answer {
    Ok(Json(
        cloud
            .store()
            .read(|state| region_view(state, zone_of(&place))),
    ))
}

async fn get_type(Shared(cloud): Shared<Cloud>, place: Place) -> Answer {
    let name = place.key()?.name;
    cloud.store().read(|state| {
        let path = format!(
            "projects/{}/{}/machineTypes/{name}",
            state.project, place.scope
        );
        let view = type_view(state, zone_of(&place), &name);
        view.map(Json).ok_or_else(|| ApiError::missing(&path))
    })
}

async fn list_zones(
    Shared(cloud): Shared<Cloud>,
    _: Place,
    Query(query): Query<ListQuery>,
) -> Answer {
    cloud.store().read(|state| {
        let items = zones().map(|zone| (zone.to_owned(), zone_view(state, zone)));
        let page = list::page(items.collect(), &query)?;
        Ok(Json(page.into_answer(
            "compute#zoneList",
            state.url("zones").into(),
        )))
    })
}

async fn list_regions(
    Shared(cloud): Shared<Cloud>,
    _: Place,
    Query(query): Query<ListQuery>,
) -> Answer {
    cloud.store().read(|state| {
        let items = regions().map(|region| (region.to_owned(), region_view(state, region)));
        let page = list::page(items.collect(), &query)?;
        Ok(Json(page.into_answer(
            "compute#regionList",
            state.url("regions").into(),
        )))
    })
}

async fn list_types(
    Shared(cloud): Shared<Cloud>,
    place: Place,
    Query(query): Query<ListQuery>,
) -> Answer {
    cloud.store().read(|state| {
        let items = MACHINE_TYPES.iter().filter_map(|(name, _, _)| {
            Some(((*name).to_owned(), type_view(state, zone_of(&place), name)?))
        });
        let page = list::page(items.collect(), &query)?;
        let self_link = state.url(format_args!("{}/machineTypes", place.scope));
        Ok(Json(
            page.into_answer("compute#machineTypeList", self_link.into()),
        ))
    })
}

async fn list_all_types(
    Shared(cloud): Shared<Cloud>,
    _: Place,
    Query(query): Query<ListQuery>,
) -> Answer {
    cloud.store().read(|state| {
        let types =
            zones().flat_map(|zone| MACHINE_TYPES.iter().map(move |(name, ..)| (zone, *name)));
        let items = types.filter_map(|(zone, name)| {
            let key = format!("zones/{zone}/{name}");
            Some((key, type_view(state, zone, name)?))
        });
        let page = list::page(items.collect(), &query)?;
        let self_link = state.url("aggregated/machineTypes");
        Ok(Json(page.into_aggregated(
            "machineType",
            "machineTypes",
            Level::Zone,
            self_link,
        )))
    })
}

/// The images of any project: Google's own are in several.
async fn list_images(
    Shared(cloud): Shared<Cloud>,
    Path(project): Path<String>,
    Query(query): Query<ListQuery>,
) -> Answer {
    cloud.store().read(|state| {
        let own = IMAGES.iter().filter(|(of, _, _)| *of == project);
        let items = own.map(|image| (image.2.to_owned(), image_view(state, *image)));
        let page = list::page(items.collect(), &query)?;
        let self_link = format!("{}/compute/v1/projects/{project}/global/images", state.base);
        Ok(Json(
            page.into_answer("compute#imageList", self_link.into()),
        ))
    })
}

async fn get_image(
    Shared(cloud): Shared<Cloud>,
    Path((project, name)): Path<(String, String)>,
) -> Answer {
    find_image(&cloud, &format!("projects/{project}/global/images/{name}"))
}

async fn get_family(
    Shared(cloud): Shared<Cloud>,
    Path((project, family)): Path<(String, String)>,
) -> Answer {
    find_image(
        &cloud,
        &format!("projects/{project}/global/images/family/{family}"),
    )
}

/// The images of any project's family, as one zone has them.
async fn get_family_view(
    Shared(cloud): Shared<Cloud>,
    Path((project, _, family)): Path<(String, String, String)>,
) -> Answer {
    let path = format!("projects/{project}/global/images/family/{family}");
    find_image(&cloud, &path).map(|Json(image)| Json(json!({"image": image})))
}

fn find_image(cloud: &Cloud, path: &str) -> Answer {
    cloud.store().read(|state| {
        let name = image_link(state, "image", path)?;
        let name = link::last(&name);
        let found = IMAGES.iter().find(|(_, _, known)| *known == name);
        let found = found.ok_or_else(|| ApiError::missing(path))?;
        Ok(Json(image_view(state, *found)))
    })
}
