//! The edits that commands make to an intent: pure functions, with every rule that can refuse one.

use super::{EtcdView, Intent, MemberRole, Observed, Phase, ReplicaIntent};
use crate::error::{Error, Result};
use std::collections::{BTreeMap, BTreeSet};

#[cfg(test)]
mod tests;

/// The zones that a replica may go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zones {
    /// The zone that the operator named.
    pub asked: Option<String>,
    /// The zones of the cluster's region that are up.
    pub up: Vec<String>,
    /// The hosts that are free, where replicas have those of hosts that are there already.
    pub free: Option<FreeHosts>,
}

/// Names of hosts that may become replicas, by zone, the first to be taken first.
pub type FreeHosts = BTreeMap<String, Vec<String>>;

/// Adds `count` replicas. Without a zone named, each goes where the fewest are.
///
/// `suffix` makes the three letters of a new name; it is asked again for one that is taken.
///
/// # Errors
/// A zone outside the cluster's region, or one that isn't there (bad input); a second zone of a
/// cluster that isn't MULTIZONE (refused).
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

/// The zone is one of the cluster's region, and up.
pub(super) fn check_known_zone(intent: &Intent, zone: &str, up: &[String]) -> Result<()> {
    let spec = &intent.spec;
    let region = spec.zone.region();
    // Hosts of one's own are in zones of any name.
    let is_anywhere = spec.hosts.is_some();
    if !is_anywhere && zone.rsplit_once('-').map(|(region, _)| region) != Some(region) {
        return Err(Error::bad_input(format!(
            "zone {zone} is outside region {region}, where cluster {} and its endpoint's address are",
            spec.cluster
        ))
        .hint(format!("name a zone of {region}: {}", up.join(", "))));
    }
    if !up.iter().any(|known| known == zone) {
        return Err(Error::bad_input(format!("there is no zone {zone}"))
            .hint(format!("the zones of {region}: {}", up.join(", "))));
    }
    Ok(())
}

fn check_zone(intent: &Intent, zone: &str, up: &[String]) -> Result<()> {
    let spec = &intent.spec;
    check_known_zone(intent, zone, up)?;
    let elsewhere = intent.replicas.iter().all(|replica| replica.zone != zone);
    if elsewhere && !spec.multizone {
        return Err(Error::refused(format!(
            "cluster {} was made without MULTIZONE=true, so all its replicas are in {}",
            spec.cluster,
            spec.zone.name()
        ))
        .because("its nodes and volumes carry no zones to tell them apart by")
        .hint(format!("hakube replicate --zone {}", spec.zone.name()))
        .hint("or make the cluster anew: MULTIZONE=true hakube up"));
    }
    Ok(())
}

/// The zone with the fewest replicas; of several such, the first by name.
fn emptiest_zone(intent: &Intent, zones: &Zones) -> String {
    let home = intent.spec.zone.name().to_owned();
    if !intent.spec.multizone {
        return home;
    }
    let replicas_in = |zone: &str| intent.replicas.iter().filter(|r| r.zone == zone).count();
    // Where hosts are taken, only zones that have one.
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

/// A free host of the zone, or which zones have any.
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
    let error = Error::bad_input(format!("no host in {zone} is free to become a replica"));
    Err(if others.is_empty() {
        error.hint("add hosts to the inventory, with role replica or any: --hosts FILE")
    } else {
        error
            .because(format!("free hosts are in {}", others.join("; ")))
            .hint(
                "name one of these zones: --zone ZONE; or add hosts to the inventory: --hosts FILE",
            )
    })
}

/// Which replica `down --replica` should remove.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RemovalRequest {
    /// Its name; any replica when not given.
    pub name: Option<String>,
    /// Only one of this zone.
    pub zone: Option<String>,
    /// The operator says that a replica which doesn't answer is dead for good.
    pub force: bool,
}

/// A removal that the rules allow.
#[derive(Debug, Clone, PartialEq)]
pub struct Removal {
    /// The intent without it.
    pub intent: Intent,
    /// The replica that goes.
    pub replica: ReplicaIntent,
}

