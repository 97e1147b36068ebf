//! Collections that can only be read: what every cloud has, what follows from other resources, and types of which
//! there are never any. Clients list the latter in passing: gcloud lists autoscalers before it deletes a managed
//! group.

use axum::extract::{Query, State as Shared};
use axum::routing::get;
use axum::{Json, Router};
use hakube_local_resources::list::{self, ListQuery};
use hakube_local_resources::rules::managed::view;
use hakube_local_resources::rules::{network, quota};
use hakube_local_resources::{ApiError, Level, Scope, State, catalog, link, region_of};
use serde_json::{Value, json};

use crate::calls::crud::Answer;
use crate::cloud::Cloud;
use crate::place::Place;

const PROJECT: &str = "/compute/v1/projects/{project}";

/// Resources with their names.
type Items = Vec<(String, Value)>;
/// The resources of a scope.
type Find = fn(&State, &Scope) -> Items;

/// A collection in one kind of scope.
struct Collection {
    name: &'static str,
    /// As in `compute#zoneList`.
    noun: &'static str,
    /// The path of the scope; empty for collections of the project itself.
    scope: &'static str,
    items: Find,
}

const fn collection(
    name: &'static str,
    noun: &'static str,
    scope: &'static str,
    items: Find,
) -> Collection {
    Collection {
        name,
        noun,
        scope,
        items,
    }
}

const ZONE: &str = "zones/{zone}";
const REGION: &str = "regions/{region}";
const COLLECTIONS: &[Collection] = &[
    collection("zones", "zone", "", zones),
    collection("regions", "region", "", regions),
    collection("machineTypes", "machineType", ZONE, machine_types),
    collection("diskTypes", "diskType", ZONE, disk_types),
    collection("routes", "route", "global", routes_of_networks),
    collection("autoscalers", "autoscaler", ZONE, none),
    collection("autoscalers", "regionAutoscaler", REGION, none),
    collection("addresses", "address", "global", none),
    collection("backendServices", "backendService", "global", none),
    collection("forwardingRules", "forwardingRule", "global", none),
    collection(
        "instanceGroupManagers",
        "regionInstanceGroupManager",
        REGION,
        none,
    ),
    collection("instanceGroups", "regionInstanceGroup", REGION, none),
    collection("routers", "router", REGION, none),
    collection("targetHttpProxies", "targetHttpProxy", "global", none),
    collection("targetHttpsProxies", "targetHttpsProxy", "global", none),
    collection("targetInstances", "targetInstance", ZONE, none),
    collection("urlMaps", "urlMap", "global", none),
];

/// The collections with a list over all scopes.
const AGGREGATED: &[(&str, &str, Level, Find)] = &[
    ("machineTypes", "machineType", Level::Zone, machine_types),
    ("diskTypes", "diskType", Level::Zone, disk_types),
    ("autoscalers", "autoscaler", Level::Zone, none),
    ("routers", "router", Level::Region, none),
    ("targetInstances", "targetInstance", Level::Zone, none),
    ("urlMaps", "urlMaps", Level::Region, none),
];

