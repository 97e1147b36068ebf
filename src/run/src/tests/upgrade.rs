//! Upgrades: replica by replica, interrupted anywhere, and back to the old release if the new one doesn't serve.

use super::converged::{has_replicas, never_violated};
use super::report;
use super::scenarios::{leader, replicas};
use super::site::{Command, End, Fate, Site};
use super::world::Crash;
use hakube_error::{Error, Kind};
use hakube_kubernetes::{DeadWebhook, DeprecatedApi};
use hakube_machine::replica_release;
use hakube_model::ReplicaIntent;

const OLD: &str = "v1.36.3";
const NEW: &str = "v1.36.9";

/// A cluster with this many replicas, and the new version in the operator's environment.
fn outdated(count: usize) -> Site {
    let mut site = replicas(count);
    site.set("KUBE_VERSION", NEW);
    site
}

/// The machines that got a release, in order.
fn upgraded(end: &End) -> Vec<&str> {
    let calls = end.calls.iter();
    calls
        .filter_map(|call| call.strip_prefix("put /etc/hakube/release on "))
        .collect()
}

/// Checks that all replicas have this version and nothing is left to do.
fn runs(site: &Site, version: &str) -> Result<(), String> {
    let stored = site.stored().unwrap();
    has_replicas(site, stored.intent.replicas.len())?;
    let spec = &stored.intent.spec;
    if format!("v{}", spec.versions.kubernetes) != version || stored.intent.upgrade.is_some() {
        return Err(format!("{:?}, {:?}", spec.versions, stored.intent.upgrade));
    }
    if stored.intent.given["KUBE_VERSION"] != version {
        return Err(format!(
            "recorded as {}",
            stored.intent.given["KUBE_VERSION"]
        ));
    }
    let mark = replica_release(spec).mark;
    for ReplicaIntent { name, .. } in &stored.intent.replicas {
        let has = site.world.cloud.machines[name].files["/etc/hakube/release"].trim();
        if has != mark {
            return Err(format!("{name} has {has}, not {mark}"));
        }
    }
    Ok(())
}

fn fails(site: &mut Site, command: &Command) -> Error {
    let result = site.run(command, Fate::default()).result;
    result.unwrap().expect_err("expected a failure")
}

#[test]
fn replicas_are_upgraded_one_by_one_the_leader_last() {
    let mut site = outdated(3);
    let leader = leader(&site);
    let end = site.run(&Command::Upgrade, Fate::default());
    end.result.as_ref().unwrap().as_ref().unwrap();
    runs(&site, NEW).unwrap();
    let upgraded = upgraded(&end);
    assert_eq!(upgraded.len(), 3, "{upgraded:?}");
    assert_eq!(*upgraded.last().unwrap(), leader);
    // The same command again does nothing, and `up` takes the cluster for what it is.
    let again = site.run(&Command::Upgrade, Fate::default());
    again.result.as_ref().unwrap().as_ref().unwrap();
    assert!(
        !again
            .calls
            .iter()
            .any(|call| call.contains("hakube/release")),
        "{:?}",
        again.calls
    );
    site.does(&Command::Up);
    // Later replicas have the new release from the start.
    site.does(&super::scenarios::replicate(None, 1));
    runs(&site, NEW).unwrap();
}

