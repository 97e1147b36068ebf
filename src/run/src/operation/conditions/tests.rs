//! Each condition from observed values.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::conditions;
use crate::Stored;
use hakube_model::{
    Alarm, AlarmView, ApiView, ConditionKind, DatabaseSize, DiskSpace, EtcdView, Intent,
    MemberRole, MemberView, NodeView, Observed, Skew,
};
use hakube_output::ConditionStatus;
use hakube_provider::{Address, Inventory, Machine, MachineState, NodeGroup};
use hakube_testing::fixtures;
use std::collections::BTreeMap;
use std::net::IpAddr;

const MASTER: &str = "kubernetes-master";
const ABC: &str = "kubernetes-master-abc";
const ENDPOINT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 7));

/// Three healthy replicas.
fn healthy() -> (Intent, Observed) {
    let intent = fixtures::replicas(&["", "abc", "def"]);
    let mut observed = Observed {
        inventory: Inventory {
            address: Some(Address {
                name: intent.spec.address(),
                address: ENDPOINT,
            }),
            ..Inventory::default()
        },
        endpoint_ready: true,
        nodes: Some(Vec::new()),
        ..Observed::default()
    };
    let mut members = Vec::new();
    for (id, replica) in (1..).zip(&intent.replicas) {
        observed.inventory.machines.push(Machine {
            name: replica.name.clone(),
            zone: replica.zone.clone(),
            state: MachineState::Running,
            internal_address: Some(IpAddr::from([10, 0, 0, id])),
            external_address: None,
            alias_addresses: Vec::new(),
            labels: BTreeMap::new(),
        });
        members.push(MemberView {
            id: u64::from(id),
            name: replica.name.clone(),
            role: MemberRole::Voter,
            started: true,
            healthy: true,
            peer_urls: Vec::new(),
            version: intent.spec.versions.etcd.as_ref().map(ToString::to_string),
            database: Some(DatabaseSize::default()),
        });
        let view = ApiView {
            ready: true,
            stand_in: Some(false),
            version: Some(format!("v{}", intent.spec.versions.kubernetes)),
        };
        observed.apis.insert(replica.name.clone(), view);
        let endpoints = &mut observed.certificates.endpoints;
        endpoints.insert(replica.name.clone(), ENDPOINT);
    }
    observed.etcd = EtcdView::Known(members);
    (intent, observed)
}

fn reported(intent: &Intent, observed: &Observed) -> Vec<ConditionStatus> {
    let stored = Stored {
        intent: intent.clone(),
        unfinished: None,
    };
    conditions(&stored, observed, false)
}

/// The only condition after a change to the healthy cluster.
fn after(happens: impl FnOnce(&mut Observed)) -> ConditionStatus {
    let (intent, mut observed) = healthy();
    happens(&mut observed);
    let mut reported = reported(&intent, &observed);
    assert_eq!(reported.len(), 1, "{reported:#?}");
    reported.remove(0)
}

