//! Which replicas come and go, and every reason why not.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::cluster::fixtures::{self, ZONES, replicas};
use crate::cluster::{MemberView, Observed};
use crate::error::Kind;

const MASTER: &str = "kubernetes-master";
const ABC: &str = "kubernetes-master-abc";
const DEF: &str = "kubernetes-master-def";

fn zones(asked: Option<&str>) -> Zones {
    Zones {
        asked: asked.map(str::to_owned),
        up: ZONES.map(str::to_owned).to_vec(),
        free: None,
    }
}

/// Suffixes a00, a01, …
fn suffixes() -> impl FnMut() -> String {
    let mut next = 0..;
    move || format!("a{:02}", next.next().unwrap_or(99))
}

fn added(intent: &Intent, asked: Option<&str>, count: usize) -> Result<Vec<String>> {
    let next = add_replicas(intent, &zones(asked), count, suffixes())?;
    let (before, new) = next.replicas.split_at(intent.replicas.len());
    assert_eq!(before, intent.replicas, "those that are there stay");
    Ok(new
        .iter()
        .map(|replica| replica.zone.replace("europe-west1-", ""))
        .collect())
}

#[test]
fn without_a_zone_named_replicas_go_where_the_fewest_are() {
    let two = replicas(&["", "abc"]);
    let mut in_c_and_d = replicas(&["", "abc", "def"]);
    in_c_and_d.replicas.remove(0);
    let table = [
        (replicas(&[""]), 1, vec!["c"]),
        (replicas(&[""]), 2, vec!["c", "d"]),
        (replicas(&[""]), 4, vec!["c", "d", "b", "c"]),
        (two, 1, vec!["d"]),
        (in_c_and_d, 1, vec!["b"]),
    ];
    for (intent, count, expected) in table {
        assert_eq!(
            added(&intent, None, count).unwrap(),
            expected,
            "{:?} + {count}",
            intent.replicas
        );
    }
}

/// What the provider names last may be first by name: the choice mustn't depend on its order.
#[test]
fn of_zones_with_as_few_the_first_by_name_is_taken() {
    let mut reversed = zones(None);
    reversed.up.reverse();
    let next = add_replicas(&replicas(&[""]), &reversed, 1, suffixes()).unwrap();
    assert_eq!(next.replicas[1].zone, ZONES[1]);
}

/// The first zone takes a second one before there is none.
#[test]
fn a_region_with_two_zones_has_three_replicas_all_the_same() {
    let up = Zones {
        asked: None,
        up: ZONES[..2].iter().map(ToString::to_string).collect(),
        free: None,
    };
    let next = add_replicas(&replicas(&[""]), &up, 2, suffixes()).unwrap();
    let zones: Vec<&str> = next.replicas.iter().map(|replica| &*replica.zone).collect();
    assert_eq!(zones, [ZONES[0], ZONES[1], ZONES[0]]);
}

#[test]
fn a_zone_that_is_down_gets_none() {
    let up = Zones {
        asked: None,
        up: vec![ZONES[0].to_owned(), ZONES[2].to_owned()],
        free: None,
    };
    let next = add_replicas(&replicas(&[""]), &up, 1, suffixes()).unwrap();
    assert_eq!(next.replicas[1].zone, ZONES[2]);
}

#[test]
fn a_zone_that_is_named_gets_all_of_them() {
    assert_eq!(
        added(&replicas(&[""]), Some(ZONES[2]), 2).unwrap(),
        ["d", "d"]
    );
}

#[test]
fn without_multizone_all_replicas_are_in_the_first_ones_zone() {
    let intent = fixtures::intent(&[]);
    assert_eq!(added(&intent, None, 2).unwrap(), ["b", "b"]);
    assert_eq!(added(&intent, Some(ZONES[0]), 1).unwrap(), ["b"]);
}

#[test]
fn a_zone_that_will_not_do_is_refused_by_name() {
    let multizone = replicas(&[""]);
    let table = [
        (
            &multizone,
            "us-central1-a",
            Kind::BadInput,
            "is outside region europe-west1",
        ),
        (
            &multizone,
            "europe-west1-z",
            Kind::BadInput,
            "there is no zone europe-west1-z",
        ),
        (
            &multizone,
            "europe-west10-b",
            Kind::BadInput,
            "is outside region europe-west1,",
        ),
        (
            &multizone,
            "europe-west1",
            Kind::BadInput,
            "is outside region europe-west1",
        ),
        (
            &fixtures::intent(&[]),
            ZONES[1],
            Kind::Refused,
            "was made without MULTIZONE=true",
        ),
    ];
    for (intent, zone, kind, says) in table {
        let error = added(intent, Some(zone), 1).unwrap_err();
        assert_eq!(error.kind, kind, "{zone}: {error}");
        assert!(error.message.contains(says), "{zone}: {error}");
        assert!(
            error.hints.iter().any(|hint| hint.contains(ZONES[0])),
            "{zone}: {:?}",
            error.hints
        );
    }
}

