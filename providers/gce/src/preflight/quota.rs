//! Checks that the project's quotas allow what will be created. Pure: the quotas are given.
//!
//! The metrics are those of `regions.get` and `projects.get`. A metric that neither lists is
//! unlimited, or limited where Compute Engine's API doesn't report it (machine families since C3D
//! and N4 are only in Cloud Quotas).
//! Source: <https://cloud.google.com/compute/resource-usage>.

use super::places::MachineTypes;
use google_cloud_compute_v1::model;
use hakube_provider::{
    Attempt, ErrorKind, ExternalAddress, MachineRef, MachineSpec, PreflightSpec, ProviderError,
    Reach, ResourceId, ResourceKind,
};
use std::collections::{BTreeMap, BTreeSet};

/// The quotas of a project and a region: place, metric, limit and usage of each.
pub(super) struct Quotas {
    all: Vec<(String, String, f64, f64)>,
}

impl Quotas {
    /// The quotas of both.
    pub(super) fn new(project: &model::Project, region: &model::Region) -> Self {
        let mut quotas = Self::of_project(project);
        let name = region.name.as_deref().unwrap_or_default();
        quotas.add(&format!("region {name}"), &region.quotas);
        quotas
    }

    /// The quotas that apply to all regions.
    pub(super) fn of_project(project: &model::Project) -> Self {
        let mut quotas = Self { all: Vec::new() };
        let name = project.name.as_deref().unwrap_or_default();
        quotas.add(&format!("project {name}"), &project.quotas);
        quotas
    }

    fn add(&mut self, place: &str, quotas: &[model::Quota]) {
        self.all.extend(quotas.iter().filter_map(|quota| {
            let metric = quota.metric.as_ref()?.name()?.to_owned();
            let usage = quota.usage.unwrap_or_default();
            Some((place.to_owned(), metric, quota.limit?, usage))
        }));
    }

    /// The quotas that the demand exceeds.
    pub(super) fn short_of(&self, demand: &Demand) -> Vec<ProviderError> {
        let finding = |(place, metric, limit, usage): &(String, String, f64, f64)| {
            let needs = demand.of(metric, place.starts_with("region"))?;
            let left = (limit - usage).max(0.0);
            // Counts are integers that a float represents exactly.
            (f64::from(u32::try_from(needs).unwrap_or(u32::MAX)) > left).then(|| {
                let attempt = Attempt::new("stay within", format!("quota {metric} of {place}"));
                let message = format!("{needs} needed, but only {left} of {limit} left");
                attempt.error(ErrorKind::Quota, message).with_hint(
                    "request more at https://console.cloud.google.com/iam-admin/quotas, or use fewer or smaller machines",
                )
            })
        };
        self.all.iter().filter_map(finding).collect()
    }
}

/// The amount needed of each metric.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Demand(BTreeMap<String, u64>);

impl Demand {
    /// The amounts needed to create everything that doesn't exist yet.
    pub(super) fn new(
        spec: &PreflightSpec,
        types: &MachineTypes,
        there: &BTreeSet<ResourceId>,
    ) -> Self {
        let mut demand = Self::default();
        for (machine, group) in spec.all_machines() {
            let MachineRef { name, zone } = &machine.machine;
            if !there.contains(&ResourceId::in_zone(ResourceKind::Machine, zone, name)) {
                let count = group.map_or(1, |group| u64::from(group.size));
                demand.machines(machine, count, types);
            }
        }
        let existing = |kind| there.iter().filter(move |id| id.kind == kind).count();
        for (metric, kind, wanted) in counted(spec) {
            demand.add(metric, wanted.saturating_sub(existing(kind)) as u64);
        }
        // Each zone with backends has a group, and so has each managed group.
        let zones: BTreeSet<&str> = spec
            .balancers
            .iter()
            .flat_map(|balancer| balancer.backends.iter())
            .map(|backend| backend.zone.as_str())
            .collect();
        demand.add(
            "INSTANCE_GROUPS",
            (zones.len() + spec.node_groups.len()) as u64,
        );
        demand
    }