fn members(observed: &mut Observed) -> &mut Vec<MemberView> {
    match &mut observed.etcd {
        EtcdView::Known(members) => members,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn assert_is(condition: &ConditionStatus, kind: ConditionKind, about: &str, words: &[&str]) {
    assert_eq!(
        (condition.kind, condition.about.as_str()),
        (kind, about),
        "{condition:?}"
    );
    let text = format!("{}\n{}", condition.message, condition.fix.join("\n"));
    for word in words {
        assert!(text.contains(word), "{word:?} isn't in {text}");
    }
}

#[test]
fn a_healthy_cluster_has_no_conditions() {
    let (intent, observed) = healthy();
    assert_eq!(reported(&intent, &observed), []);
}

#[test]
fn a_full_database_is_reported_with_its_fix() {
    let raised = after(|observed| {
        observed.alarms.push(AlarmView {
            replica: MASTER.to_owned(),
            alarm: Alarm::NoSpace,
        });
    });
    let kind = ConditionKind::EtcdAlarmNospace;
    assert_is(
        &raised,
        kind,
        MASTER,
        &["quota", "refused", "hakube repair"],
    );

    let database = |in_use| DatabaseSize {
        bytes: 900 << 20,
        in_use,
        quota: Some(1 << 30),
    };
    let kind = ConditionKind::EtcdQuotaNearlyFull;
    let fragmented = after(|observed| members(observed)[1].database = Some(database(1 << 20)));
    let words = ["900.0 MiB of 1.0 GiB", "1.0 MiB of it in use"];
    assert_is(&fragmented, kind, ABC, &words);
    assert_eq!(fragmented.fix, ["hakube repair"]);
    let filled = after(|observed| members(observed)[1].database = Some(database(899 << 20)));
    let words = [
        "ETCD_QUOTA_BACKEND_BYTES",
        "hakube replace kubernetes-master-abc",
    ];
    assert_is(&filled, kind, ABC, &words);
}

#[test]
fn a_nearly_full_disk_is_reported_with_its_free_space() {
    let condition = after(|observed| {
        let (bytes, free) = (20 << 30, 100 << 20);
        let disk = DiskSpace { bytes, free };
        observed.disks.insert(ABC.to_owned(), disk);
    });
    let words = ["100.0 MiB of 20.0 GiB free", "hakube replace"];
    assert_is(&condition, ConditionKind::EtcdDiskNearlyFull, ABC, &words);
}

#[test]
fn stopped_missing_and_unreachable_machines_are_distinguished() {
    let off = after(|observed| observed.inventory.machines[1].state = MachineState::Stopped);
    assert_is(&off, ConditionKind::MachineStopped, ABC, &["hakube repair"]);
    let gone = after(|observed| drop(observed.inventory.machines.remove(1)));
    assert_is(
        &gone,
        ConditionKind::MachineMissing,
        ABC,
        &["hakube repair"],
    );
    let silent = after(|observed| {
        observed.inventory.machines.remove(1);
        let hosts = &mut observed.inventory.unreachable_machines;
        hosts.insert(ABC.to_owned(), "no route to host".to_owned());
    });
    let words = [
        "no route to host",
        "can't switch it on",
        "switch kubernetes-master-abc on",
    ];
    assert_is(&silent, ConditionKind::MachineUnreachable, ABC, &words);
}

#[test]
fn a_lost_or_changed_address_is_reported() {
    let lost = after(|observed| observed.inventory.address = None);
    let kind = ConditionKind::EndpointAddressMissing;
    assert_is(&lost, kind, "endpoint", &["203.0.113.7", "hakube repair"]);
    let changed = after(|observed| {
        let address = observed.inventory.address.as_mut().unwrap();
        address.address = "203.0.113.8".parse().unwrap();
    });
    let words = ["203.0.113.8", "for 203.0.113.7", "hakube repair"];
    let kind = ConditionKind::EndpointAddressChanged;
    assert_is(&changed, kind, "endpoint", &words);
}

#[test]
fn different_versions_are_reported() {
    let api = after(|observed| {
        observed.apis.get_mut(ABC).unwrap().version = Some("v1.99.7".to_owned());
    });
    let kind = ConditionKind::KubernetesVersionDiffers;
    assert_is(&api, kind, ABC, &["v1.99.7", "instead of"]);
    let etcd = after(|observed| members(observed)[1].version = Some("3.4.1".to_owned()));
    let kind = ConditionKind::EtcdVersionDiffers;
    assert_is(&etcd, kind, ABC, &["3.4.1", "instead of"]);
    let kubelet = after(|observed| {
        observed.nodes = Some(vec![NodeView {
            name: "elsewhere".to_owned(),
            kubelet: Some("v1.20.0".to_owned()),
            ..NodeView::default()
        }]);
    });
    let kind = ConditionKind::KubeletVersionDiffers;
    assert_is(&kubelet, kind, "elsewhere", &["v1.20.0"]);
}

/// Build metadata after a plus doesn't make another version.
#[test]
fn build_metadata_is_ignored() {
    let (intent, mut observed) = healthy();
    let version = format!("v{}+vendor", intent.spec.versions.kubernetes);
    observed.apis.get_mut(ABC).unwrap().version = Some(version);
    assert_eq!(reported(&intent, &observed), []);
}

#[test]
fn surplus_members_and_nodes_are_reported() {
    let member = |name: &str| MemberView {
        id: 0xbeef,
        ..fixtures::member(name, MemberRole::Voter)
    };
    let surplus = after(|observed| members(observed).push(member("kubernetes-master-xyz")));
    let kind = ConditionKind::EtcdMemberSurplus;
    let words = ["beef", "hakube repair"];
    assert_is(&surplus, kind, "kubernetes-master-xyz", &words);
    let unknown = after(|observed| members(observed).push(member("other")));
    let kind = ConditionKind::EtcdMemberUnknown;
    assert_is(&unknown, kind, "other", &["etcdctl member remove beef"]);

    let node = after(|observed| {
        observed.nodes = Some(vec![NodeView {
            name: "kubernetes-minion-group-x1".to_owned(),
            ..NodeView::default()
        }]);
    });
    let kind = ConditionKind::NodeWithoutMachine;
    assert_is(
        &node,
        kind,
        "kubernetes-minion-group-x1",
        &["hakube repair"],
    );
    let machine = after(|observed| {
        observed.inventory.node_groups.push(NodeGroup {
            name: "kubernetes-minion-group".to_owned(),
            zone: fixtures::ZONES[0].to_owned(),
            size: 1,
            template: "template".to_owned(),
            machines: vec!["kubernetes-minion-group-x1".to_owned()],
            origins: [].into(),
        });
    });
    let kind = ConditionKind::MachineWithoutNode;
    assert_is(&machine, kind, "kubernetes-minion-group-x1", &["kubelet"]);
}

#[test]
fn clock_skew_is_reported() {
    let condition = after(|observed| {
        observed.clocks.insert(ABC.to_owned(), Skew(-400));
    });
    assert_is(
        &condition,
        ConditionKind::ClockSkewed,
        ABC,
        &["400 s behind", "NTP"],
    );
}
