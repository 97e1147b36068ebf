//! Rotation of authorities in three phases: interrupted anywhere, and without a loss of trust between any two programs.

use super::converged::has_replicas;
use super::report;
use super::scenarios::replicas;
use super::site::{Command, End, Fate, Site};
use super::world::Crash;
use crate::RotateUntil;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use hakube_error::Kind;
use hakube_model::RotationPhase;
use hakube_pki::{Signer, Stage};
use std::collections::BTreeSet;

const ROTATE: Command = Command::Rotate(RotateUntil::Done);
const PREPARE: Command = Command::Rotate(RotateUntil::Trusted);

/// The machines that were notified, in order: restarted replicas, and kubelets.
fn notified(end: &End) -> Vec<&str> {
    let marks = [
        "put /etc/hakube/replica.env on ",
        "put /etc/kubernetes/pki/kubelet.trust on ",
    ];
    let calls = end.calls.iter();
    calls
        .filter_map(|call| marks.iter().find_map(|mark| call.strip_prefix(mark)))
        .collect()
}

/// Checks that all authorities differ from those of `before`, only they are trusted, and nothing is left to do.
fn is_rotated(site: &Site, before: &Site) -> Result<(), String> {
    let count = before.stored().unwrap().intent.replicas.len();
    has_replicas(site, count)?;
    let (old, new) = (before.authorities(), site.authorities());
    if new.stage() != Stage::Settled {
        return Err(format!("keys are at {:?}", new.stage()));
    }
    for signer in Signer::ALL {
        if old.certificate_of(signer) == new.certificate_of(signer) {
            return Err(format!("{signer:?} is unchanged"));
        }
    }
    let stored = site.stored().unwrap();
    if stored.intent.rotation.is_some() {
        return Err(format!("{:?}", stored.intent.rotation));
    }
    for replica in &stored.intent.replicas {
        let files = &site.world.cloud.machines[&replica.name].files;
        let mark = files["/etc/kubernetes/pki/trust"].trim();
        let ca = &files["/etc/kubernetes/pki/etcd/ca.crt"];
        if mark != new.mark() || ca != new.etcd_ca() {
            return Err(format!("{} uses {mark}", replica.name));
        }
    }
    let groups = before.world.cloud.node_groups.values();
    for group in groups {
        let now = &site.world.cloud.node_groups[&group.name];
        if now.template == group.template {
            return Err(format!("{} has its old template", group.name));
        }
        if !stored.intent.spec.logs_in_on_nodes() {
            let ca = BASE64_STANDARD.encode(new.kubernetes_ca());
            let documents = now
                .machines
                .iter()
                .map(|name| &site.world.cloud.documents[name]);
            let current = documents.filter(|document| document.contains(&ca)).count();
            if current != group.machines.len() || current != now.machines.len() {
                return Err(format!("{now:?} after {group:?}"));
            }
            continue;
        }
        for node in &now.machines {
            let mark = &site.world.node_files[node]["/etc/kubernetes/pki/kubelet.trust"];
            if mark.trim() != new.mark() {
                return Err(format!("{node} uses {mark}"));
            }
        }
    }
    Ok(())
}

/// Nodes on which hakube can log in: their machines are processes on this host.
fn with_nodes() -> Site {
    let mut site = Site::new(&[
        ("MULTIZONE", "true"),
        ("NUM_NODES", "2"),
        ("HAKUBE_COMPUTE_ENDPOINT", "http://127.0.0.1:1"),
    ]);
    site.does(&Command::Up);
    site
}

/// Nodes on which it can't.
fn with_groups() -> Site {
    let mut site = Site::new(&[("MULTIZONE", "true"), ("NUM_NODES", "2")]);
    site.does(&Command::Up);
    site
}

/// Each phase replaces all of them: first to trust the new authorities too, then to be signed by them, and then to no
/// longer trust the old ones.
#[test]
fn nodes_without_a_login_are_replaced_in_each_phase() {
    let before = with_groups();
    let mut site = before.fork();
    let end = site.run(&ROTATE, Fate::default());
    end.result.as_ref().unwrap().as_ref().unwrap();
    is_rotated(&site, &before).unwrap();
    let drained = end.calls.iter();
    let drained = drained.filter(|call| call.starts_with("cordon ") && call.ends_with(": true"));
    let drained: BTreeSet<&String> = drained.collect();
    assert_eq!(drained.len(), 3 * 2, "{drained:?}");
}

#[test]
fn all_authorities_are_replaced_replica_by_replica_in_three_phases() {
    let before = replicas(3);
    let mut site = before.fork();
    let end = site.run(&ROTATE, Fate::default());
    end.result.as_ref().unwrap().as_ref().unwrap();
    is_rotated(&site, &before).unwrap();
    let notified = notified(&end);
    assert_eq!(notified.len(), 9, "{notified:?}");
    for phase in notified.chunks(3) {
        let mut names = phase.to_vec();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 3, "each once per phase: {notified:?}");
    }
    // A second time, they are rotated again.
    let again = site.fork();
    site.does(&ROTATE);
    is_rotated(&site, &again).unwrap();
}

