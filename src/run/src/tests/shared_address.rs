//! Replicas that hold the endpoint's address themselves: the crash matrix, and manual changes.

use super::converged::has_replicas;
use super::scenarios::{Scenario, follower, leader, remove, replicas_with, replicate};
use super::site::{Command, Site};
use hakube_machine::{ARRANGEMENT, HAPROXY, KEEPALIVED};

const ON_MACHINES: &[(&str, &str)] = &[("KUBERNETES_PROVIDER", "libvirt"), ("MULTIZONE", "true")];

fn replicas(count: usize) -> Site {
    replicas_with(ON_MACHINES, count)
}

fn scenario(
    name: &'static str,
    from: Site,
    command: Command,
    replicas: (usize, usize),
) -> Scenario {
    Scenario {
        name,
        from,
        command,
        replicas,
        gone: None,
    }
}

#[test]
fn up() {
    let from = Site::new(ON_MACHINES);
    scenario("up, on machines", from, Command::Up, (0, 1)).survives_crashes();
}

#[test]
fn replicate_from_one_to_two() {
    let from = replicas(1);
    let command = replicate(None, 1);
    scenario("replicate 1-2, on machines", from, command, (1, 2)).survives_crashes();
}

#[test]
fn down_replica_from_three_to_two() {
    let from = replicas(3);
    let command = remove(&leader(&from), false);
    scenario("down --replica 3-2, on machines", from, command, (3, 2)).survives_crashes();
}

#[test]
fn down_replica_from_two_to_one() {
    let from = replicas(2);
    let command = remove(&follower(&from), false);
    scenario("down --replica 2-1, on machines", from, command, (2, 1)).survives_crashes();
}

#[test]
fn replace_the_only_one() {
    let from = replicas(1);
    let replica = leader(&from);
    let mut scenario = scenario(
        "replace 1, on machines",
        from,
        Command::Replace(replica.clone()),
        (1, 1),
    );
    scenario.gone = Some(replica);
    scenario.survives_crashes();
}

#[test]
fn repair_of_a_replica_that_was_deleted_by_hand() {
    let mut from = replicas(3);
    let lost = follower(&from);
    from.world.lose_machine(&lost);
    from.world.tick();
    scenario("repair, on machines", from, Command::Repair, (3, 3)).survives_crashes();
}

/// This is read back from the machines.
#[test]
fn status_reports_manual_changes_and_repair_fixes_them() {
    for path in [ARRANGEMENT, KEEPALIVED, HAPROXY] {
        for changed in [None, Some("something else")] {
            let mut site = replicas(3);
            assert_eq!(site.status().drift, [""; 0], "before");
            let name = follower(&site);
            let files = &mut site.world.cloud.machines.get_mut(&name).unwrap().files;
            match changed {
                None => drop(files.remove(path).unwrap()),
                Some(content) => drop(files.insert(path.to_owned(), content.to_owned())),
            }
            let drift = site.status().drift.join("\n");
            let says = format!("make {name} share the endpoint's address with ");
            assert!(drift.contains(&says), "{path} {changed:?}: {drift}");
            site.does(&Command::Repair);
            has_replicas(&site, 3).unwrap_or_else(|why| panic!("{path} {changed:?}: {why}"));
        }
    }
}

#[test]
fn status_has_the_endpoints_mode() {
    for (count, mode) in [(1, "direct"), (2, "shared")] {
        assert_eq!(replicas(count).status().endpoint.mode, mode);
    }
}
