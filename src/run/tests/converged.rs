//! What must be so when a command is done, seen in the world itself rather than through hakube.

use super::site::{Command, Fate, Site};
use super::world::ENDPOINT;
use crate::cluster::{Arrangement, Endpoint, Intent, Sharer};
use crate::output::Event;
use std::collections::BTreeSet;

/// The cluster has exactly so many replicas and all that belongs to them, and nothing is left to do.
///
/// # Errors
/// What is otherwise.
pub fn has_replicas(site: &Site, count: usize) -> Result<(), String> {
    never_violated(site)?;
    let stored = site.stored().ok_or("nothing is stored")?;
    let intent = &stored.intent;
    require(stored.unfinished.is_none(), || {
        format!("unfinished: {:?}", stored.unfinished)
    })?;
    require(intent.replicas.len() == count, || {
        format!("{} replicas are wanted, not {count}", intent.replicas.len())
    })?;
    machines_are_those_of(site, intent)?;
    members_are_those_of(site, intent)?;
    endpoint_is_where_it_belongs(site, intent)?;
    nothing_to_do(site)
}

/// Nothing bears the cluster's mark, and nothing of it is stored.
///
/// # Errors
/// What is left.
pub fn is_gone(site: &Site) -> Result<(), String> {
    never_violated(site)?;
    let left = site.world.cloud.inventory().resources;
    require(left.is_empty(), || format!("left behind: {left:?}"))?;
    require(site.objects().is_empty(), || {
        format!("still stored: {:?}", site.objects())
    })
}

/// No call ever took away what must stay.
pub fn never_violated(site: &Site) -> Result<(), String> {
    require(site.world.violations.is_empty(), || {
        format!("violations: {:?}", site.world.violations)
    })
}

fn require(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise()) }
}

fn names(intent: &Intent) -> BTreeSet<String> {
    intent
        .replicas
        .iter()
        .map(|replica| replica.name.clone())
        .collect()
}

fn machines_are_those_of(site: &Site, intent: &Intent) -> Result<(), String> {
    let cloud = &site.world.cloud;
    let machines: BTreeSet<String> = cloud.machines.keys().cloned().collect();
    require(machines == names(intent), || {
        format!("machines {machines:?}, wanted {:?}", names(intent))
    })?;
    let disks: BTreeSet<String> = cloud.disks.keys().cloned().collect();
    let wanted: BTreeSet<String> = names(intent)
        .iter()
        .map(|name| intent.spec.names.data_disk(name))
        .collect();
    require(disks == wanted, || {
        format!("disks {disks:?}, wanted {wanted:?}")
    })?;
    let misplaced = intent
        .replicas
        .iter()
        .find(|replica| cloud.machines[&replica.name].zone != replica.zone);
    require(misplaced.is_none(), || {
        format!("{misplaced:?} is elsewhere")
    })?;
    let dead = machines.iter().find(|name| !site.world.api_ready(name));
    require(dead.is_none(), || {
        format!("the API server of {dead:?} doesn't answer")
    })
}

fn members_are_those_of(site: &Site, intent: &Intent) -> Result<(), String> {
    let world = &site.world;
    let members: BTreeSet<String> = world
        .etcd
        .members
        .iter()
        .map(|member| member.name.clone())
        .collect();
    let told = || {
        format!(
            "members {:?}, wanted {:?}",
            world.etcd.members,
            names(intent)
        )
    };
    require(
        members == names(intent) && world.etcd.members.len() == intent.replicas.len(),
        told,
    )?;
    require(
        world.etcd.members.iter().all(|member| !member.learner),
        told,
    )?;
    require(
        world
            .etcd
            .members
            .iter()
            .all(|member| world.runs_since(member.id).is_some()),
        told,
    )?;
    // A write that a client was told of is on every one of them.
    let acknowledged = world.etcd.acknowledged;
    require(
        world
            .etcd
            .members
            .iter()
            .all(|member| member.log == acknowledged),
        || {
            format!(
                "{acknowledged} writes were acknowledged; {:?}",
                world.etcd.members
            )
        },
    )
}

fn endpoint_is_where_it_belongs(site: &Site, intent: &Intent) -> Result<(), String> {
    let cloud = &site.world.cloud;
    require(site.world.endpoint_answers(), || {
        "the endpoint doesn't answer".to_owned()
    })?;
    if intent.spec.endpoint == Endpoint::Machines {
        return address_is_shared_by_all(site, intent);
    }
    if intent.is_balanced() {
        require(cloud.holder().is_none(), || {
            format!("{:?} still has the address", cloud.holder())
        })?;
        let backends = cloud.backends();
        return require(backends == names(intent), || {
            format!("backends {backends:?}, wanted {:?}", names(intent))
        });
    }
    let balancer = cloud.inventory().balancer;
    require(balancer.is_absent(), || {
        format!("left of the balancer: {balancer:?}")
    })
}

/// All were told the same: that they share it, and where each of them is.
fn address_is_shared_by_all(site: &Site, intent: &Intent) -> Result<(), String> {
    let replicas = intent.replicas.iter();
    let sharers = replicas.map(|replica| Sharer {
        name: replica.name.clone(),
        address: site.world.cloud.machines[&replica.name].address,
    });
    let wanted = Arrangement {
        address: ENDPOINT,
        port: intent.spec.api.port,
        sharers: sharers.collect(),
    };
    let holders = site.world.holders();
    let told: BTreeSet<String> = holders.iter().map(|(name, _)| name.clone()).collect();
    require(
        told == names(intent) && holders.iter().all(|(_, told)| *told == wanted),
        || format!("the address is shared as {holders:?}, not {wanted:?}"),
    )
}

/// The same command a second time would do nothing.
fn nothing_to_do(site: &Site) -> Result<(), String> {
    let mut again = site.fork();
    let end = again.run(
        &Command::Reconcile,
        Fate {
            dry_run: true,
            ..Fate::default()
        },
    );
    let plan = end.events.iter().find_map(|event| match event {
        Event::Plan { steps } => Some(
            steps
                .iter()
                .map(|step| step.step.clone())
                .collect::<Vec<_>>(),
        ),
        _ => None,
    });
    match plan {
        Some(steps) => require(steps.is_empty(), || format!("still to do: {steps:?}")),
        None => Err(format!("no plan: {:?}", end.result)),
    }
}
