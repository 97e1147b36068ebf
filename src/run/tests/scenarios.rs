//! What is done to what: each command that changes a cluster, and what is there when it begins.

use super::site::{Command, Site};
use crate::cluster::RemovalRequest;
use crate::run::ReplicateRequest;

/// A command and what is there when it begins.
pub struct Scenario {
    pub name: &'static str,
    pub from: Site,
    pub command: Command,
    /// Replicas before it and after it; 0 after: the cluster is gone.
    pub replicas: (usize, usize),
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

/// A cluster of so many replicas, an hour after it was made.
pub fn replicas(count: usize) -> Site {
    let mut site = up(MULTIZONE);
    if count > 1 {
        site.does(&replicate(None, count - 1));
    }
    site.world.now += std::time::Duration::from_secs(3600);
    site
}

fn leader(site: &Site) -> String {
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
    }
}

pub fn replicate_from_one_to_two_in_one_zone() -> Scenario {
    let command = replicate(Some("europe-west1-b"), 1);
    Scenario {
        name: "replicate 1-2",
        from: up(&[]),
        command,
        replicas: (1, 2),
    }
}

pub fn replicate_from_one_to_two_across_zones() -> Scenario {
    let command = replicate(Some("europe-west1-c"), 1);
    Scenario {
        name: "replicate 1-2 across zones",
        from: replicas(1),
        command,
        replicas: (1, 2),
    }
}

pub fn replicate_from_two_to_three() -> Scenario {
    Scenario {
        name: "replicate 2-3",
        from: replicas(2),
        command: replicate(None, 1),
        replicas: (2, 3),
    }
}

pub fn replicate_from_one_to_three_at_once() -> Scenario {
    Scenario {
        name: "replicate 1-3",
        from: replicas(1),
        command: replicate(None, 2),
        replicas: (1, 3),
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
    }
}

pub fn down_replica_of_a_dead_one() -> Scenario {
    let mut from = replicas(3);
    let dead = follower(&from);
    from.world.cloud.machines.get_mut(&dead).unwrap().boots = None;
    from.world.tick();
    let command = remove(&dead, true);
    Scenario {
        name: "down --replica 3-2, a dead one",
        from,
        command,
        replicas: (3, 2),
    }
}

pub fn down_from_three() -> Scenario {
    Scenario {
        name: "down",
        from: replicas(3),
        command: Command::Down,
        replicas: (3, 0),
    }
}
