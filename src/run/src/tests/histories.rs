//! Random histories of commands, crashes, faults, and machines that die and return. The world checks the invariants at
//! every call. After any history, `reconcile` finishes and `down` leaves nothing.

use super::converged::{has_no_other_replicas, has_replicas, is_gone, never_violated};
use super::scenarios::replicate;
use super::site::{Command, End, Fate, Site};
use super::world::{Crash, DataDisk, Fault};
use crate::ReplicateRequest;
use hakube_model::RemovalRequest;
use hakube_provider::ErrorKind;
use hakube_testing::fixtures::ZONES;
use hakube_testing::histories;
use jiff::SignedDuration;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use std::collections::BTreeMap;
use std::time::Duration;

/// In seconds.
const HOUR: i64 = 3600;

/// An event of a history. Numbers choose among existing things.
#[derive(Debug, Clone)]
enum Event {
    Run {
        command: Wish,
        fate: Fate,
    },
    Machine {
        machine: usize,
        how: Blow,
    },
    Wait {
        seconds: u64,
    },
    /// A zone becomes unreachable, or reachable again.
    Zone {
        zone: usize,
    },
    /// The operator's host's clock is moved by this many seconds.
    Clock {
        seconds: i64,
    },
}

#[derive(Debug, Clone)]
enum Wish {
    Up,
    Replicate { zone: Option<usize>, count: usize },
    Remove { replica: usize, force: bool },
    Replace { replica: usize },
    Repair,
    Reconcile,
    Down,
}

/// A machine failure outside hakube.
#[derive(Debug, Clone, Copy)]
enum Blow {
    Stops,
    Starts,
    IsDeleted { disk: bool },
    LosesData,
    IsDamaged,
}

fn wish() -> impl Strategy<Value = Wish> {
    let zone = proptest::option::of(0..ZONES.len());
    prop_oneof![
        2 => Just(Wish::Up),
        6 => (zone, 1..=2_usize).prop_map(|(zone, count)| Wish::Replicate { zone, count }),
        4 => (any::<usize>(), any::<bool>()).prop_map(|(replica, force)| Wish::Remove { replica, force }),
        2 => any::<usize>().prop_map(|replica| Wish::Replace { replica }),
        2 => Just(Wish::Repair),
        4 => Just(Wish::Reconcile),
        1 => Just(Wish::Down),
    ]
}

fn fate() -> impl Strategy<Value = Fate> {
    let crash =
        (0..120_usize, any::<bool>()).prop_map(|(call, performed)| Crash { call, performed });
    let kind = prop_oneof![
        4 => Just(ErrorKind::Transient { retry_after: None }),
        1 => Just(ErrorKind::NoCapacity),
        1 => Just(ErrorKind::Quota),
        1 => Just(ErrorKind::Fatal),
    ];
    let fault = (kind, any::<bool>()).prop_map(|(kind, performed)| Fault { kind, performed });
    let faults = proptest::collection::btree_map(0..120_usize, fault, 0..5);
    (proptest::option::weighted(0.5, crash), faults).prop_map(|(crash, faults)| Fate {
        crash,
        faults,
        dry_run: false,
    })
}

fn event() -> impl Strategy<Value = Event> {
    let how = prop_oneof![
        Just(Blow::Stops),
        Just(Blow::Starts),
        any::<bool>().prop_map(|disk| Blow::IsDeleted { disk }),
        Just(Blow::LosesData),
        Just(Blow::IsDamaged),
    ];
    prop_oneof![
        6 => (wish(), fate()).prop_map(|(command, fate)| Event::Run { command, fate }),
        2 => (any::<usize>(), how).prop_map(|(machine, how)| Event::Machine { machine, how }),
        1 => (0..ZONES.len()).prop_map(|zone| Event::Zone { zone }),
        1 => (0..30_u64).prop_map(|seconds| Event::Wait { seconds }),
        1 => prop_oneof![Just(-HOUR), Just(24 * HOUR), -2 * HOUR..2 * HOUR]
            .prop_map(|seconds| Event::Clock { seconds }),
    ]
}

