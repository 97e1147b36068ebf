//! Quotas: limits and usage. Limits belong to the project and are set over the admin API; usage is counted
//! from the state.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::base::{ApiError, Block, Scope, catalog, link};
use crate::state::{Limits, State};
use crate::types::instance::Status;

/// The limit where none is set.
const PLENTY: f64 = 1_000_000.0;

/// Usage and limit of each metric in a scope.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Quota {
    metric: &'static str,
    limit: f64,
    usage: f64,
}

/// `quotas` of the cloud's own project, or of a region.
pub fn view(state: &State, scope: &Scope) -> Value {
    shown(quotas(state, scope))
}

/// The `quotas` of another project: usage without limits.
pub fn view_of_other(state: &State, project: &str) -> Value {
    let usage = of_networks(state, Some(project)).into_iter();
    let quotas = usage.map(|(metric, usage)| Quota {
        metric,
        limit: PLENTY,
        usage,
    });
    shown(quotas.collect())
}

fn shown(quotas: Vec<Quota>) -> Value {
    let quotas = quotas.into_iter();
    quotas
        .map(|quota| json!({"metric": quota.metric, "limit": quota.limit, "usage": quota.usage}))
        .collect()
}

/// Rejects a change that exceeds a limit. Usage that is above a limit already may stay.
pub fn check(before: &State, after: &State) -> Result<(), ApiError> {
    for name in after.quotas.keys() {
        let scope = match name.strip_prefix("regions/") {
            Some(region) => Scope::Region(region.to_owned()),
            None => Scope::Global,
        };
        let old = quotas(before, &scope);
        for (now, old) in quotas(after, &scope).into_iter().zip(old) {
            if now.usage > now.limit && now.usage > old.usage {
                let place = match &scope {
                    Scope::Region(region) => format!("in region {region}"),
                    _ => "globally".to_owned(),
                };
                return Err(ApiError::quota(now.metric, now.limit, &place));
            }
        }
    }
    Ok(())
}

fn quotas(state: &State, scope: &Scope) -> Vec<Quota> {
    let limits = state.quotas.get(&scope.to_string());
    let usage = match scope {
        Scope::Region(region) => in_region(state, region),
        Scope::Global | Scope::Zone(_) => in_project(state),
    };
    let quota = |(metric, usage)| Quota {
        metric,
        limit: limits
            .and_then(|limits| limits.get(metric))
            .copied()
            .unwrap_or(PLENTY),
        usage,
    };
    usage.into_iter().map(quota).collect()
}

/// Converts a count to the API's number type, a double.
fn count(found: usize) -> f64 {
    u32::try_from(found).map_or(f64::MAX, f64::from)
}

/// CPUs of all machines that aren't stopped.
fn cpus(state: &State, region: Option<&str>) -> f64 {
    let instances = state.instances.iter().filter(|(key, instance)| {
        instance.status != Status::Terminated
            && region.is_none_or(|region| key.scope.region() == Some(region))
    });
    let cpus = instances
        .filter_map(|(_, instance)| catalog::machine_type(link::last(&instance.machine_type)));
    cpus.map(|(cpus, _)| f64::from(cpus)).sum()
}

fn in_region(state: &State, region: &str) -> Vec<(&'static str, f64)> {
    let here = |scope: &Scope| scope.region() == Some(region);
    let disks = |ssd: bool| -> f64 {
        let disks = state.disks.iter().filter(|(key, _)| here(&key.scope));
        let of_type = disks.filter(|(_, disk)| disk.is_ssd() == ssd);
        of_type.map(|(_, disk)| disk.gigabytes()).sum()
    };
    let instances = || state.instances.iter().filter(|(key, _)| here(&key.scope));
    let nat = instances()
        .flat_map(|(_, instance)| instance.access_configs())
        .filter(|config| config.nat_ip.is_some());
    let rules = state
        .forwarding_rules
        .iter()
        .filter(|(key, rule)| here(&key.scope) && rule.is_external());
    let addresses = |external: bool| {
        let addresses = state
            .addresses
            .iter()
            .filter(move |(key, address)| here(&key.scope) && address.is_external() == external);
        count(addresses.count())
    };
    let groups = state
        .instance_groups
        .iter()
        .filter(|(key, _)| here(&key.scope));
    let managers = state
        .instance_group_managers
        .iter()
        .filter(|(key, _)| here(&key.scope));
    vec![
        ("CPUS", cpus(state, Some(region))),
        ("DISKS_TOTAL_GB", disks(false)),
        ("IN_USE_ADDRESSES", count(nat.count() + rules.count())),
        ("INSTANCES", count(instances().count())),
        ("INSTANCE_GROUPS", count(groups.count())),
        ("INSTANCE_GROUP_MANAGERS", count(managers.count())),
        ("INTERNAL_ADDRESSES", addresses(false)),
        ("SSD_TOTAL_GB", disks(true)),
        ("STATIC_ADDRESSES", addresses(true)),
    ]
}

fn in_project(state: &State) -> Vec<(&'static str, f64)> {
    let legacy = state.http_health_checks.len() + state.https_health_checks.len();
    let checks = state.health_checks.len() + legacy;
    let mut all = of_networks(state, None);
    all.extend([
        ("BACKEND_SERVICES", count(state.backend_services.len())),
        ("CPUS_ALL_REGIONS", cpus(state, None)),
        ("FORWARDING_RULES", count(state.forwarding_rules.len())),
        ("HEALTH_CHECKS", count(checks)),
        ("INSTANCE_TEMPLATES", count(state.instance_templates.len())),
        ("TARGET_POOLS", count(state.target_pools.len())),
    ]);
    all.sort_by_key(|(metric, _)| *metric);
    all
}

/// Metrics that every project has.
fn of_networks(state: &State, project: Option<&str>) -> Vec<(&'static str, f64)> {
    vec![
        ("FIREWALLS", count(state.firewalls.count_in(project))),
        ("NETWORKS", count(state.networks.count_in(project))),
        ("SUBNETWORKS", count(state.subnetworks.count_in(project))),
    ]
}

/// Rejects invalid limits.
pub fn check_limits(limits: &Limits) -> Result<(), ApiError> {
    for (scope, metrics) in limits {
        let region = scope.strip_prefix("regions/");
        let known = region.is_some_and(|region| catalog::regions().any(|known| known == region));
        if scope != "global" && !known {
            let why = "Must be global or regions/R.";
            return Err(ApiError::invalid("quotas", scope, why));
        }
        let nothing = State::new("", Block::new(0));
        let counted = match region {
            Some(region) => in_region(&nothing, region),
            None => in_project(&nothing),
        };
        for (metric, limit) in metrics {
            if !counted.iter().any(|(known, _)| known == metric) {
                let known: Vec<&str> = counted.iter().map(|(known, _)| *known).collect();
                let why = format!("Must be one of {}.", known.join(", "));
                return Err(ApiError::invalid("quotas", metric, why));
            }
            if !(limit.is_finite() && *limit >= 0.0) {
                return Err(ApiError::invalid("quotas", limit, "Must be 0 or more."));
            }
        }
    }
    Ok(())
}