#[test]
fn a_name_that_is_taken_is_not_given_again() {
    let mut suffixes = ["abc", "abc", "xyz", "xyz", "def"]
        .into_iter()
        .map(str::to_owned);
    let next = add_replicas(&replicas(&["", "abc"]), &zones(None), 2, || {
        suffixes.next().unwrap()
    })
    .unwrap();
    let names: Vec<&str> = next
        .replicas
        .iter()
        .map(|replica| replica.name.as_str())
        .collect();
    assert_eq!(names, [MASTER, ABC, "kubernetes-master-xyz", DEF]);
}

/// Members of these replicas, the first leading; those in `down` don't answer.
fn observed(intent: &Intent, down: &[&str]) -> Observed {
    let members = intent
        .replicas
        .iter()
        .zip(1..)
        .map(|(replica, id)| MemberView {
            id,
            name: replica.name.clone(),
            role: if id == 1 {
                MemberRole::Leader
            } else {
                MemberRole::Voter
            },
            started: true,
            healthy: !down.contains(&replica.name.as_str()),
            peer_urls: Vec::new(),
        });
    Observed {
        etcd: EtcdView::Known(members.collect()),
        ..Observed::default()
    }
}

fn request(name: &str, zone: &str, force: bool) -> RemovalRequest {
    let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    RemovalRequest {
        name: given(name),
        zone: given(zone),
        force,
    }
}

#[test]
fn the_replica_asked_for_is_chosen_else_the_dead_one_that_is_meant_else_the_newest() {
    let [b, c, d] = ZONES;
    let table = [
        (request(ABC, "", false), &[][..], ABC),
        (request(ABC, c, false), &[], ABC),
        (request("", "", false), &[], DEF),
        (request("", b, false), &[], MASTER),
        (request("", c, false), &[], ABC),
        (request("", d, true), &[], DEF),
        (request("", "", true), &[MASTER], MASTER),
        (request("", "", true), &[ABC], ABC),
        (request(MASTER, "", true), &[MASTER], MASTER),
    ];
    let intent = replicas(&["", "abc", "def"]);
    for (request, down, expected) in table {
        let removal = choose_removal(&intent, &observed(&intent, down), &request).unwrap();
        assert_eq!(
            removal.replica.name, expected,
            "{request:?} with {down:?} down"
        );
        assert!(removal.intent.replica(expected).is_none());
        assert_eq!(removal.intent.replicas.len(), 2);
    }
}

#[test]
fn every_refusal_says_why_with_the_arithmetic() {
    let three = &["", "abc", "def"][..];
    let two = &["", "abc"][..];
    let table = [
        (
            &[""][..],
            &[][..],
            request("", "", true),
            Kind::Refused,
            "kubernetes-master is the last replica",
            "",
        ),
        (
            three,
            &[ABC],
            request(DEF, "", true),
            Kind::Refused,
            "without kubernetes-master-def etcd would lose its quorum",
            "now: 2 of 3 voters healthy, 2 needed; then: 1 of 2 voters healthy, 2 needed",
        ),
        (
            three,
            &[DEF],
            request(DEF, "", false),
            Kind::Refused,
            "replica kubernetes-master-def doesn't answer",
            "now: 2 of 3 voters healthy, 2 needed; without it: 2 of 2 voters healthy, 2 needed",
        ),
        (
            two,
            &[ABC],
            request(ABC, "", true),
            Kind::Refused,
            "etcd has no quorum, so it can't remove kubernetes-master-abc",
            "now: 1 of 2 voters healthy, 2 needed",
        ),
        (
            three,
            &[],
            request("nobody", "", false),
            Kind::BadInput,
            "cluster kubernetes has no replica nobody",
            "",
        ),
        (
            three,
            &[],
            request("", "europe-west1-z", false),
            Kind::BadInput,
            "no replica in zone europe-west1-z",
            "",
        ),
        (
            three,
            &[],
            request(ABC, ZONES[2], false),
            Kind::BadInput,
            "replica kubernetes-master-abc is in europe-west1-c, not in",
            "",
        ),
    ];
    for (suffixes, down, request, kind, says, why) in table {
        let intent = replicas(suffixes);
        let error = choose_removal(&intent, &observed(&intent, down), &request).unwrap_err();
        assert_eq!(error.kind, kind, "{request:?}: {error}");
        assert!(error.message.contains(says), "{request:?}: {error}");
        assert_eq!(
            error.causes.first().map_or("", String::as_str),
            why,
            "{request:?}"
        );
    }
}

#[test]
fn an_etcd_that_cannot_be_asked_lets_nobody_go() {
    let intent = replicas(&["", "abc", "def"]);
    let observed = Observed {
        etcd: EtcdView::Unknown {
            why: "connection refused".to_owned(),
        },
        ..Observed::default()
    };
    let error = choose_removal(&intent, &observed, &request(DEF, "", true)).unwrap_err();
    assert_eq!(
        (error.kind, error.causes),
        (Kind::Refused, vec!["connection refused".to_owned()])
    );
}