fn happen(site: &mut Site, event: &Event) -> Result<(), String> {
    match event {
        Event::Zone { zone } => {
            let zone = ZONES[*zone].to_owned();
            let zones = &mut site.world.cloud.unreachable;
            if zones.remove(&zone).is_none() {
                zones.insert(zone, "no route to host".to_owned());
            }
        }
        Event::Wait { seconds } => site.world.now += Duration::from_secs(*seconds),
        Event::Clock { seconds } => site.clock_ahead += SignedDuration::from_secs(*seconds),
        Event::Machine { machine, how } => befall(site, *machine, *how),
        Event::Run { command, fate } => {
            let command = meant(site, command);
            let end = site.run(&command, fate.clone());
            never_violated(site)
                .map_err(|why| format!("{command:?} made {:#?}\n{why}", end.calls))?;
            if says_rolled_back(&end) {
                has_no_other_replicas(site)
                    .map_err(|why| format!("rolled back {command:?}: {why}"))?;
            }
        }
    }
    Ok(())
}

fn says_rolled_back(end: &End) -> bool {
    let Some(Err(error)) = &end.result else {
        return false;
    };
    let mut hints = error.hints.iter();
    hints.any(|hint| hint.contains("nothing of the new replica remains"))
}

fn meant(site: &Site, wish: &Wish) -> Command {
    match wish {
        Wish::Up => Command::Up,
        Wish::Reconcile => Command::Reconcile,
        Wish::Repair => Command::Repair,
        Wish::Down => Command::Down,
        Wish::Replicate { zone, count } => Command::Replicate(ReplicateRequest {
            zone: zone.map(|zone| ZONES[zone].to_owned()),
            count: *count,
        }),
        Wish::Replace { replica } => Command::Replace(
            name_of(site, *replica).unwrap_or_else(|| "kubernetes-master".to_owned()),
        ),
        Wish::Remove { replica, force } => Command::Remove(RemovalRequest {
            name: name_of(site, *replica),
            zone: None,
            force: *force,
        }),
    }
}

/// One of the replicas in the intent.
fn name_of(site: &Site, replica: usize) -> Option<String> {
    let replicas = site.stored()?.intent.replicas;
    let chosen = replicas.get(replica % replicas.len().max(1))?;
    Some(chosen.name.clone())
}

/// Doesn't exceed the failures that etcd survives: in those cases hakube refuses to change anything.
fn befall(site: &mut Site, machine: usize, how: Blow) {
    let world = &mut site.world;
    let Some(name) = world
        .cloud
        .machines
        .keys()
        .nth(machine % world.cloud.machines.len().max(1))
        .cloned()
    else {
        return;
    };
    let boots = world.now + Duration::from_secs(2);
    let disk = world.cloud.machines[&name].disk.clone();
    match how {
        Blow::Starts => world.cloud.machines.get_mut(&name).unwrap().start(boots),
        _ if !world.survives_without(&name) => return,
        Blow::Stops => world.cloud.machines.get_mut(&name).unwrap().boots = None,
        Blow::LosesData | Blow::IsDamaged => {
            let disk = disk.and_then(|disk| world.cloud.disks.get_mut(&disk));
            if let Some(disk) = disk {
                match how {
                    Blow::LosesData => *disk = DataDisk::empty(&disk.zone),
                    _ => disk.damaged = disk.member.is_some(),
                }
            }
        }
        Blow::IsDeleted { disk: too } => {
            world.lose_machine(&name);
            if too && let Some(disk) = disk {
                world.cloud.disks.remove(&disk);
            }
        }
    }
    world.tick();
}

/// Without further faults, `reconcile` finishes and `down` deletes everything.
fn finish(site: &mut Site) -> Result<(), String> {
    site.world.cloud.unreachable.clear();
    never_violated(site)?;
    if site.stored().is_some() {
        reconcile(site)?;
    }
    if let Some(stored) = site.stored() {
        has_replicas(site, stored.intent.replicas.len())?;
        match site.run(&Command::Down, Fate::default()).result {
            Some(Ok(())) => {}
            other => return Err(format!("down: {other:?}")),
        }
    }
    is_gone(site)
}

fn reconcile(site: &mut Site) -> Result<(), String> {
    let error = match site.run(&Command::Reconcile, Fate::default()).result {
        Some(Ok(())) => return Ok(()),
        Some(Err(error)) => error,
        None => return Err("killed unexpectedly".to_owned()),
    };
    // An up that was killed before it created the keys. A hint says what creates them.
    let makes_keys = error.hints.iter().any(|hint| hint.contains("hakube up"));
    match site.run(&Command::Up, Fate::default()).result {
        Some(Ok(())) if makes_keys => Ok(()),
        _ => Err(format!("reconcile: {error:?}")),
    }
}