/// Picks the replica to remove and checks that etcd keeps its quorum without it.
///
/// # Errors
/// No such replica (bad input). Refused: the last replica; etcd can't be asked; quorum would be lost,
/// or is lost already; a replica that doesn't answer, without `force`.
pub fn choose_removal(
    intent: &Intent,
    observed: &Observed,
    request: &RemovalRequest,
) -> Result<Removal> {
    let replica = pick(intent, observed, request)?.clone();
    let cluster = &intent.spec.cluster;
    if intent.replicas.len() == 1 {
        return Err(Error::refused(format!(
            "{} is the last replica of cluster {cluster}: without it there is no cluster",
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

/// A new replica in the place and zone of another, which goes. A healthy one goes when the new one votes;
/// one that is down goes first, because etcd takes no new member beside it.
///
/// # Errors
/// No such replica (bad input). Refused: etcd can't be asked, or has no quorum to remove a member with.
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
                "replica {name} is in {}, not in the zone asked for",
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
    // With --force the dead one is meant; else the newest, because it was added last.
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

/// All replicas are where somebody can be asked about them: else none goes.
fn check_seen(intent: &Intent, observed: &Observed, replica: &ReplicaIntent) -> Result<()> {
    match observed.hidden_zone(intent) {
        None => Ok(()),
        Some((place, why)) => Err(Error::refused(format!(
            "{} can't go while {place} can't be asked: what is there isn't known",
            replica.name
        ))
        .because(why)
        .hint("bring that host back, or the way to it; then run this again")
        .hint(if intent.spec.hosts.is_some() {
            "a host that is off for good: leave it out of the inventory, and name that file with this command: --hosts \
             FILE --force"
                .to_owned()
        } else {
            format!(
                "a host of libvirt's that is off for good: HAKUBE_LIBVIRT_ZONES={}=gone, with this command and --force",
                place.trim_start_matches("zone ")
            )
        })),
    }
}

/// Whether the replica's member may go.
fn check_quorum(observed: &Observed, replica: &ReplicaIntent, force: bool) -> Result<()> {
    let name = &replica.name;
    if let EtcdView::Unknown { why } = &observed.etcd {
        return Err(Error::refused(format!(
            "could not ask etcd whether it can do without {name}"
        ))
        .because(why)
        .hint("what isn't known blocks whatever lowers a margin; see: hakube status"));
    }
    let Some(member) = observed.etcd.member(name) else {
        return Ok(());
    };
    if member.role == MemberRole::Learner {
        return Ok(());
    }
    let now = observed.etcd.quorum();
    let after = now.minus_voter(member.healthy);
    if !now.holds() {
        return Err(Error::refused(format!("etcd has no quorum, so it can't remove {name}"))
            .because(format!("now: {now}"))
            .hint("bring a dead replica's machine back first: hakube repair; a new cluster is never forced over data"));
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
            "replica {name} doesn't answer: it may be dead, or only out of reach from here"
        ))
        .because(format!("now: {now}; without it: {after}"))
        .hint(format!(
            "if it is dead for good: hakube down --replica {name} --force"
        ))
        .hint("--force removes its member without asking it, and deletes its machine and disk"));
    }
    Ok(())
}

/// A new cluster's first replica is one of the hosts of its zone that are free.
///
/// # Errors
/// None is (bad input): which zones have any.
pub fn with_first_host(mut intent: Intent, free: Option<&FreeHosts>) -> Result<Intent> {
    let Some(free) = free else { return Ok(intent) };
    for first in std::mem::take(&mut intent.replicas) {
        let name = free_host(&intent, free, &first.zone)?;
        intent.replicas.push(ReplicaIntent { name, ..first });
    }
    Ok(intent)
}

/// The replicas' names, for people.
pub fn replica_names(intent: &Intent) -> String {
    let names: Vec<&str> = intent.replicas.iter().map(|r| r.name.as_str()).collect();
    names.join(", ")
}

/// The whole cluster should be gone.
pub fn begin_teardown(intent: &Intent) -> Intent {
    Intent {
        phase: Phase::Absent,
        ..intent.clone()
    }
}