/// It has no vote, so quorum doesn't ask about it: neither of one that never joined, nor of a learner.
#[test]
fn a_replica_without_a_vote_goes_without_arithmetic() {
    let intent = replicas(&["", "abc", "def"]);
    let mut without = observed(&intent, &[ABC]);
    let EtcdView::Known(members) = &mut without.etcd else {
        panic!("{without:?}")
    };
    members.retain(|member| member.name != DEF);
    let mut learner = observed(&intent, &[DEF]);
    let EtcdView::Known(members) = &mut learner.etcd else {
        panic!("{learner:?}")
    };
    members[2].role = MemberRole::Learner;
    for observed in [without, learner] {
        let removal = choose_removal(&intent, &observed, &request(DEF, "", false)).unwrap();
        assert_eq!(removal.replica.name, DEF);
    }
}

#[test]
fn a_teardown_changes_nothing_but_whether_the_cluster_should_be() {
    let intent = replicas(&["", "abc"]);
    let absent = begin_teardown(&intent);
    assert_eq!(absent.phase, Phase::Absent);
    assert_eq!(
        Intent {
            phase: Phase::Present,
            ..absent
        },
        intent
    );
}

#[test]
fn a_replica_is_replaced_in_its_zone_by_one_of_another_name() {
    let three = replicas(&["", "abc", "def"]);
    let next = replace_replica(
        &three,
        &observed(&three, &[]),
        "kubernetes-master",
        None,
        suffixes(),
    )
    .unwrap();
    let names: Vec<&str> = next.replicas.iter().map(|r| r.name.as_str()).collect();
    assert!(
        !names.contains(&"kubernetes-master") && names.len() == 3,
        "{names:?}"
    );
    assert_eq!(next.replicas.last().unwrap().zone, three.replicas[0].zone);
}

#[test]
fn a_dead_one_of_two_is_not_replaced_because_nothing_can_be_committed() {
    let two = replicas(&["", "abc"]);
    let seen = observed(&two, &["kubernetes-master-abc"]);
    let error =
        replace_replica(&two, &seen, "kubernetes-master-abc", None, suffixes()).unwrap_err();
    assert_eq!(error.kind, Kind::Refused);
    assert!(
        error
            .to_string()
            .contains("1 of 2 voters healthy, 2 needed"),
        "{error}"
    );
}

#[test]
fn the_zones_that_quorum_hangs_on_are_known() {
    let decisive = |in_zones: &[usize]| -> Vec<(String, usize)> {
        let suffixes: Vec<String> = (0..in_zones.iter().sum())
            .map(|n| format!("a{n:02}"))
            .collect();
        let mut intent = replicas(&suffixes.iter().map(String::as_str).collect::<Vec<_>>());
        let zones = ZONES.iter().zip(in_zones);
        let zones = zones.flat_map(|(zone, count)| std::iter::repeat_n(*zone, *count));
        for (replica, zone) in intent.replicas.iter_mut().zip(zones) {
            zone.clone_into(&mut replica.zone);
        }
        let zones = intent.decisive_zones().into_iter();
        zones
            .map(|(zone, count)| (zone.replace("europe-west1-", ""), count))
            .collect()
    };
    let none: [(String, usize); 0] = [];
    for spread in [&[1][..], &[3], &[1, 1], &[1, 1, 1], &[2, 2, 1]] {
        assert_eq!(decisive(spread), none, "{spread:?}");
    }
    assert_eq!(decisive(&[1, 2]), [("c".to_owned(), 2)]);
    assert_eq!(
        decisive(&[2, 2]),
        [("b".to_owned(), 2), ("c".to_owned(), 2)]
    );
    assert_eq!(decisive(&[2, 1, 1]), [("b".to_owned(), 2)]);
}

#[test]
fn where_no_host_is_free_the_zones_that_have_some_are_named() {
    let mut spread = fixtures::replicas(&[""]);
    let hosts = ["kubernetes-master", "h2"].map(|name| fixtures::host(name, "10.77.0.11"));
    spread.spec.hosts = Some(crate::settings::Hosts {
        hosts: hosts.into(),
        endpoint: None,
    });
    let in_zone = |zone: &str, free: &[(&str, &[&str])]| {
        let free = free.iter().map(|(zone, names)| {
            let names = names.iter().map(|&name| name.to_owned());
            ((*zone).to_owned(), names.collect())
        });
        let zones = Zones {
            asked: Some(zone.to_owned()),
            up: ZONES.map(str::to_owned).into(),
            free: Some(free.collect()),
        };
        add_replicas(&spread, &zones, 1, || panic!("hosts have names"))
    };
    let free: &[(&str, &[&str])] = &[
        (ZONES[1], &["h2", "h3"]),
        (ZONES[0], &["kubernetes-master"]),
    ];
    let next = in_zone(ZONES[1], free).unwrap();
    assert_eq!(next.replicas[1].name, "h2");
    let error = in_zone(ZONES[2], free).unwrap_err();
    assert!(
        error
            .message
            .contains(&format!("no host in {} is free", ZONES[2])),
        "{error}"
    );
    assert_eq!(
        error.causes,
        [format!("free hosts are in {} (h2, h3)", ZONES[1])]
    );
    let error = in_zone(ZONES[2], &[]).unwrap_err();
    assert!(
        error.hints[0].contains("add hosts to the inventory"),
        "{error:?}"
    );
}