    /// Removes and returns the metrics that count in the network's project.
    pub(super) fn split_network(&mut self) -> Self {
        let metrics = ["FIREWALLS", "NETWORKS", "SUBNETWORKS"];
        let taken = metrics.map(|metric| self.0.remove_entry(metric));
        Self(taken.into_iter().flatten().collect())
    }

    fn machines(&mut self, machine: &MachineSpec, count: u64, types: &MachineTypes) {
        self.add("INSTANCES", count);
        let key = (machine.machine.zone.clone(), machine.machine_type.clone());
        let cpus = types.get(&key).and_then(|found| found.guest_cpus);
        let cpus = cpus.and_then(|cpus| u64::try_from(cpus).ok()).unwrap_or(0) * count;
        self.add(&cpu_metric(&machine.machine_type), cpus);
        self.add("CPUS_ALL_REGIONS", cpus);
        // A reserved address also counts as in use while it is assigned.
        if machine.external != ExternalAddress::None {
            self.add("IN_USE_ADDRESSES", count);
        }
        self.add(
            disk_metric(&machine.boot_disk_kind),
            machine.boot_disk_gb * count,
        );
        if let Some(disk) = &machine.data_disk {
            self.add(disk_metric(&disk.kind), disk.size_gb * count);
        }
    }

    fn add(&mut self, metric: &str, count: u64) {
        if count > 0 && !metric.is_empty() {
            *self.0.entry(metric.to_owned()).or_default() += count;
        }
    }

    /// The amount needed of a metric. The project's address metrics are for global addresses, which
    /// hakube doesn't use.
    fn of(&self, metric: &str, in_region: bool) -> Option<u64> {
        let regional = metric.ends_with("_ADDRESSES");
        if regional && !in_region {
            return None;
        }
        self.0.get(metric).copied()
    }
}

/// Metrics that count resources of a kind, and the number wanted.
fn counted(spec: &PreflightSpec) -> [(&'static str, ResourceKind, usize); 10] {
    let subnetworks = spec.networks.iter().filter(|it| it.subnetwork.is_some());
    let is_external = |reach: &Reach| *reach == Reach::Anywhere;
    let external = spec.addresses.iter().filter(|it| is_external(&it.reach));
    let internal = spec.addresses.iter().filter(|it| !is_external(&it.reach));
    // Internal rules count per network, in no quota of the project or region.
    let rules = spec.rules.iter().filter(|it| is_external(&it.reach));
    [
        ("STATIC_ADDRESSES", ResourceKind::Address, external.count()),
        (
            "INTERNAL_ADDRESSES",
            ResourceKind::Address,
            internal.count(),
        ),
        ("FIREWALLS", ResourceKind::Firewall, spec.firewalls.len()),
        ("NETWORKS", ResourceKind::Network, spec.networks.len()),
        ("SUBNETWORKS", ResourceKind::Subnetwork, subnetworks.count()),
        (
            "FORWARDING_RULES",
            ResourceKind::ForwardingRule,
            rules.count(),
        ),
        (
            "BACKEND_SERVICES",
            ResourceKind::BackendService,
            spec.balancers.len(),
        ),
        (
            "HEALTH_CHECKS",
            ResourceKind::HealthCheck,
            spec.balancers.len(),
        ),
        (
            "INSTANCE_TEMPLATES",
            ResourceKind::MachineTemplate,
            spec.node_groups.len(),
        ),
        (
            "INSTANCE_GROUP_MANAGERS",
            ResourceKind::NodeGroup,
            spec.node_groups.len(),
        ),
    ]
}

/// The metric of a machine type's CPUs: older families share one, others have their own.
fn cpu_metric(machine_type: &str) -> String {
    let family = machine_type.split('-').next().unwrap_or_default();
    match family {
        "e2" | "n1" | "f1" | "g1" => "CPUS".to_owned(),
        family => format!("{}_CPUS", family.to_uppercase()),
    }
}

/// The metric of a disk's size; empty for hyperdisks, whose quotas are elsewhere.
fn disk_metric(kind: &str) -> &'static str {
    match kind {
        "pd-standard" => "DISKS_TOTAL_GB",
        "pd-ssd" | "pd-balanced" => "SSD_TOTAL_GB",
        _ => "",
    }
}
