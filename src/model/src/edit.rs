//! The edits that commands make to an intent: pure functions, with all rules that can refuse one.

use super::{EtcdView, Intent, MemberRole, Observed, Phase, ReplicaIntent};
use hakube_error::{Error, Result};
use std::collections::{BTreeMap, BTreeSet};

/// The zones available to a new replica.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zones {
    /// The zone that the operator asked for.
    pub asked: Option<String>,
    /// The zones of the cluster's region that are up.
    pub up: Vec<String>,
    /// The free hosts, if the provider has existing hosts.
    pub free: Option<FreeHosts>,
}

/// Hosts that can become replicas, by zone, in order of preference.
pub type FreeHosts = BTreeMap<String, Vec<String>>;

/// Adds `count` replicas. Without a requested zone, each goes to the zone with the fewest.
///
/// `suffix` returns the three letters of a new name. It is called again if the name is taken.
///
/// # Errors
/// A zone outside the cluster's region, or one that doesn't exist (bad input); a second zone of a cluster that isn't
/// MULTIZONE (refused).
pub fn add_replicas(
    intent: &Intent,
    zones: &Zones,
    count: usize,
    mut suffix: impl FnMut() -> String,
) -> Result<Intent> {
    if let Some(zone) = &zones.asked {
        check_zone(intent, zone, &zones.up)?;
    }
    let mut next = intent.clone();
    for _ in 0..count {
        let zone = match &zones.asked {
            Some(zone) => zone.clone(),
            None => emptiest_zone(&next, zones),
        };
        let name = fresh_name(&next, zones.free.as_ref(), &zone, &mut suffix)?;
        next.replicas.push(ReplicaIntent { name, zone });
    }
    Ok(next)
}

/// Checks that the zone is in the cluster's region, and up.
pub(super) fn check_known_zone(intent: &Intent, zone: &str, up: &[String]) -> Result<()> {
    let spec = &intent.spec;
    let region = spec.zone.region();
    // Zones of existing hosts may have any name.
    let is_anywhere = spec.hosts.is_some();
    if !is_anywhere && zone.rsplit_once('-').map(|(region, _)| region) != Some(region) {
        return Err(Error::bad_input(format!(
            "zone {zone} is outside region {region}, where cluster {} and its endpoint's address are",
            spec.cluster
        ))
        .hint(format!("choose a zone of {region}: {}", up.join(", "))));
    }
    if !up.iter().any(|known| known == zone) {
        return Err(Error::bad_input(format!("there is no zone {zone}"))
            .hint(format!("zones of {region}: {}", up.join(", "))));
    }
    Ok(())
}

fn check_zone(intent: &Intent, zone: &str, up: &[String]) -> Result<()> {
    let spec = &intent.spec;
    check_known_zone(intent, zone, up)?;
    let elsewhere = intent.replicas.iter().all(|replica| replica.zone != zone);
    if elsewhere && !spec.multizone {
        return Err(Error::refused(format!(
            "cluster {} was created without MULTIZONE=true, so all its replicas are in {}",
            spec.cluster,
            spec.zone.name()
        ))
        .because("its nodes and volumes have no zone labels")
        .hint(format!("hakube replicate --zone {}", spec.zone.name()))
        .hint("or recreate the cluster: MULTIZONE=true hakube up"));
    }
    Ok(())
}

/// The zone with the fewest replicas; the first by name if there are several.
fn emptiest_zone(intent: &Intent, zones: &Zones) -> String {
    let home = intent.spec.zone.name().to_owned();
    if !intent.spec.multizone {
        return home;
    }
    let replicas_in = |zone: &str| intent.replicas.iter().filter(|r| r.zone == zone).count();
    // With existing hosts, only zones with a free one.
    let has_room = |zone: &&String| match &zones.free {
        None => true,
        Some(free) => free
            .get(*zone)
            .is_some_and(|names| names.iter().any(|name| intent.replica(name).is_none())),
    };
    let up: BTreeSet<&String> = zones.up.iter().filter(has_room).collect();
    up.into_iter()
        .min_by_key(|zone| replicas_in(zone))
        .cloned()
        .unwrap_or(home)
}

fn fresh_name(
    intent: &Intent,
    free: Option<&FreeHosts>,
    zone: &str,
    suffix: &mut impl FnMut() -> String,
) -> Result<String> {
    if let Some(free) = free {
        return free_host(intent, free, zone);
    }
    loop {
        let name = intent.spec.names.replica(&suffix());
        if intent.replica(&name).is_none() {
            return Ok(name);
        }
    }
}

