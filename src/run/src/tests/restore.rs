//! Backups, and restoring them from any loss.

use super::converged::{has_replicas, never_violated};
use super::scenarios::{self, data_of, follower, leader, replicas};
use super::site::{Command, Fate, Site};
use super::world::DataDisk;
use hakube_error::{Error, Kind};
use std::time::Duration;

const RESTORE: Command = Command::Restore { force: false };

fn fails(site: &mut Site, command: &Command) -> Error {
    let result = site.run(command, Fate::default()).result;
    result.unwrap().expect_err("expected a failure")
}

fn time_passes(site: &mut Site) {
    site.world.now += Duration::from_secs(600);
    site.world.tick();
}

/// The surviving member's data is saved without a quorum, and all three continue with it.
#[test]
fn a_lost_quorum_is_recovered_from_a_surviving_members_data() {
    let mut site = replicas(3);
    time_passes(&mut site);
    let written = site.world.etcd.acknowledged;
    let lost = [leader(&site), follower(&site)];
    for name in &lost {
        let disk = data_of(&mut site, name);
        *disk = DataDisk::empty(&disk.zone);
    }
    site.world.tick();
    let refused = fails(&mut site, &Command::Repair);
    assert!(
        refused
            .hints
            .iter()
            .any(|hint| hint.contains("hakube restore")),
        "{refused:?}"
    );
    site.does(&Command::Save);
    site.does(&RESTORE);
    has_replicas(&site, 3).unwrap();
    never_violated(&site).unwrap();
    assert!(site.world.etcd.acknowledged >= written, "nothing was lost");
    assert_eq!(site.status().conditions, []);
}

#[test]
fn an_etcd_with_its_quorum_is_replaced_only_by_force() {
    let mut site = replicas(3);
    site.does(&Command::Save);
    let saved = site.world.etcd.acknowledged;
    time_passes(&mut site);
    let document = site.document();
    let refused = fails(&mut site, &RESTORE);
    assert_eq!(refused.kind, Kind::Refused, "{refused}");
    assert_eq!(site.document(), document, "a refusal stores nothing");
    site.does(&Command::Restore { force: true });
    has_replicas(&site, 3).unwrap();
    never_violated(&site).unwrap();
    assert!(saved > 0);
    // Another restore of the same backup is another etcd.
    site.does(&Command::Restore { force: true });
    has_replicas(&site, 3).unwrap();
    never_violated(&site).unwrap();
}

/// Neither machines nor state are left, only the backup.
#[test]
fn a_cluster_comes_back_from_its_backup_alone() {
    let mut site = replicas(3);
    site.does(&Command::Save);
    let keys = site.authorities().kubernetes_ca().to_owned();
    for name in site
        .world
        .cloud
        .machines
        .keys()
        .cloned()
        .collect::<Vec<_>>()
    {
        site.world.lose_machine(&name);
    }
    site.world.cloud.disks.clear();
    site.world.tick();
    site.lose_state();
    site.does(&RESTORE);
    has_replicas(&site, 3).unwrap();
    never_violated(&site).unwrap();
    assert_eq!(site.authorities().kubernetes_ca(), keys);
}

/// The operation that quorum was lost in doesn't block the way back.
#[test]
fn an_unfinished_operation_gives_way_to_a_restore() {
    let mut site = replicas(3);
    site.does(&Command::Save);
    let names: Vec<String> = site.world.cloud.machines.keys().cloned().collect();
    let fate = Fate {
        crash: Some(super::world::Crash {
            call: 30,
            performed: true,
        }),
        ..Fate::default()
    };
    site.run(&scenarios::replicate(None, 1), fate);
    for name in &names[..2] {
        let disk = data_of(&mut site, name);
        *disk = DataDisk::empty(&disk.zone);
    }
    site.world.tick();
    let begun = site.stored().unwrap();
    site.does(&RESTORE);
    has_replicas(&site, begun.intent.replicas.len()).unwrap();
    assert_eq!(site.stored().unwrap().unfinished, None);
}

/// Machines trust the keys that are stored now. A backup's may be older.
#[test]
fn stored_keys_are_kept_if_only_the_intent_is_lost() {
    let mut site = replicas(2);
    site.does(&Command::Save);
    site.does(&Command::Rotate(crate::RotateUntil::Done));
    let keys = site.authorities().kubernetes_ca().to_owned();
    site.lose_intent();
    // While etcd works, its record of the intent is newer than the backup's.
    let refused = fails(&mut site.fork(), &Command::Restore { force: true });
    assert!(
        refused
            .hints
            .iter()
            .any(|hint| hint.contains("state adopt")),
        "{refused:?}"
    );
    for name in [leader(&site), follower(&site)] {
        let disk = data_of(&mut site, &name);
        *disk = DataDisk::empty(&disk.zone);
    }
    site.world.tick();
    site.does(&RESTORE);
    assert_eq!(site.authorities().kubernetes_ca(), keys);
    has_replicas(&site, 2).unwrap();
    never_violated(&site).unwrap();
}

#[test]
fn a_declined_restore_stores_nothing() {
    let mut site = replicas(2);
    site.does(&Command::Save);
    let document = site.document();
    fails(&mut site, &Command::RestoreDeclined);
    assert_eq!(site.document(), document);
    site.lose_state();
    fails(&mut site, &Command::RestoreDeclined);
    let left = site.objects();
    assert!(
        !left
            .iter()
            .any(|name| name.ends_with("intent.json") || name.ends_with("pki.json")),
        "{left:?}"
    );
}

/// The one that is being restored may be unusable.
#[test]
fn another_backup_replaces_an_unfinished_restore() {
    let mut site = replicas(3);
    site.does(&Command::Save);
    time_passes(&mut site);
    site.does(&Command::Save);
    for name in [leader(&site), follower(&site)] {
        let disk = data_of(&mut site, &name);
        *disk = DataDisk::empty(&disk.zone);
    }
    site.world.tick();
    let crash = super::world::Crash {
        call: 60,
        performed: true,
    };
    let fate = Fate {
        crash: Some(crash),
        ..Fate::default()
    };
    site.run(&RESTORE, fate);
    let begun = site.stored().unwrap();
    assert!(begun.intent.restoring.is_some(), "{begun:#?}");
    site.does(&Command::RestoreFirst);
    has_replicas(&site, 3).unwrap();
    never_violated(&site).unwrap();
    assert_eq!(site.stored().unwrap().unfinished, None);
}
