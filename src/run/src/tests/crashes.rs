//! The crash matrix: each command is killed before and after each of its calls, and then finished by the same command,
//! by `reconcile`, or by `down`. Each combination is one case.
//!
//! Calls are counted, so new steps and new calls are covered automatically.

use super::converged::{has_replicas, is_gone};
use super::report;
use super::scenarios::{self, Scenario};
use super::site::{Command, Fate, Site};
use super::world::Crash;

/// What the operator does after the crash.
#[derive(Debug, Clone, Copy)]
enum Then {
    SameAgain,
    Reconcile,
    Down,
}

impl Scenario {
    /// Checks that a crash at any call is recoverable.
    pub fn survives_crashes(&self) {
        let mut failures = Vec::new();
        let mut cases = 0;
        for performed in [false, true] {
            for call in 0.. {
                let mut crashed = self.from.fork();
                let crash = Crash { call, performed };
                let end = crashed.run(
                    &self.command,
                    Fate {
                        crash: Some(crash),
                        ..Fate::default()
                    },
                );
                match end.result {
                    None => {}
                    Some(Ok(())) => break,
                    Some(Err(error)) => {
                        panic!("{}, failed before crash at call {call}: {error}", self.name)
                    }
                }
                for then in [Then::SameAgain, Then::Reconcile, Then::Down] {
                    cases += 1;
                    if let Err(why) = self.finish(&crashed, then) {
                        let when = if performed { "after" } else { "before" };
                        let at = end.calls.last().cloned().unwrap_or_default();
                        failures.push(format!(
                            "killed {when} call {call} ({at}), then {then:?}: {why}"
                        ));
                    }
                }
            }
        }
        report("crash matrix, in process", self.name, cases, &failures);
    }

    fn finish(&self, crashed: &Site, then: Then) -> Result<(), String> {
        let (before, after) = self.replicas;
        let mut site = crashed.fork();
        let stored = site.stored();
        // Killed after its last change: the request is done, and repeating it would add more. A repair requests nothing
        // new, so it can be repeated. Before a restore changes anything, etcd has no quorum.
        let begins = matches!(self.command, Command::Restore { .. }) && !site.world.has_quorum();
        let finished = stored.as_ref().is_some_and(|stored| {
            !matches!(self.command, Command::Repair)
                && !begins
                && stored.unfinished.is_none()
                && stored.intent.replicas.len() == after
                && self.left_behind(stored).is_none()
        });
        let wanted = stored
            .as_ref()
            .map_or(0, |stored| stored.intent.replicas.len());
        match then {
            Then::SameAgain if finished => {}
            Then::SameAgain if after == 0 => return delete(&mut site),
            Then::SameAgain => again(&mut site, &self.command)?,
            Then::Reconcile if stored.is_none() => return Ok(()),
            // Nothing is stored yet, and a hint names the command.
            Then::Reconcile
                if begins && stored.is_some_and(|stored| stored.unfinished.is_none()) =>
            {
                let result = site.run(&Command::Reconcile, Fate::default()).result;
                match result {
                    Some(Err(error))
                        if error
                            .hints
                            .iter()
                            .any(|hint| hint.contains("hakube restore")) =>
                    {
                        again(&mut site, &self.command)?;
                    }
                    other => return Err(format!("reconcile: {other:?}")),
                }
            }
            Then::Reconcile => return reconciled(&mut site, wanted, before == 0, after == 0),
            Then::Down => return delete(&mut site),
        }
        self.is_done(&site)
    }
}

fn again(site: &mut Site, command: &Command) -> Result<(), String> {
    match site.run(command, Fate::default()).result {
        Some(Ok(())) => Ok(()),
        other => Err(format!("{command:?} again: {other:?}")),
    }
}

fn reconciled(site: &mut Site, wanted: usize, fresh: bool, ends: bool) -> Result<(), String> {
    let result = site.run(&Command::Reconcile, Fate::default()).result;
    match result {
        Some(Ok(())) if ends && site.stored().is_none() => is_gone(site),
        Some(Ok(())) => has_replicas(site, wanted),
        // Without keys there is nothing to finish yet, and a hint says what creates them.
        Some(Err(error)) if fresh && error.hints.iter().any(|hint| hint.contains("hakube up")) => {
            again(site, &Command::Up)?;
            has_replicas(site, wanted)
        }
        other => Err(format!("reconcile: {other:?}")),
    }
}