#[test]
fn killed_at_any_call_it_can_be_finished() {
    let mut failures = Vec::new();
    let mut cases = 0;
    // Each case is a whole cluster's life, with real keys.
    let is_deep = std::env::var_os("HAKUBE_TEST_DEEP").is_some_and(|value| value == "1");
    let step = if is_deep { 1 } else { 7 };
    let sites = [
        ("two replicas", replicas(2)),
        ("nodes", with_nodes()),
        ("groups of nodes", with_groups()),
    ];
    for (name, before) in sites {
        for (first, performed) in [(0, false), (3, true)] {
            for call in (first..).step_by(step) {
                let mut crashed = before.fork();
                let crash = Some(Crash { call, performed });
                let fate = Fate {
                    crash,
                    ..Fate::default()
                };
                let end = crashed.run(&ROTATE, fate);
                match end.result {
                    None => {}
                    Some(Ok(())) => break,
                    Some(Err(error)) => panic!("failed before crash at call {call}: {error}"),
                }
                let is_done = crashed
                    .stored()
                    .is_some_and(|stored| stored.unfinished.is_none())
                    && is_rotated(&crashed, &before).is_ok();
                let ways: [&[Command]; 3] =
                    [&[ROTATE], &[Command::Reconcile], &[Command::Repair, ROTATE]];
                // One way per call, in turn, to save time.
                for way in ways.iter().cycle().skip(call).take(1).copied() {
                    // Before anything is stored, there is nothing to reconcile.
                    let is_begun = crashed.stored().unwrap().intent.rotation.is_some();
                    if is_done || (!is_begun && matches!(way, [Command::Reconcile])) {
                        continue;
                    }
                    cases += 1;
                    let mut site = crashed.fork();
                    let at = end.calls.last().cloned().unwrap_or_default();
                    for command in way {
                        if let Some(Err(error)) = site.run(command, Fate::default()).result {
                            failures
                                .push(format!("{name}, at {call} ({at}), {command:?}: {error}"));
                        }
                    }
                    if let Err(why) = is_rotated(&site, &before) {
                        failures.push(format!("{name}, at {call} ({at}), then {way:?}: {why}"));
                    }
                }
            }
        }
    }
    report(
        "crash matrix, in process",
        "certs rotate-ca",
        cases,
        &failures,
    );
}

#[test]
fn an_unfinished_rotation_is_in_status_and_other_commands_keep_it() {
    let before = replicas(2);
    let mut site = before.fork();
    site.does(&PREPARE);
    let phase = |site: &Site| site.stored().unwrap().intent.rotation.map(|one| one.phase);
    assert_eq!(phase(&site), Some(RotationPhase::Trust));
    assert_eq!(site.authorities().stage(), Stage::Trusting);
    let unfinished = site.status().unfinished.unwrap();
    assert_eq!(unfinished.operation, "certs rotate-ca");
    site.does(&Command::Repair);
    assert_eq!(phase(&site), Some(RotationPhase::Trust));
    let replicate = super::scenarios::replicate(None, 1);
    let error = site
        .run(&replicate, Fate::default())
        .result
        .unwrap()
        .unwrap_err();
    assert_eq!(error.kind, Kind::Refused);
    // No certificate of the new authorities is in use yet, so they can be dropped.
    let mut dropped = site.fork();
    dropped.does(&Command::Abandon);
    has_replicas(&dropped, 2).unwrap();
    assert_eq!(dropped.authorities().mark(), before.authorities().mark());
    site.does(&ROTATE);
    is_rotated(&site, &before).unwrap();
}

#[test]
fn a_node_that_doesnt_follow_is_listed_and_blocks_the_next_phase() {
    let before = with_nodes();
    let mut site = before.fork();
    let node = before
        .world
        .cloud
        .node_groups
        .values()
        .next()
        .unwrap()
        .machines[0]
        .clone();
    site.world.silent_nodes.insert(node.clone());
    let error = site
        .run(&ROTATE, Fate::default())
        .result
        .unwrap()
        .unwrap_err();
    assert_eq!(error.kind, Kind::Refused, "{error}");
    assert!(error.to_string().contains(&node), "{error}");
    assert_eq!(site.stored(), before.stored(), "refused means unchanged");

    // Started while the node was reachable.
    site.world.silent_nodes.clear();
    site.does(&PREPARE);
    site.world.silent_nodes.insert(node.clone());
    let error = site
        .run(&ROTATE, Fate::default())
        .result
        .unwrap()
        .unwrap_err();
    assert!(error.to_string().contains(&node), "{error}");
    assert_ne!(
        site.authorities().stage(),
        Stage::Settled,
        "the old ones are still trusted"
    );
    site.world.silent_nodes.clear();
    site.does(&ROTATE);
    is_rotated(&site, &before).unwrap();
}

#[test]
fn a_replica_that_cant_follow_blocks_the_start() {
    let mut site = replicas(3);
    let machines = &mut site.world.cloud.machines;
    let files = &mut machines.get_mut("kubernetes-master").unwrap().files;
    files.remove("/etc/kubernetes/pki/trust").unwrap();
    let before = site.stored();
    let error = site
        .run(&ROTATE, Fate::default())
        .result
        .unwrap()
        .unwrap_err();
    assert_eq!(error.kind, Kind::Refused, "{error}");
    assert!(error.to_string().contains("kubernetes-master"), "{error}");
    assert_eq!(site.stored(), before);
}

#[test]
fn a_replica_with_other_authorities_is_restarted_by_repair() {
    let mut site = replicas(3);
    let machines = &mut site.world.cloud.machines;
    let files = &mut machines.get_mut("kubernetes-master").unwrap().files;
    files.insert(
        "/etc/kubernetes/pki/trust".to_owned(),
        "another\n".to_owned(),
    );
    let drift = site.status().drift;
    assert!(
        drift
            .iter()
            .any(|says| says.contains("restart kubernetes-master")),
        "{drift:?}"
    );
    site.does(&Command::Repair);
    has_replicas(&site, 3).unwrap();
}
