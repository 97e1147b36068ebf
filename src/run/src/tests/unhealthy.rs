//! One replica is unhealthy in a way that hakube can't repair. Whatever command was running, the cluster stays
//! manageable: steps that don't need that replica are done, and it can be replaced.

use super::converged::{has_replicas, never_violated};
use super::report;
use super::scenarios::{leader, remove, replicas, replicate};
use super::site::{Command, Fate, Site};
use super::world::Crash;
use std::time::Duration;

#[derive(Debug, Clone, Copy)]
enum Problem {
    /// Its API server exits as soon as it starts.
    Api,
    /// Its machine runs, but does nothing.
    Frozen,
}

impl Problem {
    fn affect(self, site: &mut Site, name: &str) {
        match self {
            Self::Api => {
                site.world.failing_apis.insert(name.to_owned());
            }
            Self::Frozen => {
                let machine = site.world.cloud.machines.get_mut(name);
                machine.unwrap().boots = Some(Duration::MAX);
            }
        }
    }
}

/// Three replicas, and the names of the two followers.
fn three() -> (Site, String, String) {
    let site = replicas(3);
    let leader = leader(&site);
    let stored = site.stored().unwrap();
    let names = stored.intent.replicas.iter().map(|r| r.name.clone());
    let mut followers = names.filter(|name| *name != leader);
    let (one, other) = (followers.next().unwrap(), followers.next().unwrap());
    (site, one, other)
}

/// Replaces the unhealthy replica with the commands that the messages suggest.
fn is_healed(site: &mut Site, unhealthy: &str) -> Result<(), String> {
    never_violated(site)?;
    if site.stored().unwrap().unfinished.is_some() {
        let end = site.run(&Command::Abandon, Fate::default());
        if site.stored().unwrap().unfinished.is_some() {
            return Err(format!("abandon: {:?}", end.result));
        }
    }
    let count = site.stored().unwrap().intent.replicas.len();
    match site
        .run(&Command::Replace(unhealthy.to_owned()), Fate::default())
        .result
    {
        Some(Ok(())) => has_replicas(site, count),
        other => Err(format!("replace: {other:?}")),
    }
}

fn survives(name: &str, command: impl Fn(&str) -> Command) {
    let (from, unhealthy, other) = three();
    let command = command(&other);
    let calls = from.fork().run(&command, Fate::default()).calls.len();
    let (mut cases, mut failures) = (0, Vec::new());
    for problem in [Problem::Api, Problem::Frozen] {
        // At the start of the command, and after a crash at each call.
        for call in std::iter::once(None).chain((0..calls).map(Some)) {
            let mut site = from.fork();
            let crash = call.map(|call| Crash {
                call,
                performed: true,
            });
            if crash.is_some() {
                let fate = Fate {
                    crash,
                    ..Fate::default()
                };
                if site.run(&command, fate).result.is_some() {
                    continue;
                }
            }
            if !site.world.cloud.machines.contains_key(&unhealthy) {
                continue;
            }
            problem.affect(&mut site, &unhealthy);
            site.world.tick();
            if !site.world.has_quorum() {
                // That is more failures than etcd survives.
                continue;
            }
            let again = if call.is_some() {
                &Command::Reconcile
            } else {
                &command
            };
            let end = site.run(again, Fate::default());
            cases += 1;
            if let Err(why) = is_healed(&mut site, &unhealthy) {
                failures.push(format!(
                    "{problem:?}, killed at {call:?}; then {again:?}: {:?}; {why}",
                    end.result
                ));
            }
        }
    }
    report("one replica is unhealthy", name, cases, &failures);
}

#[test]
fn while_another_is_added() {
    survives("replicate 3-4", |_| replicate(None, 1));
}

#[test]
fn while_another_is_removed() {
    survives("down --replica 3-2", |other| remove(other, false));
}

#[test]
fn while_another_is_replaced() {
    survives("replace another", |other| {
        Command::Replace(other.to_owned())
    });
}

/// etcd's members are healthy, so another one can join. It isn't rolled back because of the unhealthy replica.
#[test]
fn a_replica_is_added_while_another_ones_api_server_fails() {
    let (mut site, unhealthy, _) = three();
    Problem::Api.affect(&mut site, &unhealthy);
    let end = site.run(&replicate(None, 1), Fate::default());
    let error = end.result.unwrap().unwrap_err();
    assert!(error.message.starts_with("replicate is done"), "{error}");
    assert!(error.to_string().contains(&unhealthy), "{error}");
    let stored = site.stored().unwrap();
    assert_eq!((stored.intent.replicas.len(), stored.unfinished), (4, None));
    site.does(&Command::Replace(unhealthy));
    has_replicas(&site, 4).unwrap();
}

#[test]
fn a_finished_operation_cant_be_abandoned() {
    let (mut site, _, _) = three();
    let end = site.run(&Command::Abandon, Fate::default());
    let error = end.result.unwrap().unwrap_err();
    assert!(error.message.contains("no unfinished operation"), "{error}");
    has_replicas(&site, 3).unwrap();
}

/// A new member's first attempt to publish its name may be lost, and etcd makes the next one after 7 s.
#[test]
fn members_that_havent_published_their_names_are_promoted_and_followed_by_others() {
    let mut site = replicas(1);
    site.world.etcd.publishes_late = true;
    site.does(&replicate(None, 2));
    has_replicas(&site, 3).unwrap();
    never_violated(&site).unwrap();
}
