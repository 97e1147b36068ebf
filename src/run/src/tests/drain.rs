//! Removal of nodes with pods.

use super::converged::has_replicas;
use super::scenarios::{follower, remove, replicas};
use super::site::{Command, Fate, Site};
use super::world::{Crash, Pod};
use hakube_error::Kind;
use hakube_kubernetes::PodOnNode;

fn pod(node: &str, managed: bool, kept: bool) -> Pod {
    Pod {
        on: PodOnNode {
            namespace: "shop".to_owned(),
            name: "web-1".to_owned(),
            node: node.to_owned(),
            managed,
            terminating: false,
        },
        kept,
    }
}

/// Two replicas, one with this pod.
fn two(managed: bool, kept: bool) -> (Site, String) {
    let mut site = replicas(2);
    let name = follower(&site);
    site.world.replica_nodes.insert(name.clone());
    site.world.pods = vec![pod(&name, managed, kept)];
    (site, name)
}

#[test]
fn pods_leave_a_replica_before_it_stops() {
    let (mut site, name) = two(true, false);
    let end = site.run(&remove(&name, false), Fate::default());
    end.result.unwrap().unwrap();
    assert_eq!(site.world.pods.len(), 0);
    let at = |start: &str| end.calls.iter().position(|call| call.starts_with(start));
    assert!(at("cordon") < at("evict"), "{:#?}", end.calls);
    for call in [
        "release the address",
        "etcd: remove a member",
        "delete machine",
    ] {
        let stops = at(call).unwrap_or_else(|| panic!("{:#?}", end.calls));
        assert!(at("evict").unwrap() < stops, "{:#?}", end.calls);
    }
    has_replicas(&site, 1).unwrap();
}

#[test]
fn pods_that_cant_be_drained_are_listed_and_nothing_changes() {
    for (managed, kept, why) in [
        (true, true, "budget needs 1"),
        (false, false, "no controller"),
    ] {
        let (mut site, name) = two(managed, kept);
        let stored = site.stored();
        let end = site.run(&remove(&name, false), Fate::default());
        let error = end.result.unwrap().unwrap_err();
        assert_eq!(error.kind, Kind::Refused, "{error}");
        let text = error.to_string();
        assert!(text.contains("shop/web-1") && text.contains(why), "{text}");
        assert!(error.hints.iter().any(|hint| hint.contains("--force")));
        assert_eq!(site.stored(), stored);
        assert_eq!((site.world.pods.len(), site.world.cordoned.len()), (1, 0));
        has_replicas(&site, 2).unwrap();
        // With --force, it proceeds.
        site.does(&remove(&name, true));
        has_replicas(&site, 1).unwrap();
    }
}

#[test]
fn a_drain_that_times_out_uncordons_the_node() {
    let (mut site, name) = two(true, false);
    let calls = site
        .fork()
        .run(&remove(&name, false), Fate::default())
        .calls;
    let cordon = calls.iter().position(|call| call.starts_with("cordon"));
    let crash = Some(Crash {
        call: cordon.unwrap(),
        performed: true,
    });
    let fate = Fate {
        crash,
        ..Fate::default()
    };
    assert!(site.run(&remove(&name, false), fate).result.is_none());
    site.world.pods[0].kept = true;
    let end = site.run(&Command::Reconcile, Fate::default());
    let text = end.result.unwrap().unwrap_err().to_string();
    assert!(
        text.contains("not drained within 300 s") && text.contains("shop/web-1"),
        "{text}"
    );
    assert_eq!(site.world.cordoned.len(), 0);
    // The replica still serves.
    assert!(!end.calls.iter().any(|call| call == "etcd: remove a member"));
    site.world.pods[0].kept = false;
    site.does(&Command::Reconcile);
    has_replicas(&site, 1).unwrap();
}