/// Get, list, and lists over all scopes.
pub fn routes() -> Router<Cloud> {
    let mut router = Router::new();
    for collection in COLLECTIONS {
        let (many, one) = match collection.name {
            "zones" => (format!("{PROJECT}/zones"), format!("{PROJECT}/{ZONE}")),
            "regions" => (format!("{PROJECT}/regions"), format!("{PROJECT}/{REGION}")),
            name => {
                let many = format!("{PROJECT}/{}/{name}", collection.scope);
                let one = format!("{many}/{{name}}");
                (many, one)
            }
        };
        let listed = move |Shared(cloud): Shared<Cloud>,
                           place: Place,
                           Query(query): Query<ListQuery>| async move {
            collection.list(&cloud, &place, &query)
        };
        let one_of = move |Shared(cloud): Shared<Cloud>, place: Place| async move {
            collection.find(&cloud, &place)
        };
        router = router.route(&many, get(listed)).route(&one, get(one_of));
    }
    for (collection, noun, level, items) in AGGREGATED {
        let path = format!("{PROJECT}/aggregated/{collection}");
        let listed = move |Shared(cloud): Shared<Cloud>,
                           _: Place,
                           Query(query): Query<ListQuery>| async move {
            let listed = cloud.store().read(|state| {
                let in_scope = |scope: Scope| {
                    let items = items(state, &scope).into_iter();
                    items.map(move |(name, item)| (format!("{scope}/{name}"), item))
                };
                let page = list::page(list::scopes(*level).flat_map(in_scope).collect(), &query)?;
                let own = state.url(format_args!("aggregated/{collection}"));
                Ok::<_, ApiError>(page.into_aggregated(noun, collection, *level, own))
            });
            listed.map(Json)
        };
        router = router.route(&path, get(listed));
    }
    router
}

impl Collection {
    /// The path below the project.
    fn below(&self, scope: &Scope) -> String {
        match self.scope {
            "" => self.name.to_owned(),
            _ => format!("{scope}/{}", self.name),
        }
    }

    fn list(&self, cloud: &Cloud, place: &Place, query: &ListQuery) -> Answer {
        cloud.store().read(|state| {
            let page = list::page((self.items)(state, &place.scope), query)?;
            let own = state.url(self.below(&place.scope));
            let kind = format!("compute#{}List", self.noun);
            Ok(Json(page.into_answer(&kind, own.into())))
        })
    }

    fn find(&self, cloud: &Cloud, place: &Place) -> Answer {
        let scope = place.scope.to_string();
        // A zone or a region is the scope in its path.
        let wanted = match self.scope {
            "" => link::last(&scope).to_owned(),
            _ => place.key()?.name,
        };
        cloud.store().read(|state| {
            let found = match self.name {
                "machineTypes" => machine_type(state, &place.scope, &wanted),
                _ => {
                    let mut items = (self.items)(state, &place.scope).into_iter();
                    let item = items.find(|(name, _)| *name == wanted);
                    item.map(|(_, item)| item)
                }
            };
            let below = self.below(&place.scope);
            let path = format!("projects/{}/{below}/{wanted}", state.project);
            found.map(Json).ok_or_else(|| ApiError::missing(&path))
        })
    }
}

fn none(_: &State, _: &Scope) -> Items {
    Vec::new()
}

fn zones(state: &State, _: &Scope) -> Items {
    let zones = catalog::zones().map(|zone| (zone.to_owned(), zone_view(state, zone)));
    zones.collect()
}

fn zone_view(state: &State, zone: &str) -> Value {
    json!({
        "kind": "compute#zone",
        "id": catalog::id_of(zone),
        "name": zone,
        "description": zone,
        "status": "UP",
        "availableCpuPlatforms": ["Intel Haswell"],
        "supportsPzs": false,
        "creationTimestamp": catalog::CREATED,
        "region": state.url(format_args!("regions/{}", region_of(zone))),
        "selfLink": state.url(format_args!("zones/{zone}")),
    })
}

fn regions(state: &State, _: &Scope) -> Items {
    let regions = catalog::regions();
    let regions = regions.map(|region| (region.to_owned(), region_view(state, region)));
    regions.collect()
}

fn region_view(state: &State, region: &str) -> Value {
    let zones = catalog::zones().filter(|zone| region_of(zone) == region);
    let zones: Vec<String> = zones
        .map(|zone| state.url(format_args!("zones/{zone}")))
        .collect();
    json!({
        "kind": "compute#region",
        "id": catalog::id_of(region),
        "name": region,
        "description": region,
        "status": "UP",
        "creationTimestamp": catalog::CREATED,
        "zones": zones,
        "quotas": quota::view(state, &Scope::Region(region.to_owned())),
        "selfLink": state.url(format_args!("regions/{region}")),
    })
}