/// `down`, from any state. If the cluster was never created, or is gone, it reports that there is none.
fn delete(site: &mut Site) -> Result<(), String> {
    let nothing = site
        .objects()
        .iter()
        .all(|name| !name.ends_with("/intent.json"));
    match site.run(&Command::Down, Fate::default()).result {
        Some(Ok(())) => {}
        Some(Err(error)) if nothing && error.message.starts_with("there is no cluster") => {}
        other => return Err(format!("down: {other:?}")),
    }
    is_gone(site)
}

#[test]
fn up_in_one_zone() {
    scenarios::up_in_one_zone().survives_crashes();
}

#[test]
fn up_with_a_network_nodes_and_a_balancer_of_its_own() {
    scenarios::up_with_a_network_nodes_and_a_balancer_of_its_own().survives_crashes();
}

#[test]
fn replicate_from_one_to_two_in_one_zone() {
    scenarios::replicate_from_one_to_two_in_one_zone().survives_crashes();
}

#[test]
fn replicate_from_one_to_two_across_zones() {
    scenarios::replicate_from_one_to_two_across_zones().survives_crashes();
}

#[test]
fn replicate_from_two_to_three() {
    scenarios::replicate_from_two_to_three().survives_crashes();
}

#[test]
fn replicate_from_one_to_three_at_once() {
    scenarios::replicate_from_one_to_three_at_once().survives_crashes();
}

#[test]
fn down_replica_from_three_to_two() {
    scenarios::down_replica_from_three_to_two().survives_crashes();
}

#[test]
fn down_replica_of_the_leader() {
    scenarios::down_replica_of_the_leader().survives_crashes();
}

#[test]
fn down_replica_from_two_to_one() {
    scenarios::down_replica_from_two_to_one().survives_crashes();
}

#[test]
fn down_replica_of_a_dead_one() {
    scenarios::down_replica_of_a_dead_one().survives_crashes();
}

#[test]
fn down_from_three() {
    scenarios::down_from_three().survives_crashes();
}

#[test]
fn replace_the_only_one() {
    scenarios::replace_the_only_one().survives_crashes();
}

#[test]
fn replace_the_leader_of_three() {
    scenarios::replace_the_leader_of_three().survives_crashes();
}

#[test]
fn replace_a_dead_one_of_three() {
    scenarios::replace_a_dead_one_of_three().survives_crashes();
}

#[test]
fn repair_of_a_machine_that_is_off() {
    scenarios::repair_of_a_machine_that_is_off().survives_crashes();
}

#[test]
fn repair_of_a_replica_that_was_deleted_by_hand() {
    scenarios::repair_of_a_replica_that_was_deleted_by_hand().survives_crashes();
}

#[test]
fn repair_of_machines_that_are_all_off() {
    scenarios::repair_of_machines_that_are_all_off().survives_crashes();
}

#[test]
fn repair_of_a_full_database() {
    scenarios::repair_of_a_full_database().survives_crashes();
}

#[test]
fn repair_of_an_address_that_was_deleted() {
    scenarios::repair_of_an_address_that_was_deleted().survives_crashes();
}

#[test]
fn repair_of_a_backend_and_a_firewall() {
    scenarios::repair_of_a_backend_and_a_firewall().survives_crashes();
}

#[test]
fn repair_of_data_that_is_gone() {
    scenarios::repair_of_data_that_is_gone().survives_crashes();
}

#[test]
fn repair_of_data_that_is_foreign() {
    scenarios::repair_of_data_that_is_foreign().survives_crashes();
}

#[test]
fn repair_of_data_that_is_damaged() {
    scenarios::repair_of_data_that_is_damaged().survives_crashes();
}

#[test]
fn repair_of_a_member_that_was_removed_by_hand() {
    scenarios::repair_of_a_member_that_was_removed_by_hand().survives_crashes();
}

#[test]
fn restore_of_three() {
    scenarios::restore_of_three().survives_crashes();
}
