//! Scenarios: each command that changes a cluster, and its initial state.

use super::converged::has_replicas;
use super::site::{Command, Site};
use super::world::{DataDisk, QUOTA};
use crate::{ReplicateRequest, Stored};
use hakube_model::RemovalRequest;

/// A command and its initial state.
pub struct Scenario {
    pub name: &'static str,
    pub from: Site,
    pub command: Command,
    /// The number of replicas before and after; 0 after: the cluster is deleted.
    pub replicas: (usize, usize),
    /// The replica that the command removes.
    pub gone: Option<String>,
}

impl Scenario {
    /// That replica, if it is still in the intent.
    pub fn left_behind(&self, stored: &Stored) -> Option<String> {
        let gone = self.gone.as_ref()?;
        stored
            .intent
            .replica(gone)
            .map(|replica| replica.name.clone())
    }

    /// Checks that the command did its work, in one run or several.
    ///
    /// # Errors
    /// What differs.
    pub fn is_done(&self, site: &Site) -> Result<(), String> {
        has_replicas(site, self.replicas.1)?;
        match site.stored().and_then(|stored| self.left_behind(&stored)) {
            Some(replica) => Err(format!("{replica} still exists")),
            None => Ok(()),
        }
    }
}

fn up(variables: &[(&'static str, &str)]) -> Site {
    let mut site = Site::new(variables);
    site.does(&Command::Up);
    site
}

const MULTIZONE: &[(&str, &str)] = &[("MULTIZONE", "true")];

pub fn replicate(zone: Option<&str>, count: usize) -> Command {
    Command::Replicate(ReplicateRequest {
        zone: zone.map(str::to_owned),
        count,
    })
}

pub fn remove(name: &str, force: bool) -> Command {
    Command::Remove(RemovalRequest {
        name: Some(name.to_owned()),
        zone: None,
        force,
    })
}

/// A cluster of this many replicas, an hour after its creation.
pub fn replicas(count: usize) -> Site {
    replicas_with(MULTIZONE, count)
}

/// Such a cluster, created with these variables.
pub fn replicas_with(variables: &[(&'static str, &str)], count: usize) -> Site {
    let mut site = up(variables);
    if count > 1 {
        site.does(&replicate(None, count - 1));
    }
    site.world.now += std::time::Duration::from_secs(3600);
    site
}

pub fn leader(site: &Site) -> String {
    site.world
        .etcd
        .leader
        .and_then(|id| site.world.etcd.member(id))
        .unwrap()
        .name
        .clone()
}

pub fn follower(site: &Site) -> String {
    let leader = leader(site);
    site.world
        .etcd
        .members
        .iter()
        .map(|member| member.name.clone())
        .find(|name| *name != leader)
        .unwrap()
}

pub fn up_in_one_zone() -> Scenario {
    Scenario {
        name: "up",
        from: Site::new(&[]),
        command: Command::Up,
        replicas: (0, 1),
        gone: None,
    }
}

pub fn up_with_a_network_nodes_and_a_balancer_of_its_own() -> Scenario {
    let variables = [
        ("CREATE_CUSTOM_NETWORK", "true"),
        ("NUM_NODES", "2"),
        ("HAKUBE_LOAD_BALANCER", "always"),
    ];
    Scenario {
        name: "up, all of it",
        from: Site::new(&variables),
        command: Command::Up,
        replicas: (0, 1),
        gone: None,
    }
}

pub fn replicate_from_one_to_two_in_one_zone() -> Scenario {
    let command = replicate(Some("europe-west1-b"), 1);
    Scenario {
        name: "replicate 1-2",
        from: up(&[]),
        command,
        replicas: (1, 2),
        gone: None,
    }
}

pub fn replicate_from_one_to_two_across_zones() -> Scenario {
    let command = replicate(Some("europe-west1-c"), 1);
    Scenario {
        name: "replicate 1-2 across zones",
        from: replicas(1),
        command,
        replicas: (1, 2),
        gone: None,
    }
}

pub fn replicate_from_two_to_three() -> Scenario {
    Scenario {
        name: "replicate 2-3",
        from: replicas(2),
        command: replicate(None, 1),
        replicas: (2, 3),
        gone: None,
    }
}

pub fn replicate_from_one_to_three_at_once() -> Scenario {
    Scenario {
        name: "replicate 1-3",
        from: replicas(1),
        command: replicate(None, 2),
        replicas: (1, 3),
        gone: None,
    }
}

pub fn down_replica_from_three_to_two() -> Scenario {
    let from = replicas(3);
    let command = remove(&follower(&from), false);
    Scenario {
        name: "down --replica 3-2",
        from,
        command,
        replicas: (3, 2),
        gone: None,
    }
}

pub fn down_replica_of_the_leader() -> Scenario {
    let from = replicas(3);
    let command = remove(&leader(&from), false);
    Scenario {
        name: "down --replica 3-2, the leader",
        from,
        command,
        replicas: (3, 2),
        gone: None,
    }
}

pub fn down_replica_from_two_to_one() -> Scenario {
    let from = replicas(2);
    let command = remove(&leader(&from), false);
    Scenario {
        name: "down --replica 2-1",
        from,
        command,
        replicas: (2, 1),
        gone: None,
    }
}

pub fn down_replica_of_a_dead_one() -> Scenario {
    let mut from = replicas(3);
    let dead = follower(&from);
    stop(&mut from, &dead);
    let command = remove(&dead, true);
    Scenario {
        name: "down --replica 3-2, a dead one",
        from,
        command,
        replicas: (3, 2),
        gone: None,
    }
}

pub fn down_from_three() -> Scenario {
    Scenario {
        name: "down",
        from: replicas(3),
        command: Command::Down,
        replicas: (3, 0),
        gone: None,
    }
}

fn replace(from: Site, name: &'static str, replica: String) -> Scenario {
    let count = from.world.etcd.members.len();
    Scenario {
        name,
        from,
        command: Command::Replace(replica.clone()),
        replicas: (count, count),
        gone: Some(replica),
    }
}

pub fn replace_the_only_one() -> Scenario {
    let from = replicas(1);
    let replica = leader(&from);
    replace(from, "replace 1", replica)
}

pub fn replace_the_leader_of_three() -> Scenario {
    let from = replicas(3);
    let replica = leader(&from);
    replace(from, "replace 3, the leader", replica)
}

pub fn replace_a_dead_one_of_three() -> Scenario {
    let mut from = replicas(3);
    let dead = follower(&from);
    stop(&mut from, &dead);
    replace(from, "replace 3, a dead one", dead)
}

fn stop(site: &mut Site, machine: &str) {
    site.world.cloud.machines.get_mut(machine).unwrap().boots = None;
    site.world.tick();
}

fn repair(from: Site, name: &'static str) -> Scenario {
    Scenario {
        name,
        from,
        command: Command::Repair,
        replicas: (3, 3),
        gone: None,
    }
}

pub fn repair_of_a_machine_that_is_off() -> Scenario {
    let mut from = replicas(3);
    let off = follower(&from);
    stop(&mut from, &off);
    repair(from, "repair, a machine is off")
}

pub fn repair_of_a_replica_that_was_deleted_by_hand() -> Scenario {
    let mut from = replicas(3);
    let lost = follower(&from);
    let intent = from.stored().unwrap().intent;
    from.world.lose_machine(&lost);
    from.world
        .cloud
        .disks
        .remove(&intent.spec.names.data_disk(&lost));
    from.world.tick();
    repair(from, "repair, a replica was deleted")
}

/// The data of one of three is changed.
fn repair_of_data(name: &'static str, happened: fn(&mut DataDisk)) -> Scenario {
    let mut from = replicas(3);
    let lost = follower(&from);
    happened(data_of(&mut from, &lost));
    from.world.tick();
    repair(from, name)
}

/// The disk with the data of a replica's etcd.
pub fn data_of<'a>(site: &'a mut Site, replica: &str) -> &'a mut DataDisk {
    let cloud = &mut site.world.cloud;
    let disk = cloud.machines[replica].disk.clone().unwrap();
    cloud.disks.get_mut(&disk).unwrap()
}

/// Two of three replicas have lost their data; the backup is older than what the third has.
pub fn restore_of_three() -> Scenario {
    let mut from = replicas(3);
    from.does(&Command::Save);
    from.world.now += std::time::Duration::from_secs(600);
    from.world.tick();
    let lost = [leader(&from), follower(&from)];
    for name in &lost {
        let disk = data_of(&mut from, name);
        *disk = DataDisk::empty(&disk.zone);
    }
    from.world.tick();
    Scenario {
        name: "restore",
        from,
        command: Command::Restore { force: false },
        replicas: (3, 3),
        gone: None,
    }
}

pub fn repair_of_data_that_is_gone() -> Scenario {
    repair_of_data("repair, data is gone", |disk| {
        *disk = DataDisk::empty(&disk.zone);
    })
}

pub fn repair_of_data_that_is_foreign() -> Scenario {
    repair_of_data("repair, data is foreign", |disk| {
        disk.stamp = Some("other/1".to_owned());
    })
}

pub fn repair_of_data_that_is_damaged() -> Scenario {
    repair_of_data("repair, data is damaged", |disk| disk.damaged = true)
}

pub fn repair_of_a_member_that_was_removed_by_hand() -> Scenario {
    let mut from = replicas(3);
    let removed = follower(&from);
    let members = &mut from.world.etcd.members;
    members.retain(|member| member.name != removed);
    from.world.tick();
    repair(from, "repair, a member was removed")
}

pub fn repair_of_machines_that_are_all_off() -> Scenario {
    let mut from = replicas(3);
    for machine in from.world.cloud.machines.values_mut() {
        machine.boots = None;
    }
    from.world.tick();
    repair(from, "repair, all machines are off")
}

pub fn repair_of_a_full_database() -> Scenario {
    let mut from = replicas(3);
    from.world.etcd.fill(QUOTA / 10);
    repair(from, "repair, etcd's database is full")
}

pub fn repair_of_an_address_that_was_deleted() -> Scenario {
    let mut from = replicas(3);
    from.world.lose_address();
    repair(from, "repair, the endpoint's address was deleted")
}

pub fn repair_of_a_backend_and_a_firewall() -> Scenario {
    let mut from = replicas(3);
    let cloud = &mut from.world.cloud;
    let (_, machines) = cloud.groups.values_mut().next().unwrap();
    machines.clear();
    let firewall = cloud.firewalls.keys().next().unwrap().clone();
    cloud.firewalls.remove(&firewall);
    repair(from, "repair, a backend and a firewall are gone")
}
