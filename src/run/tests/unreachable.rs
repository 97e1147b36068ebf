//! Hosts that nobody can reach: told, left alone, and gone on with when they are back.

use super::converged::{has_replicas, is_gone};
use super::scenarios::replicas_with;
use super::site::{Command, Fate, Site};
use crate::cluster::fixtures::ZONES;
use crate::error::Kind;

fn dark() -> Site {
    let variables = [("KUBERNETES_PROVIDER", "libvirt"), ("MULTIZONE", "true")];
    let mut site = replicas_with(&variables, 3);
    let why = "no route to host".to_owned();
    site.world
        .cloud
        .unreachable
        .insert(ZONES[1].to_owned(), why);
    site
}

#[test]
fn status_says_unknown_and_why() {
    let status = dark().status();
    assert_eq!(status.drift, [""; 0]);
    assert_eq!(status.unreachable[ZONES[1]], "no route to host");
    let shown = status.render();
    assert!(shown.contains("UNKNOWN: no route to host"), "{shown}");
    let mut hidden = status
        .replicas
        .iter()
        .filter(|replica| replica.zone == ZONES[1]);
    assert_eq!(hidden.next().unwrap().machine, "unknown");
}

#[test]
fn repair_leaves_it_alone() {
    let mut site = dark();
    site.does(&Command::Repair);
    site.world.cloud.unreachable.clear();
    has_replicas(&site, 3).unwrap();
}

/// Nothing is proved of what can't be asked.
#[test]
fn down_goes_as_far_as_it_can_and_is_finished_later() {
    let mut site = dark();
    let error = site.run(&Command::Down, Fate::default()).result.unwrap();
    let error = error.expect_err("nothing is left, as if that were known");
    assert_eq!(error.kind, Kind::LeftBehind);
    assert!(error.to_string().contains(ZONES[1]), "{error}");
    assert!(site.stored().is_some());
    assert!(site.world.cloud.address.is_some(), "it may be in use");
    site.world.cloud.unreachable.clear();
    site.does(&Command::Down);
    is_gone(&site).unwrap();
}
