//! Lost, damaged and mixed up etcd data: no member ever starts empty.

use super::converged::{has_replicas, never_violated};
use super::scenarios::{self, data_of, follower, leader, replicas};
use super::site::{Command, Fate, Site};
use super::world::{Crash, DataDisk, EtcdCluster};
use hakube_error::{Error, Kind};
use hakube_model::Alarm;
use std::time::Duration;

fn wipe(site: &mut Site, replica: &str) -> DataDisk {
    let disk = data_of(site, replica);
    let before = std::mem::replace(disk, DataDisk::empty(&disk.zone));
    site.world.tick();
    before
}

fn fails(site: &mut Site, command: &Command) -> Error {
    let result = site.run(command, Fate::default()).result;
    result.unwrap().expect_err("expected a failure")
}

/// Acknowledged data is lost, so only the operator can choose what to do.
#[test]
fn a_single_replica_without_data_is_reported_and_never_starts_empty() {
    let mut site = replicas(1);
    let only = leader(&site);
    let disk = wipe(&mut site, &only);
    let status = site.status();
    assert_eq!(status.quorum, None);
    let [condition] = status.conditions.as_slice() else {
        panic!("{status:#?}")
    };
    assert_eq!(
        (condition.kind.name(), condition.replica.as_ref()),
        ("etcd-data-gone", Some(&only))
    );
    assert!(
        condition
            .fix
            .iter()
            .any(|fix| fix.contains("hakube restore"))
    );
    for command in [
        Command::Repair,
        Command::Reconcile,
        scenarios::replicate(None, 1),
    ] {
        let error = fails(&mut site.fork(), &command);
        assert_eq!(error.kind, Kind::Refused, "{command:?}: {error}");
        let text = format!("{error} {:?}", error.hints);
        assert!(
            text.contains(&only)
                && text.contains("its data is gone")
                && text.contains("hakube restore"),
            "{command:?}: {text}"
        );
    }
    let error = fails(&mut site, &Command::Repair);
    assert_eq!(error.kind, Kind::Refused);
    site.world.now += Duration::from_secs(600);
    site.world.tick();
    never_violated(&site).unwrap();

    // Its disk is mounted again.
    *data_of(&mut site, &only) = disk;
    site.world.tick();
    has_replicas(&site, 1).unwrap();
    assert_eq!(site.status().conditions, []);
}

#[test]
fn data_loss_of_one_of_three_is_reported_and_repaired() {
    let cases = [
        (scenarios::repair_of_data_that_is_gone(), "etcd-data-gone"),
        (
            scenarios::repair_of_data_that_is_foreign(),
            "etcd-data-foreign",
        ),
        (
            scenarios::repair_of_data_that_is_damaged(),
            "etcd-data-damaged",
        ),
        (
            scenarios::repair_of_a_member_that_was_removed_by_hand(),
            "etcd-member-removed",
        ),
    ];
    for (scenario, kind) in cases {
        let mut site = scenario.from.fork();
        let conditions = site.status().conditions;
        let named: Vec<_> = conditions
            .iter()
            .map(|found| (found.kind.name(), &found.fix))
            .collect();
        assert_eq!(named, [(kind, &vec!["hakube repair".to_owned()])]);
        site.does(&scenario.command);
        scenario
            .is_done(&site)
            .unwrap_or_else(|why| panic!("{kind}: {why}"));
        assert_eq!(site.status().conditions, []);
    }
}

/// One vote of three can't remove the others, so hakube doesn't try.
#[test]
fn without_quorum_nothing_is_removed_and_the_options_are_listed() {
    let mut site = replicas(3);
    let names: Vec<String> = site.world.cloud.machines.keys().cloned().collect();
    for name in &names[1..] {
        wipe(&mut site, name);
    }
    let error = fails(&mut site, &Command::Repair);
    assert_eq!(error.kind, Kind::Refused);
    let text = format!("{error} {:?}", error.hints);
    for name in &names[1..] {
        assert!(
            text.contains(&format!("{name}: its data is gone")),
            "{text}"
        );
    }
    assert!(text.contains("hakube restore"), "{text}");
    assert_eq!(site.world.etcd.members.len(), 3);
    never_violated(&site).unwrap();
}

