//! The fault matrix: each call of each command fails once, in each way, before and after it took effect.
//! Transient faults are retried. Others end in an error after which the next run finishes; a `replicate` rolls
//! back automatically.

use super::converged::{has_replicas, is_gone, never_violated};
use super::report;
use super::scenarios::{self, Scenario};
use super::site::{Command, End, Fate, Site};
use super::world::Fault;
use hakube_provider::ErrorKind;
use std::collections::BTreeMap;

const TRANSIENT: ErrorKind = ErrorKind::Transient { retry_after: None };

impl Scenario {
    fn survives_faults(&self) {
        let mut failures = Vec::new();
        let mut cases = 0;
        for kind in [TRANSIENT, ErrorKind::NoCapacity] {
            for performed in [false, true] {
                for call in 0.. {
                    let mut site = self.from.fork();
                    let faults = BTreeMap::from([(call, Fault { kind, performed })]);
                    let end = site.run(
                        &self.command,
                        Fate {
                            faults,
                            ..Fate::default()
                        },
                    );
                    if end.calls.len() <= call {
                        break;
                    }
                    cases += 1;
                    if let Err(why) = self.judge(&mut site, &end, kind) {
                        failures.push(format!(
                            "call {call} ({}) failed, {kind:?}, took effect: {performed}: {why}",
                            end.calls[call]
                        ));
                    }
                }
            }
        }
        report("fault matrix, in process", self.name, cases, &failures);
    }

    fn judge(&self, site: &mut Site, end: &End, kind: ErrorKind) -> Result<(), String> {
        let (before, _) = self.replicas;
        never_violated(site)?;
        match (&end.result, &self.command) {
            (Some(Ok(())), Command::Down) => is_gone(site),
            (Some(Ok(())), _) => self.is_done(site),
            (other, _) if kind == TRANSIENT => Err(format!("not retried: {other:?}")),
            // The failed step wasn't part of the operation.
            (Some(Err(error)), Command::Replicate(_)) if error.message.contains("is done") => {
                site.does(&Command::Repair);
                self.is_done(site)
            }
            (_, Command::Replicate(_)) => {
                has_replicas(site, before).map_err(|why| format!("not rolled back: {why}"))
            }
            (_, again) => match (site.run(again, Fate::default()).result, again) {
                (Some(Ok(())), Command::Down) => is_gone(site),
                (Some(Ok(())), _) => self.is_done(site),
                (other, _) => Err(format!("again: {other:?}")),
            },
        }
    }
}

#[test]
fn up_in_one_zone() {
    scenarios::up_in_one_zone().survives_faults();
}

#[test]
fn up_with_a_network_nodes_and_a_balancer_of_its_own() {
    scenarios::up_with_a_network_nodes_and_a_balancer_of_its_own().survives_faults();
}

#[test]
fn replicate_from_one_to_two_in_one_zone() {
    scenarios::replicate_from_one_to_two_in_one_zone().survives_faults();
}

#[test]
fn replicate_from_one_to_two_across_zones() {
    scenarios::replicate_from_one_to_two_across_zones().survives_faults();
}

#[test]
fn replicate_from_two_to_three() {
    scenarios::replicate_from_two_to_three().survives_faults();
}

#[test]
fn replicate_from_one_to_three_at_once() {
    scenarios::replicate_from_one_to_three_at_once().survives_faults();
}

#[test]
fn down_replica_from_three_to_two() {
    scenarios::down_replica_from_three_to_two().survives_faults();
}

#[test]
fn down_replica_of_the_leader() {
    scenarios::down_replica_of_the_leader().survives_faults();
}

#[test]
fn down_replica_from_two_to_one() {
    scenarios::down_replica_from_two_to_one().survives_faults();
}

#[test]
fn down_replica_of_a_dead_one() {
    scenarios::down_replica_of_a_dead_one().survives_faults();
}

#[test]
fn down_from_three() {
    scenarios::down_from_three().survives_faults();
}

#[test]
fn replace_the_only_one() {
    scenarios::replace_the_only_one().survives_faults();
}

#[test]
fn replace_the_leader_of_three() {
    scenarios::replace_the_leader_of_three().survives_faults();
}

#[test]
fn replace_a_dead_one_of_three() {
    scenarios::replace_a_dead_one_of_three().survives_faults();
}

#[test]
fn repair_of_a_machine_that_is_off() {
    scenarios::repair_of_a_machine_that_is_off().survives_faults();
}

#[test]
fn repair_of_a_replica_that_was_deleted_by_hand() {
    scenarios::repair_of_a_replica_that_was_deleted_by_hand().survives_faults();
}

#[test]
fn repair_of_machines_that_are_all_off() {
    scenarios::repair_of_machines_that_are_all_off().survives_faults();
}

#[test]
fn repair_of_a_full_database() {
    scenarios::repair_of_a_full_database().survives_faults();
}

#[test]
fn repair_of_an_address_that_was_deleted() {
    scenarios::repair_of_an_address_that_was_deleted().survives_faults();
}

#[test]
fn repair_of_a_backend_and_a_firewall() {
    scenarios::repair_of_a_backend_and_a_firewall().survives_faults();
}
