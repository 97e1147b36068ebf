//! Placement of nodes.

use hakube_error::Kind;
use hakube_model::*;
use hakube_testing::fixtures::{self, ZONES};

fn zones(asked: Option<&str>) -> Zones {
    Zones {
        asked: asked.map(str::to_owned),
        up: ZONES.map(str::to_owned).to_vec(),
        free: None,
    }
}

fn sizes(intent: &Intent) -> Vec<(&str, u32)> {
    intent
        .nodes
        .iter()
        .map(|group| (group.zone.as_str(), group.size))
        .collect()
}

fn multizone(nodes: &str) -> Intent {
    fixtures::intent(&[("MULTIZONE", "true"), ("NUM_NODES", nodes)])
}

#[test]
fn nodes_are_spread_over_zones_and_the_first_gets_the_remainder() {
    let up = ZONES.map(str::to_owned);
    let intent = multizone("5").with_nodes_spread(&up);
    assert_eq!(
        sizes(&intent),
        [(ZONES[0], 2), (ZONES[1], 2), (ZONES[2], 1)]
    );
    let one_zone = fixtures::intent(&[("NUM_NODES", "5")]).with_nodes_spread(&up);
    assert_eq!(sizes(&one_zone), [(ZONES[0], 5)]);
    let few = multizone("1").with_nodes_spread(&up);
    assert_eq!(sizes(&few), [(ZONES[0], 1)]);
}

#[test]
fn all_groups_of_a_zone_but_the_last_are_full() {
    let intent = fixtures::intent(&[("NUM_NODES", "25"), ("MAX_INSTANCES_PER_MIG", "10")]);
    let groups: Vec<(String, u32)> = intent
        .node_groups()
        .into_iter()
        .map(|group| (group.name, group.size))
        .collect();
    let name = "kubernetes-minion-group-europe-west1-b";
    assert_eq!(
        groups,
        [
            (name.to_owned(), 10),
            (format!("{name}-1"), 10),
            (format!("{name}-2"), 5)
        ]
    );
    let fewer = scale_nodes(&intent, &zones(None), 20).unwrap();
    assert_eq!(fewer.node_groups(), intent.node_groups()[..2]);
}

#[test]
fn scaling_is_even_over_all_zones_or_in_the_requested_one() {
    let intent = multizone("2").with_nodes_spread(&ZONES.map(str::to_owned));
    assert_eq!(sizes(&intent), [(ZONES[0], 1), (ZONES[1], 1)]);
    let more = scale_nodes(&intent, &zones(None), 5).unwrap();
    assert_eq!(sizes(&more), [(ZONES[0], 2), (ZONES[1], 2), (ZONES[2], 1)]);
    let named = scale_nodes(&more, &zones(Some(ZONES[2])), 4).unwrap();
    assert_eq!(named.node_count(), 8);
    let none = scale_nodes(&named, &zones(None), 0).unwrap();
    assert_eq!(sizes(&none), []);
    let again = scale_nodes(&none, &zones(None), 3).unwrap();
    assert_eq!(again.nodes.len(), 3, "{:?}", again.nodes);
    let one_zone = fixtures::intent(&[("NUM_NODES", "1")]);
    let more = scale_nodes(&one_zone, &zones(None), 3).unwrap();
    assert_eq!(sizes(&more), [(ZONES[0], 3)], "without MULTIZONE");
}

/// After scaling, nodes are where `up` would have put them.
#[test]
fn scaling_ends_where_up_begins() {
    let up = ZONES.map(str::to_owned);
    for from in 0..7 {
        for to in 0..7 {
            let created = multizone(&from.to_string()).with_nodes_spread(&up);
            let scaled = scale_nodes(&created, &zones(None), to).unwrap();
            let fresh = multizone(&to.to_string()).with_nodes_spread(&up);
            assert_eq!(sizes(&scaled), sizes(&fresh), "{from} to {to}");
        }
    }
}

#[test]
fn a_zone_that_is_down_keeps_its_share() {
    let intent = multizone("3").with_nodes_spread(&ZONES.map(str::to_owned));
    let up = Zones {
        asked: None,
        up: ZONES[..2].iter().map(ToString::to_string).collect(),
        free: None,
    };
    let more = scale_nodes(&intent, &up, 6).unwrap();
    assert_eq!(sizes(&more), [(ZONES[0], 2), (ZONES[1], 2), (ZONES[2], 2)]);
}

/// A zone gets no more nodes than it has hosts, as long as others have free ones.
#[test]
fn hosts_are_filled_evenly_except_replicas() {
    let mut intent = multizone("0");
    let host = |name: &str, zone: &str, role| hakube_model::Host {
        zone: zone.parse().unwrap(),
        role,
        ..fixtures::host(name, "10.77.0.1")
    };
    let replica = intent.replicas[0].name.clone();
    intent.spec.hosts = Some(hakube_model::Hosts {
        hosts: vec![
            host(&replica, ZONES[0], HostRole::Any),
            host("a1", ZONES[0], HostRole::Node),
            host("b1", ZONES[1], HostRole::Node),
            host("b2", ZONES[1], HostRole::Any),
            host("b3", ZONES[1], HostRole::Any),
            host("c1", ZONES[2], HostRole::Replica),
        ],
        endpoint: None,
    });
    let scaled = |count| {
        let next = scale_nodes(&intent, &zones(None), count).unwrap();
        sizes(&next)
            .into_iter()
            .map(|(zone, size)| (zone.to_owned(), size))
            .collect::<Vec<_>>()
    };
    let (a, b) = (ZONES[0].to_owned(), ZONES[1].to_owned());
    assert_eq!(scaled(2), [(a.clone(), 1), (b.clone(), 1)]);
    assert_eq!(scaled(4), [(a, 1), (b, 3)]);
    let total: u32 = scaled(6).iter().map(|(_, size)| size).sum();
    assert_eq!(
        total, 6,
        "too many are still requested; the provider reports the shortage"
    );
}

#[test]
fn nodes_are_added_to_a_zone_once() {
    let intent = multizone("0");
    let added = add_nodes(&intent, &zones(Some(ZONES[1])), 2).unwrap();
    assert_eq!(sizes(&added), [(ZONES[1], 2)]);
    assert_eq!(
        add_nodes(&added, &zones(Some(ZONES[1])), 2).unwrap(),
        added,
        "the same again"
    );
    let error = add_nodes(&added, &zones(Some(ZONES[1])), 3).unwrap_err();
    assert_eq!(error.kind, Kind::Refused);
    assert!(error.hints[0].contains("hakube nodes scale 3 --zone"));
}

#[test]
fn invalid_zones_and_more_nodes_than_addresses_are_refused() {
    let intent = fixtures::intent(&[("NUM_NODES", "1"), ("CLUSTER_IP_RANGE", "10.64.0.0/22")]);
    let scale = |zone, count| scale_nodes(&intent, &zones(zone), count).unwrap_err();
    assert_eq!(scale(Some(ZONES[1]), 1).kind, Kind::Refused, "MULTIZONE");
    assert_eq!(scale(Some("us-east1-b"), 1).kind, Kind::BadInput);
    assert_eq!(scale(Some("europe-west1-x"), 1).kind, Kind::BadInput);
    let error = scale(None, 5);
    assert!(error.message.contains("for 4 nodes"), "{error}");
}