/// One after the other: with two of five votes lost, three are enough for that.
#[test]
fn two_of_five_that_lost_their_data_are_repaired_one_at_a_time() {
    let mut site = replicas(5);
    let leader = leader(&site);
    let names = site
        .world
        .cloud
        .machines
        .keys()
        .filter(|name| **name != leader);
    for name in names.take(2).cloned().collect::<Vec<_>>() {
        wipe(&mut site, &name);
    }
    site.does(&Command::Repair);
    has_replicas(&site, 5).unwrap();
}

/// The loss is only observable once the machine runs.
#[test]
fn a_machine_that_was_off_and_has_lost_its_data_is_repaired_at_once() {
    let mut site = replicas(3);
    let off = follower(&site);
    site.world.cloud.machines.get_mut(&off).unwrap().boots = None;
    wipe(&mut site, &off);
    site.does(&Command::Repair);
    has_replicas(&site, 3).unwrap();
}

/// Power fails after the permission to start without data is used up, but before etcd has written any.
#[test]
fn an_up_whose_first_etcd_start_was_lost_can_be_repeated() {
    let mut site = Site::new(&[]);
    let calls = site.fork().run(&Command::Up, Fate::default()).calls;
    let put = calls.iter().position(|call| call.contains("join.env on"));
    let put = calls[put.unwrap() + 1..]
        .iter()
        .position(|call| call.starts_with("put /etc/etcd/join.env"))
        .map_or(put.unwrap(), |later| put.unwrap() + 1 + later);
    let crash = Crash {
        call: put,
        performed: true,
    };
    let end = site.run(
        &Command::Up,
        Fate {
            crash: Some(crash),
            ..Fate::default()
        },
    );
    assert!(end.result.is_none());
    // etcd's data wasn't on disk yet.
    site.world.etcd = EtcdCluster::default();
    data_of(&mut site, "kubernetes-master").member = None;
    site.does(&Command::Up);
    has_replicas(&site, 1).unwrap();
}

#[test]
fn an_unknown_learner_is_reported_and_left_alone() {
    let mut site = replicas(3);
    let id = site.world.etcd.add("", "https://192.0.2.1:2380", true);
    let drift = site.status().drift.join("\n");
    assert!(drift.contains(&format!("member-{id:x}")), "{drift}");
    site.does(&Command::Repair);
    assert!(site.world.etcd.member(id).is_some());
    let error = fails(&mut site, &scenarios::replicate(None, 1));
    assert!(format!("{error}").contains("one learner"), "{error}");
    assert!(site.world.etcd.member(id).is_some());
}

/// Its machine is gone. Only hakube's record shows that it is hakube's.
#[test]
fn a_leftover_learner_is_removed() {
    let mut site = replicas(3);
    let command = scenarios::replicate(None, 1);
    let calls = site.fork().run(&command, Fate::default()).calls;
    let added = calls.iter().position(|call| call == "etcd: add a learner");
    let before: Vec<String> = site.world.cloud.machines.keys().cloned().collect();
    site.run(
        &command,
        Fate {
            crash: Some(Crash {
                call: added.unwrap(),
                performed: true,
            }),
            ..Fate::default()
        },
    );
    let mut machines = site.world.cloud.machines.keys();
    let new = machines.rfind(|name| !before.contains(name));
    let new = new.unwrap().clone();
    site.world.lose_machine(&new);
    site.world.tick();
    site.does(&Command::Reconcile);
    has_replicas(&site, 4).unwrap();
}

#[test]
fn the_corrupt_alarm_is_reported_with_its_fix() {
    let mut site = replicas(3);
    let name = follower(&site);
    let member = site
        .world
        .etcd
        .members
        .iter()
        .find(|member| member.name == name);
    let id = member.unwrap().id;
    site.world.etcd.alarms = vec![(id, Alarm::Corrupt)];
    let conditions = site.status().conditions;
    let [condition] = conditions.as_slice() else {
        panic!("{conditions:?}")
    };
    assert_eq!(
        (condition.kind.name(), condition.replica.as_ref()),
        ("etcd-alarm-corrupt", Some(&name))
    );
    let fix = condition.fix.join("\n");
    assert!(
        fix.contains("hashkv") && fix.contains("alarm disarm"),
        "{fix}"
    );
    // Which member's data is right is unknown.
    site.does(&Command::Repair);
    assert!(site.world.etcd.member(id).is_some());
}
