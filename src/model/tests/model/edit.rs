//! Adding and removing replicas, and all refusals.

use hakube_error::Kind;
use hakube_error::Result;
use hakube_model::*;
use hakube_model::{MemberView, Observed};
use hakube_testing::fixtures::{self, ZONES, replicas};

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
    assert_eq!(before, intent.replicas, "existing replicas stay");
    Ok(new
        .iter()
        .map(|replica| replica.zone.replace("europe-west1-", ""))
        .collect())
}

#[test]
fn without_a_requested_zone_replicas_go_where_the_fewest_are() {
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

/// The choice mustn't depend on the order in which the provider lists zones.
#[test]
fn of_equally_full_zones_the_first_by_name_is_chosen() {
    let mut reversed = zones(None);
    reversed.up.reverse();
    let next = add_replicas(&replicas(&[""]), &reversed, 1, suffixes()).unwrap();
    assert_eq!(next.replicas[1].zone, ZONES[1]);
}

/// The first zone gets a second replica.
#[test]
fn a_region_with_two_zones_can_have_three_replicas() {
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
fn a_requested_zone_gets_all_replicas() {
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
fn an_invalid_zone_is_refused_by_name() {
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
            "was created without MULTIZONE=true",
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
fn a_taken_name_isnt_reused() {
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

/// Members of these replicas. The first leads; those in `down` don't respond.
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
            version: None,
            database: None,
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
fn the_requested_replica_is_chosen_or_with_force_a_dead_one_or_the_newest() {
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
fn every_refusal_explains_the_quorum() {
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
            "replica kubernetes-master-def doesn't respond",
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
            request("missing", "", false),
            Kind::BadInput,
            "cluster kubernetes has no replica missing",
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
fn with_an_unreachable_etcd_no_replica_is_removed() {
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

/// It has no vote, so quorum doesn't matter: one that never joined, and a learner.
#[test]
fn a_replica_without_a_vote_can_always_be_removed() {
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
fn a_teardown_only_changes_the_phase() {
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
fn a_replica_is_replaced_in_its_zone_under_another_name() {
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
fn a_dead_one_of_two_isnt_replaced_without_quorum() {
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
fn zones_that_decide_quorum_are_known() {
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
fn without_a_free_host_other_zones_with_some_are_listed() {
    let mut spread = fixtures::replicas(&[""]);
    let hosts = ["kubernetes-master", "h2"].map(|name| fixtures::host(name, "10.77.0.11"));
    spread.spec.hosts = Some(hakube_model::Hosts {
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
            .contains(&format!("zone {} has no free host", ZONES[2])),
        "{error}"
    );
    assert_eq!(
        error.causes,
        [format!("zones with free hosts: {} (h2, h3)", ZONES[1])]
    );
    let error = in_zone(ZONES[2], &[]).unwrap_err();
    assert!(
        error.hints[0].contains("add hosts to the inventory"),
        "{error:?}"
    );
}