#[test]
fn killed_at_any_call_it_can_be_finished_or_dropped() {
    let mut failures = Vec::new();
    let mut cases = 0;
    let sites = [
        ("1 replica", outdated(1)),
        ("3 replicas", outdated(3)),
        ("groups of nodes", with_groups()),
    ];
    for (name, before) in sites {
        for call in (0..).step_by(2) {
            let mut crashed = before.fork();
            let performed = call % 4 == 0;
            let fate = Fate {
                crash: Some(Crash { call, performed }),
                ..Fate::default()
            };
            let end = crashed.run(&Command::Upgrade, fate);
            match &end.result {
                None => {}
                Some(Ok(())) => break,
                Some(Err(error)) => panic!("failed before crash at call {call}: {error}"),
            }
            let is_begun = crashed.stored().unwrap().unfinished.is_some();
            let ways = [
                (Command::Upgrade, NEW),
                (Command::Reconcile, NEW),
                (Command::Repair, NEW),
                (Command::Abandon, OLD),
            ];
            for (way, version) in ways {
                if !is_begun && !matches!(way, Command::Upgrade) {
                    continue;
                }
                cases += 1;
                let mut site = crashed.fork();
                let at = end.calls.last().cloned().unwrap_or_default();
                let result = site.run(&way, Fate::default()).result.unwrap();
                let is_there =
                    runs(&site, version).and_then(|()| groups_run(&site, &before, version));
                if let Err(why) = result.map_err(|error| error.to_string()).and(is_there) {
                    failures.push(format!("{name}, at {call} ({at}), then {way:?}: {why}"));
                }
            }
        }
    }
    report("crash matrix, in process", "upgrade", cases, &failures);
}

/// The others aren't touched: the cluster stays as healthy as it was.
#[test]
fn a_replica_that_does_not_serve_with_the_new_programs_goes_back_and_the_upgrade_stops() {
    for count in [1, 3] {
        let mut site = outdated(count);
        site.world.bad_release = Some(NEW.to_owned());
        let end = site.run(&Command::Upgrade, Fate::default());
        let upgraded: Vec<String> = upgraded(&end).into_iter().map(str::to_owned).collect();
        let error = end.result.unwrap().expect_err("expected a failure");
        assert_eq!(upgraded.len(), 2, "there and back: {upgraded:?}");
        assert_eq!(upgraded[0], upgraded[1]);
        assert!(
            error
                .causes
                .iter()
                .any(|why| why.contains("runs Kubernetes v1.36.3 again")),
            "{error:?}"
        );
        never_violated(&site).unwrap();
        for name in site.world.cloud.machines.keys() {
            assert!(site.world.api_ready(name), "{name} serves");
        }
        let mut dropped = site.fork();
        dropped.does(&Command::Abandon);
        runs(&dropped, OLD).unwrap();
        // Once the cause is fixed, the same command goes on.
        site.world.bad_release = None;
        site.does(&Command::Upgrade);
        runs(&site, NEW).unwrap();
    }
}

#[test]
fn an_upgrade_that_can_not_work_is_refused_before_anything_changes() {
    for (from, to, says) in [
        ("v1.34.1", "v1.36.3", "upgrade to the latest v1.35 first"),
        ("v1.36.3", "v1.35.9", "can't go back"),
    ] {
        let mut site = Site::new(&[("KUBE_VERSION", from)]);
        site.does(&Command::Up);
        site.set("KUBE_VERSION", to);
        let document = site.document();
        let error = fails(&mut site, &Command::Upgrade);
        assert_eq!(error.kind, Kind::Refused, "{error}");
        assert!(error.to_string().contains(says), "{error}");
        assert_eq!(site.document(), document);
    }
    // With a replica that doesn't serve, another one's restart could be one too many.
    let mut site = outdated(3);
    let name = leader(&site);
    site.world.failing_apis.insert(name.clone());
    let error = fails(&mut site, &Command::Upgrade);
    assert_eq!(error.kind, Kind::Refused, "{error}");
    assert!(error.to_string().contains(&name), "{error}");
}