/// A free host in the zone. The error lists zones that have one.
pub(super) fn free_host(intent: &Intent, free: &FreeHosts, zone: &str) -> Result<String> {
    let is_free = |name: &&String| intent.replica(name).is_none();
    if let Some(name) = free.get(zone).into_iter().flatten().find(is_free) {
        return Ok(name.clone());
    }
    let others: Vec<String> = free
        .iter()
        .filter_map(|(zone, names)| {
            let names: Vec<&str> = names.iter().filter(is_free).map(String::as_str).collect();
            (!names.is_empty()).then(|| format!("{zone} ({})", names.join(", ")))
        })
        .collect();
    let error = Error::bad_input(format!("zone {zone} has no free host for a replica"));
    Err(if others.is_empty() {
        error.hint("add hosts to the inventory, with role replica or any: --hosts FILE")
    } else {
        error
            .because(format!("zones with free hosts: {}", others.join("; ")))
            .hint(
                "choose one of these zones: --zone ZONE; or add hosts to the inventory: --hosts FILE",
            )
    })
}

/// The replica that `down --replica` should remove.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RemovalRequest {
    /// Its name; any replica if `None`.
    pub name: Option<String>,
    /// Its zone; any zone if `None`.
    pub zone: Option<String>,
    /// Whether the operator confirms that an unreachable replica is dead.
    pub force: bool,
}

/// A removal that passed all checks.
#[derive(Debug, Clone, PartialEq)]
pub struct Removal {
    /// The intent without the replica.
    pub intent: Intent,
    /// The replica to remove.
    pub replica: ReplicaIntent,
}

/// Chooses the replica to remove, and checks that etcd keeps its quorum without it.
///
/// # Errors
/// No such replica (bad input). Refused: the last replica; etcd is unreachable; quorum would be lost, or is
/// lost already; an unreachable replica without `force`.
pub fn choose_removal(
    intent: &Intent,
    observed: &Observed,
    request: &RemovalRequest,
) -> Result<Removal> {
    let replica = pick(intent, observed, request)?.clone();
    let cluster = &intent.spec.cluster;
    if intent.replicas.len() == 1 {
        return Err(Error::refused(format!(
            "{} is the last replica of cluster {cluster}",
            replica.name
        ))
        .hint("to delete the whole cluster: hakube down"));
    }
    check_seen(intent, observed, &replica)?;
    check_quorum(observed, &replica, request.force)?;
    let mut next = intent.clone();
    next.replicas.retain(|other| other.name != replica.name);
    Ok(Removal {
        intent: next,
        replica,
    })
}

/// Replaces a replica with a new one in the same zone. A healthy one is removed once the new one votes. One
/// that is down is removed first, because etcd accepts no new member while it is listed.
///
/// # Errors
/// No such replica (bad input). Refused: etcd is unreachable, or has no quorum to remove a member.
pub fn replace_replica(
    intent: &Intent,
    observed: &Observed,
    name: &str,
    free: Option<&FreeHosts>,
    mut suffix: impl FnMut() -> String,
) -> Result<Intent> {
    let request = RemovalRequest {
        name: Some(name.to_owned()),
        ..RemovalRequest::default()
    };
    let old = pick(intent, observed, &request)?.clone();
    check_seen(intent, observed, &old)?;
    let member = observed.etcd.member(name);
    if !member.is_some_and(|member| member.healthy) {
        check_quorum(observed, &old, true)?;
    }
    let new = ReplicaIntent {
        name: fresh_name(intent, free, &old.zone, &mut suffix)?,
        zone: old.zone,
    };
    let mut next = intent.clone();
    next.replicas.retain(|replica| replica.name != name);
    next.replicas.push(new);
    Ok(next)
}

