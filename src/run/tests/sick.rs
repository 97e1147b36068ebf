//! One replica is sick in a way that hakube can't heal. Whatever was under way then, the cluster can be managed: what
//! doesn't need the sick one is done, and the sick one can be replaced.

use super::converged::{has_replicas, never_violated};
use super::report;
use super::scenarios::{leader, remove, replicas, replicate};
use super::site::{Command, Fate, Site};
use super::world::Crash;
use std::time::Duration;

#[derive(Debug, Clone, Copy)]
enum Sickness {
    /// Its API server ends as soon as it starts.
    Api,
    /// Its machine runs, and does nothing.
    Frozen,
}

impl Sickness {
    fn befalls(self, site: &mut Site, name: &str) {
        match self {
            Self::Api => {
                site.world.sick_apis.insert(name.to_owned());
            }
            Self::Frozen => {
                let machine = site.world.cloud.machines.get_mut(name);
                machine.unwrap().boots = Some(Duration::MAX);
            }
        }
    }
}

/// Three replicas, of which the last two follow.
fn three() -> (Site, String, String) {
    let site = replicas(3);
    let leader = leader(&site);
    let stored = site.stored().unwrap();
    let names = stored.intent.replicas.iter().map(|r| r.name.clone());
    let mut followers = names.filter(|name| *name != leader);
    let (one, other) = (followers.next().unwrap(), followers.next().unwrap());
    (site, one, other)
}

/// The sick one is replaced, by what the messages name.
fn is_healed(site: &mut Site, sick: &str) -> Result<(), String> {
    never_violated(site)?;
    if site.stored().unwrap().unfinished.is_some() {
        let end = site.run(&Command::Abandon, Fate::default());
        if site.stored().unwrap().unfinished.is_some() {
            return Err(format!("abandon: {:?}", end.result));
        }
    }
    let count = site.stored().unwrap().intent.replicas.len();
    match site
        .run(&Command::Replace(sick.to_owned()), Fate::default())
        .result
    {
        Some(Ok(())) => has_replicas(site, count),
        other => Err(format!("replace: {other:?}")),
    }
}

fn survives(name: &str, command: impl Fn(&str) -> Command) {
    let (from, sick, other) = three();
    let command = command(&other);
    let calls = from.fork().run(&command, Fate::default()).calls.len();
    let (mut cases, mut failures) = (0, Vec::new());
    for sickness in [Sickness::Api, Sickness::Frozen] {
        // At its beginning, and wherever it may have been killed.
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
            if !site.world.cloud.machines.contains_key(&sick) {
                continue;
            }
            sickness.befalls(&mut site, &sick);
            site.world.tick();
            if !site.world.has_quorum() {
                // One failure more than etcd survives: that is another story.
                continue;
            }
            let again = if call.is_some() {
                &Command::Reconcile
            } else {
                &command
            };
            let end = site.run(again, Fate::default());
            cases += 1;
            if let Err(why) = is_healed(&mut site, &sick) {
                failures.push(format!(
                    "{sickness:?}, killed at {call:?}; then {again:?}: {:?}; {why}",
                    end.result
                ));
            }
        }
    }
    report("one replica is sick", name, cases, &failures);
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

/// Its members of etcd are well, so another can join. Nothing of that is thrown away because of the sick one.
#[test]
fn a_replica_is_added_beside_one_whose_api_server_ends() {
    let (mut site, sick, _) = three();
    Sickness::Api.befalls(&mut site, &sick);
    let end = site.run(&replicate(None, 1), Fate::default());
    let error = end.result.unwrap().unwrap_err();
    assert!(error.message.starts_with("replicate is done"), "{error}");
    assert!(error.to_string().contains(&sick), "{error}");
    let stored = site.stored().unwrap();
    assert_eq!((stored.intent.replicas.len(), stored.unfinished), (4, None));
    site.does(&Command::Replace(sick));
    has_replicas(&site, 4).unwrap();
}

#[test]
fn what_is_finished_is_not_abandoned() {
    let (mut site, _, _) = three();
    let end = site.run(&Command::Abandon, Fate::default());
    let error = end.result.unwrap().unwrap_err();
    assert!(error.message.contains("no unfinished operation"), "{error}");
    has_replicas(&site, 3).unwrap();
}
