//! Conditions that `repair` fixes: full databases, stopped machines, a deleted address.

use super::converged::{has_replicas, never_violated};
use super::scenarios::{replicas, replicas_with};
use super::site::{Command, Fate, Site};
use super::world::{ANOTHER, QUOTA};
use hakube_error::{Error, Kind};
use hakube_model::{ConditionKind, DiskSpace};

fn fails(site: &mut Site, command: &Command) -> Error {
    let result = site.run(command, Fate::default()).result;
    result.unwrap().expect_err("expected a failure")
}

fn kinds(site: &Site) -> Vec<&'static str> {
    let conditions = site.status().conditions;
    conditions.iter().map(|one| one.kind.name()).collect()
}

#[test]
fn a_full_database_is_compacted_and_defragmented_followers_first() {
    for count in [1, 3] {
        let mut site = replicas(count);
        site.world.etcd.fill(QUOTA / 10);
        assert_eq!(kinds(&site), ["etcd-alarm-nospace"]);
        site.does(&Command::Repair);
        has_replicas(&site, count).unwrap();
        let etcd = &site.world.etcd;
        assert_eq!(etcd.alarms, []);
        assert_eq!(etcd.defragmented.len(), count);
        assert_eq!(etcd.defragmented.last().copied(), etcd.leader);
        assert_eq!(kinds(&site), [""; 0]);
        never_violated(&site).unwrap();
    }
}

/// There is no space to gain, so the alarm stays. Since a full member may report a stale size, each is
/// defragmented a few times.
#[test]
fn data_that_fills_the_quota_is_reported_with_a_larger_quota() {
    let mut site = replicas(3);
    site.world.etcd.fill(QUOTA);
    for _ in 0..2 {
        let error = fails(&mut site, &Command::Repair);
        let text = format!("{error} {:?}", error.hints);
        for word in ["4.0 GiB of 4.0 GiB", "ETCD_QUOTA_BACKEND_BYTES=8589934592"] {
            assert!(text.contains(word), "{word} isn't in {text}");
        }
    }
    assert_eq!(site.world.etcd.alarms.len(), 1);
    let tries = site.world.etcd.defragmented.len();
    assert!(tries <= 2 * 3 * 4, "{tries}");
    never_violated(&site).unwrap();

    // The operator deletes objects, and then sets the quota that the message suggests.
    site.world.etcd.current = QUOTA / 2;
    site.does(&Command::Repair);
    assert_eq!(site.world.etcd.alarms, []);
    site.set("ETCD_QUOTA_BACKEND_BYTES", "8589934592");
    let first = site.world.etcd.members[0].name.clone();
    site.does(&Command::Replace(first));
    let intent = site.stored().unwrap().intent;
    assert_eq!(intent.spec.etcd.quota_bytes, 8_589_934_592);
}

#[test]
fn a_fragmented_database_is_defragmented_before_it_is_full() {
    let mut site = replicas(3);
    site.world.etcd.fill(QUOTA / 10);
    site.world.etcd.alarms.clear();
    site.world.etcd.compact();
    assert_eq!(kinds(&site), ["etcd-quota-nearly-full"; 3]);
    site.does(&Command::Repair);
    assert_eq!(site.world.etcd.defragmented.len(), 3);
    assert_eq!(kinds(&site), [""; 0]);
}

#[test]
fn a_nearly_full_disk_is_reported() {
    let mut site = replicas(1);
    let name = site.world.etcd.members[0].name.clone();
    let (bytes, free) = (20 << 30, 1 << 20);
    let disk = DiskSpace { bytes, free };
    site.world.disk_space.insert(name, disk);
    assert_eq!(kinds(&site), ["etcd-disk-nearly-full"]);
}

#[test]
fn stopped_machines_are_started() {
    for count in [1, 2, 3] {
        let mut site = replicas(count);
        for machine in site.world.cloud.machines.values_mut() {
            machine.boots = None;
        }
        site.world.tick();
        let status = site.status();
        assert_eq!(kinds(&site), vec!["machine-stopped"; count]);
        assert_eq!(status.quorum, None);
        site.does(&Command::Repair);
        has_replicas(&site, count).unwrap();
        assert_eq!(kinds(&site), [""; 0]);
        never_violated(&site).unwrap();
    }
}

/// One of three running isn't a quorum either.
#[test]
fn stopped_machines_are_started_without_quorum() {
    let mut site = replicas(3);
    for machine in site.world.cloud.machines.values_mut().take(2) {
        machine.boots = None;
    }
    site.world.tick();
    site.does(&Command::Repair);
    has_replicas(&site, 3).unwrap();
    never_violated(&site).unwrap();
}

#[test]
fn a_deleted_address_is_reserved_again() {
    for count in [1, 3] {
        let mut site = replicas(count);
        let before = site.world.cloud.address.clone();
        site.world.lose_address();
        assert_eq!(kinds(&site), ["endpoint-address-missing"]);
        site.does(&Command::Repair);
        has_replicas(&site, count).unwrap();
        assert_eq!(site.world.cloud.address, before);
        assert_eq!(kinds(&site), [""; 0]);
    }
}

/// Other clients have the old address, so a new one needs the operator's consent.
#[test]
fn an_unavailable_address_isnt_replaced_without_consent() {
    let mut site = replicas_with(&[("MULTIZONE", "true")], 3);
    site.world.lose_address();
    site.world.cloud.address_is_taken = true;
    let error = fails(&mut site, &Command::Repair);
    assert_eq!(error.kind, Kind::Refused, "{error}");
    let text = format!("{error} {:?}", error.hints);
    assert!(text.contains("hakube repair --yes"), "{text}");
    assert_eq!(site.world.cloud.address, None);
    let [condition] = &site.status().conditions[..] else {
        panic!("one condition");
    };
    assert_eq!(condition.kind, ConditionKind::EndpointAddressMissing);

    // With consent, all certificates are for the new one, and clients can connect.
    site.does(&Command::RepairWithNewAddress);
    let status = site.status();
    let address = ANOTHER.to_string();
    assert_eq!(status.endpoint.address.as_ref(), Some(&address));
    assert!(status.endpoint.ready);
    assert_eq!((status.conditions, status.drift), (Vec::new(), Vec::new()));
    never_violated(&site).unwrap();
}
