//! Checks of the final state, in the world itself rather than through hakube.

use super::site::{Command, Fate, Site};
use super::world::ENDPOINT;
use hakube_model::{Arrangement, Endpoint, Intent, Sharer};
use hakube_output::Event;
use std::collections::BTreeSet;

/// Checks that the cluster has exactly this many replicas with all their resources, and that nothing is left to do.
///
/// # Errors
/// What differs.
pub fn has_replicas(site: &Site, count: usize) -> Result<(), String> {
    never_violated(site)?;
    let stored = site.stored().ok_or("there is no stored document")?;
    let intent = &stored.intent;
    require(stored.unfinished.is_none(), || {
        format!("unfinished: {:?}", stored.unfinished)
    })?;
    require(intent.replicas.len() == count, || {
        format!(
            "{} replicas in the intent, not {count}",
            intent.replicas.len()
        )
    })?;
    machines_are_those_of(site, intent)?;
    members_are_those_of(site, intent)?;
    endpoint_is_where_it_belongs(site, intent)?;
    nothing_to_do(site)
}

/// Checks that nothing is unfinished, and that no machine, disk or member belongs to a replica that isn't in the intent.
/// Replicas of the intent may be missing or broken.
///
/// # Errors
/// What is too many.
pub fn has_no_other_replicas(site: &Site) -> Result<(), String> {
    never_violated(site)?;
    let stored = site.stored().ok_or("there is no stored document")?;
    require(stored.unfinished.is_none(), || {
        format!("unfinished: {:?}", stored.unfinished)
    })?;
    let replicas = names(&stored.intent);
    let disks = disks_of(&stored.intent);
    let world = &site.world;
    let machine = world
        .cloud
        .machines
        .keys()
        .find(|name| !replicas.contains(*name));
    require(machine.is_none(), || format!("machine {machine:?} exists"))?;
    let disk = world.cloud.disks.keys().find(|name| !disks.contains(*name));
    require(disk.is_none(), || format!("disk {disk:?} exists"))?;
    let mut members = world.etcd.members.iter();
    let member = members.find(|member| !replicas.contains(&member.name));
    require(member.is_none(), || format!("{member:?} is in etcd"))
}

/// Checks that no resource has the cluster's ownership label, and that no document is stored.
///
/// # Errors
/// What remains.
pub fn is_gone(site: &Site) -> Result<(), String> {
    never_violated(site)?;
    let left = site.world.cloud.inventory().resources;
    require(left.is_empty(), || format!("leftovers: {left:?}"))?;
    require(site.objects().is_empty(), || {
        format!("still stored: {:?}", site.objects())
    })
}

/// Checks that no call violated an invariant.
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

fn disks_of(intent: &Intent) -> BTreeSet<String> {
    names(intent)
        .iter()
        .map(|name| intent.spec.names.data_disk(name))
        .collect()
}

fn machines_are_those_of(site: &Site, intent: &Intent) -> Result<(), String> {
    let cloud = &site.world.cloud;
    let machines: BTreeSet<String> = cloud.machines.keys().cloned().collect();
    require(machines == names(intent), || {
        format!("machines {machines:?}, wanted {:?}", names(intent))
    })?;
    let disks: BTreeSet<String> = cloud.disks.keys().cloned().collect();
    let wanted = disks_of(intent);
    require(disks == wanted, || {
        format!("disks {disks:?}, wanted {wanted:?}")
    })?;
    let misplaced = intent
        .replicas
        .iter()
        .find(|replica| cloud.machines[&replica.name].zone != replica.zone);
    require(misplaced.is_none(), || {
        format!("{misplaced:?} is in another zone")
    })?;
    let dead = machines.iter().find(|name| !site.world.api_ready(name));
    require(dead.is_none(), || {
        format!("the API server of {dead:?} is down")
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
    let details = || {
        format!(
            "members {:?}, wanted {:?}",
            world.etcd.members,
            names(intent)
        )
    };
    require(
        members == names(intent) && world.etcd.members.len() == intent.replicas.len(),
        details,
    )?;
    require(
        world.etcd.members.iter().all(|member| !member.learner),
        details,
    )?;
    require(
        world
            .etcd
            .members
            .iter()
            .all(|member| world.runs_since(member.id).is_some()),
        details,
    )?;
    // Every member has all acknowledged writes.
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
        "the endpoint is down".to_owned()
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
        format!("leftovers of the balancer: {balancer:?}")
    })
}

/// Checks that all replicas have the same, current arrangement.
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
    let sharing: BTreeSet<String> = holders.iter().map(|(name, _)| name.clone()).collect();
    require(
        sharing == names(intent) && holders.iter().all(|(_, found)| *found == wanted),
        || format!("the address is shared as {holders:?}, not {wanted:?}"),
    )
}

/// Checks that the same command would do nothing a second time.
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
