//! Unreachable hosts: reported, left alone, and managed again once they are back.

use super::converged::{has_replicas, is_gone};
use super::scenarios::replicas_with;
use super::site::{Command, Fate, Site};
use hakube_error::Kind;
use hakube_testing::fixtures::ZONES;

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
fn status_shows_unknown_with_the_reason() {
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

/// Hidden resources can't be proven gone.
#[test]
fn down_deletes_what_it_can_and_is_finished_later() {
    let mut site = dark();
    let error = site.run(&Command::Down, Fate::default()).result.unwrap();
    let error = error.expect_err("expected leftovers");
    assert_eq!(error.kind, Kind::LeftBehind);
    assert!(error.to_string().contains(ZONES[1]), "{error}");
    assert!(site.stored().is_some());
    assert!(site.world.cloud.address.is_some(), "it may be in use");
    site.world.cloud.unreachable.clear();
    site.does(&Command::Down);
    is_gone(&site).unwrap();
}