fn pick<'a>(
    intent: &'a Intent,
    observed: &Observed,
    request: &RemovalRequest,
) -> Result<&'a ReplicaIntent> {
    let names = || replica_names(intent);
    let in_zone = |replica: &&ReplicaIntent| {
        request
            .zone
            .as_ref()
            .is_none_or(|zone| *zone == replica.zone)
    };
    if let Some(name) = &request.name {
        let found = intent.replica(name).ok_or_else(|| {
            Error::bad_input(format!(
                "cluster {} has no replica {name}",
                intent.spec.cluster
            ))
            .hint(format!("its replicas: {}", names()))
        })?;
        return Some(found).filter(in_zone).ok_or_else(|| {
            Error::bad_input(format!(
                "replica {name} is in {}, not in the requested zone",
                found.zone
            ))
        });
    }
    let healthy = |replica: &ReplicaIntent| {
        observed
            .etcd
            .member(&replica.name)
            .is_some_and(|member| member.healthy)
    };
    // With --force, prefers a dead replica; otherwise the newest.
    let mut candidates = intent.replicas.iter().filter(in_zone);
    let dead = candidates
        .clone()
        .find(|replica| request.force && !healthy(replica));
    dead.or(candidates.next_back()).ok_or_else(|| {
        let zone = request.zone.as_deref().unwrap_or_default();
        Error::bad_input(format!(
            "cluster {} has no replica in zone {zone}",
            intent.spec.cluster
        ))
        .hint(format!("its replicas: {}", names()))
    })
}

/// Checks that all replicas' hosts and zones are reachable. Otherwise no replica may be removed.
fn check_seen(intent: &Intent, observed: &Observed, replica: &ReplicaIntent) -> Result<()> {
    match observed.hidden_zone(intent) {
        None => Ok(()),
        Some((place, why)) => Err(Error::refused(format!(
            "{} can't be removed while {place} is unreachable",
            replica.name
        ))
        .because(why)
        .hint("make it reachable again; then run this again")
        .hint(if intent.spec.hosts.is_some() {
            "if a host is permanently gone, remove it from the inventory, then run this command with --hosts FILE --force"
                .to_owned()
        } else {
            format!(
                "if a libvirt host is permanently gone: HAKUBE_LIBVIRT_ZONES={}=gone, with this command and --force",
                place.trim_start_matches("zone ")
            )
        })),
    }
}

/// Checks that the replica's member can be removed.
fn check_quorum(observed: &Observed, replica: &ReplicaIntent, force: bool) -> Result<()> {
    let name = &replica.name;
    if let EtcdView::Unknown { why } = &observed.etcd {
        return Err(Error::refused(format!(
            "could not check whether etcd keeps its quorum without {name}"
        ))
        .because(why)
        .hint("hakube doesn't reduce redundancy while etcd's state is unknown; check it: hakube status"));
    }
    let Some(member) = observed.etcd.member(name) else {
        return Ok(());
    };
    if member.role == MemberRole::Learner {
        return Ok(());
    }
    let now = observed.etcd.quorum();
    let after = now.without(member);
    if !now.holds() {
        return Err(Error::refused(format!("etcd has no quorum, so it can't remove {name}"))
            .because(format!("now: {now}"))
            .hint("bring a dead replica's machine back first: hakube repair; hakube never forces a new etcd cluster over existing data"));
    }
    if !after.holds() {
        return Err(
            Error::refused(format!("without {name} etcd would lose its quorum"))
                .because(format!("now: {now}; then: {after}"))
                .hint("remove or repair the replica that is down first: hakube status"),
        );
    }
    if !member.healthy && !force {
        return Err(Error::refused(format!(
            "replica {name} doesn't respond: it may be dead, or only unreachable from here"
        ))
        .because(format!("now: {now}; without it: {after}"))
        .hint(format!(
            "if it is permanently dead: hakube down --replica {name} --force"
        ))
        .hint(
            "--force removes its member without contacting it, and deletes its machine and disk",
        ));
    }
    Ok(())
}

/// Makes a free host of the zone the new cluster's first replica.
///
/// # Errors
/// The zone has no free host (bad input).
pub fn with_first_host(mut intent: Intent, free: Option<&FreeHosts>) -> Result<Intent> {
    let Some(free) = free else { return Ok(intent) };
    for first in std::mem::take(&mut intent.replicas) {
        let name = free_host(&intent, free, &first.zone)?;
        intent.replicas.push(ReplicaIntent { name, ..first });
    }
    Ok(intent)
}

/// The replicas' names, comma-separated.
pub fn replica_names(intent: &Intent) -> String {
    let names: Vec<&str> = intent.replicas.iter().map(|r| r.name.as_str()).collect();
    names.join(", ")
}

/// Marks the whole cluster for deletion.
pub fn begin_teardown(intent: &Intent) -> Intent {
    Intent {
        phase: Phase::Absent,
        ..intent.clone()
    }
}
