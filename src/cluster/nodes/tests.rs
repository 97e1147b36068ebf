//! Where nodes go.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::cluster::fixtures::{self, ZONES};
use crate::error::Kind;

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
fn nodes_of_a_cluster_in_several_zones_spread_and_the_first_zone_gets_what_is_over() {
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
fn a_zones_groups_are_full_but_the_last() {
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
fn scaling_is_even_over_the_zones_that_have_nodes_or_of_the_one_that_is_named() {
    let intent = multizone("2").with_nodes_spread(&ZONES.map(str::to_owned));
    let more = scale_nodes(&intent, &zones(None), 5).unwrap();
    assert_eq!(sizes(&more), [(ZONES[0], 3), (ZONES[1], 2)]);
    let named = scale_nodes(&more, &zones(Some(ZONES[2])), 4).unwrap();
    assert_eq!(named.node_count(), 9);
    let none = scale_nodes(&named, &zones(None), 0).unwrap();
    assert_eq!(sizes(&none), []);
    let again = scale_nodes(&none, &zones(None), 3).unwrap();
    assert_eq!(again.nodes.len(), 3, "{:?}", again.nodes);
}

#[test]
fn nodes_are_added_to_a_zone_once() {
    let intent = multizone("0");
    let added = add_nodes(&intent, &zones(Some(ZONES[1])), 2).unwrap();
    assert_eq!(sizes(&added), [(ZONES[1], 2)]);
    assert_eq!(
        add_nodes(&added, &zones(Some(ZONES[1])), 2).unwrap(),
        added,
        "the same once more"
    );
    let error = add_nodes(&added, &zones(Some(ZONES[1])), 3).unwrap_err();
    assert_eq!(error.kind, Kind::Refused);
    assert!(error.hints[0].contains("hakube nodes scale 3 --zone"));
}

#[test]
fn a_zone_that_wont_do_is_refused_and_so_are_more_nodes_than_there_are_addresses_for() {
    let intent = fixtures::intent(&[("NUM_NODES", "1"), ("CLUSTER_IP_RANGE", "10.64.0.0/22")]);
    let scale = |zone, count| scale_nodes(&intent, &zones(zone), count).unwrap_err();
    assert_eq!(scale(Some(ZONES[1]), 1).kind, Kind::Refused, "MULTIZONE");
    assert_eq!(scale(Some("us-east1-b"), 1).kind, Kind::BadInput);
    assert_eq!(scale(Some("europe-west1-x"), 1).kind, Kind::BadInput);
    let error = scale(None, 5);
    assert!(error.message.contains("the pods of 4 nodes"), "{error}");
}