fn machine_types(state: &State, zone: &Scope) -> Items {
    let types = catalog::MACHINE_TYPES.iter();
    let types = types
        .filter_map(|(name, _, _)| Some(((*name).to_owned(), machine_type(state, zone, name)?)));
    types.collect()
}

/// A machine type, which may be a custom one: those aren't listed.
fn machine_type(state: &State, zone: &Scope, name: &str) -> Option<Value> {
    let (cpus, memory) = catalog::machine_type(name)?;
    let zone = zone.to_string();
    let is_shared = ["micro", "small", "medium"]
        .iter()
        .any(|size| name.contains(size));
    Some(json!({
        "kind": "compute#machineType",
        "id": catalog::id_of(name),
        "name": name,
        "description": format!("{cpus} vCPUs, {memory} MB RAM (nominal)"),
        "guestCpus": cpus,
        "memoryMb": memory,
        "zone": link::last(&zone),
        "creationTimestamp": catalog::CREATED,
        "isSharedCpu": is_shared,
        "imageSpaceGb": 0,
        "maximumPersistentDisks": if is_shared { 16 } else { 128 },
        "maximumPersistentDisksSizeGb": if is_shared { "3072" } else { "263168" },
        "architecture": "X86_64",
        "selfLink": state.url(format_args!("{zone}/machineTypes/{name}")),
    }))
}

fn disk_types(state: &State, zone: &Scope) -> Items {
    let types = catalog::DISK_TYPES.iter().map(|(name, size)| {
        let view = json!({
            "kind": "compute#diskType",
            "id": catalog::id_of(name),
            "name": name,
            "description": name,
            "defaultDiskSizeGb": size.to_string(),
            "validDiskSize": "10GB-65536GB",
            "zone": state.url(zone),
            "creationTimestamp": catalog::CREATED,
            "selfLink": state.url(format_args!("{zone}/diskTypes/{name}")),
        });
        ((*name).to_owned(), view)
    });
    types.collect()
}

/// All routes: those that clients created, and the automatic ones of networks, to their subnetworks and to the
/// Internet.
fn routes_of_networks(state: &State, _: &Scope) -> Items {
    let created = state.routes.iter();
    let created = created.filter(|(key, _)| key.project.is_none());
    let mut routes: Items = created
        .map(|(key, route)| (key.name.clone(), view(route, state).into()))
        .collect();
    let own = state.networks.ready();
    for (_, network) in own.filter(|(key, _)| key.project.is_none()) {
        let link = &network.meta.self_link;
        let created = &network.meta.creation_timestamp;
        let mut add = |of: &str, description: String, hop: Value| {
            // A stable ID: routes aren't stored.
            let id = catalog::id_of(of);
            let name = format!(
                "default-route-{:016x}",
                id.parse::<u64>().unwrap_or_default()
            );
            let mut route = json!({
                "kind": "compute#route",
                "id": id,
                "name": name,
                "description": description,
                "creationTimestamp": created,
                "network": link,
                "selfLink": state.url(format_args!("global/routes/{name}")),
            });
            if let (Some(route), Value::Object(hop)) = (route.as_object_mut(), hop) {
                route.extend(hop);
            }
            routes.push((name, route));
        };
        let gateway = state.url("global/gateways/default-internet-gateway");
        add(
            link,
            "Default route to the Internet.".into(),
            json!({"destRange": "0.0.0.0/0", "priority": 1000, "nextHopGateway": gateway}),
        );
        for (_, subnet) in network::subnetworks_of(state, link) {
            let range = subnet.ip_cidr_range;
            add(
                &subnet.meta.self_link,
                format!("Default local route to the subnetwork {range}."),
                json!({"destRange": range, "priority": 0, "nextHopNetwork": link}),
            );
        }
    }
    routes
}