#[test]
fn what_an_upgrade_would_break_is_named_and_can_be_ignored_by_name() {
    let mut site = outdated(1);
    let api = |name: &str, removed| DeprecatedApi {
        name: name.to_owned(),
        removed,
    };
    site.world.deprecated_apis = vec![
        api("flowschemas.v1beta3.flowcontrol.apiserver.k8s.io", (1, 32)),
        api("endpoints.v1", (1, 40)),
    ];
    site.world.dead_webhooks = vec![DeadWebhook {
        object: "validatingwebhookconfiguration/policy".to_owned(),
        service: "default/policy".to_owned(),
    }];
    let document = site.document();
    let error = fails(&mut site, &Command::Upgrade);
    assert_eq!(error.kind, Kind::Refused, "{error}");
    let names = [
        "deprecated-api/flowschemas.v1beta3.flowcontrol.apiserver.k8s.io: ",
        "webhook/validatingwebhookconfiguration/policy: ",
    ];
    assert_eq!(error.causes.len(), 2, "{error:?}");
    for (cause, name) in error.causes.iter().zip(names) {
        assert!(cause.starts_with(name), "{cause}");
    }
    assert_eq!(site.document(), document);
    // One by its name, the other by its kind.
    let ignoring = |names: &[&str]| {
        let names = names.iter().map(|name| (*name).to_owned());
        Command::UpgradeIgnoring(names.collect())
    };
    let one = ignoring(&["webhook/validatingwebhookconfiguration/policy"]);
    let error = fails(&mut site, &one);
    assert_eq!(error.causes.len(), 1, "{error:?}");
    site.does(&ignoring(&[
        "webhook/validatingwebhookconfiguration/policy",
        "deprecated-api",
    ]));
    runs(&site, NEW).unwrap();
}

/// A cluster with groups of nodes, and the new version in the operator's environment.
fn with_groups() -> Site {
    let mut site = Site::new(&[("MULTIZONE", "true"), ("NUM_NODES", "2")]);
    site.does(&Command::Up);
    site.set("KUBE_VERSION", NEW);
    site
}

/// Checks the groups' sizes, and the kubelets of all their nodes.
fn groups_run(site: &Site, like: &Site, version: &str) -> Result<(), String> {
    for (name, group) in &site.world.cloud.node_groups {
        let size = like.world.cloud.node_groups[name].size;
        if group.size != size || group.machines.len() != size as usize {
            return Err(format!("{name}: {:?}, not {size}", group.machines));
        }
        for machine in &group.machines {
            let runs = site.world.cloud.kubelets.get(machine);
            if runs.map(String::as_str) != Some(version) {
                return Err(format!("{machine} runs {runs:?}"));
            }
        }
    }
    Ok(())
}

/// hakube doesn't log in on nodes of managed groups: it recreates them from a new template.
#[test]
fn nodes_of_groups_are_recreated_from_a_new_template() {
    let mut site = with_groups();
    let before = site.fork();
    groups_run(&site, &before, OLD).unwrap();
    let end = site.run(&Command::Upgrade, Fate::default());
    end.result.as_ref().unwrap().as_ref().unwrap();
    runs(&site, NEW).unwrap();
    groups_run(&site, &before, NEW).unwrap();
    let old = &before.world.cloud.node_groups;
    for (name, group) in &site.world.cloud.node_groups {
        assert_ne!(group.template, old[name].template, "{name}");
        for node in &old[name].machines {
            let cordoned = format!("cordon {node}: true");
            assert!(end.calls.contains(&cordoned), "{node} was not drained");
        }
    }
    assert_eq!(site.world.cloud.templates.len(), old.len());
}

/// The group has its old size, and its old nodes still serve.
#[test]
fn a_new_node_that_does_not_become_ready_is_deleted_again() {
    let mut site = with_groups();
    let before = site.fork();
    site.world.cloud.broken_kubelet = Some(NEW.to_owned());
    let error = fails(&mut site, &Command::Upgrade);
    assert!(error.to_string().contains("isn't ready"), "{error}");
    groups_run(&site, &before, OLD).unwrap();
    let mut dropped = site.fork();
    dropped.does(&Command::Abandon);
    runs(&dropped, OLD).unwrap();
    groups_run(&dropped, &before, OLD).unwrap();
    site.world.cloud.broken_kubelet = None;
    site.does(&Command::Upgrade);
    groups_run(&site, &before, NEW).unwrap();
}