#[test]
fn after_any_history_reconcile_finishes_and_down_deletes_everything() {
    let past = (
        any::<[bool; 4]>(),
        0..2_u32,
        0..3_usize,
        proptest::collection::vec(event(), 1..10),
    );
    histories::hold(
        "run histories",
        250,
        &past,
        |([multizone, always, private, on_machines], nodes, more, events)| {
            let word = |yes: bool| if yes { "true" } else { "false" };
            let mut site = Site::new(&[
                (
                    "KUBERNETES_PROVIDER",
                    if on_machines { "libvirt" } else { "gce" },
                ),
                ("MULTIZONE", word(multizone)),
                ("KUBE_GCE_PRIVATE_CLUSTER", word(private && !on_machines)),
                (
                    "HAKUBE_LOAD_BALANCER",
                    if always { "always" } else { "auto" },
                ),
                ("NUM_NODES", &nodes.to_string()),
            ]);
            site.does(&Command::Up);
            if more > 0 {
                site.does(&replicate(None, more));
            }
            for event in &events {
                happen(&mut site, event).map_err(TestCaseError::fail)?;
            }
            finish(&mut site)
                .map_err(|why| TestCaseError::fail(format!("{why}\n{:#?}", site.world)))
        },
    );
}

/// The only voter is unreachable, and a replica that hasn't joined yet is off. Whether it joined can't be seen.
#[test]
fn a_machine_that_was_off_before_it_joined_gets_no_control_plane() {
    for call in 20..32 {
        let mut site = Site::new(&[
            ("KUBERNETES_PROVIDER", "gce"),
            ("MULTIZONE", "true"),
            ("NUM_NODES", "0"),
        ]);
        site.does(&Command::Up);
        let fate = |crash| Fate {
            crash,
            faults: BTreeMap::default(),
            dry_run: false,
        };
        let crash = Crash {
            call,
            performed: false,
        };
        let replicate = Wish::Replicate {
            zone: None,
            count: 2,
        };
        let events = [
            Event::Run {
                command: replicate,
                fate: fate(Some(crash)),
            },
            Event::Zone { zone: 0 },
            Event::Machine {
                machine: 1,
                how: Blow::Stops,
            },
            Event::Run {
                command: Wish::Up,
                fate: fate(None),
            },
        ];
        for event in &events {
            happen(&mut site, event).unwrap_or_else(|why| panic!("call {call}: {why}"));
        }
        finish(&mut site).unwrap_or_else(|why| panic!("call {call}: {why}"));
    }
}

/// The rollback deletes the new replica. The broken one, in the unreachable zone, stays broken until the zone is back.
#[test]
fn a_new_replica_is_rolled_back_beside_a_broken_one_in_an_unreachable_zone() {
    let mut rolled_back = 0;
    for call in 28..44 {
        let mut site = Site::new(&[
            ("KUBERNETES_PROVIDER", "gce"),
            ("MULTIZONE", "true"),
            ("NUM_NODES", "0"),
        ]);
        site.does(&Command::Up);
        site.does(&replicate(None, 2));
        let broken = site.stored().unwrap().intent.replicas.remove(2);
        site.world.lose_machine(&broken.name);
        // Most often, the broken one's machine exists again then, and isn't a member yet.
        let crash = Crash {
            call,
            performed: false,
        };
        let killed = Fate {
            crash: Some(crash),
            ..Fate::default()
        };
        site.run(&replicate(None, 1), killed);
        let zone = (broken.zone, "no route to host".to_owned());
        site.world.cloud.unreachable.extend([zone]);
        let end = site.run(&replicate(None, 1), Fate::default());
        if says_rolled_back(&end) {
            rolled_back += 1;
            has_no_other_replicas(&site).unwrap_or_else(|why| panic!("call {call}: {why}"));
        }
        finish(&mut site).unwrap_or_else(|why| panic!("call {call}: {why}"));
    }
    assert!(rolled_back > 0, "nothing was rolled back");
}
