//! Addons of a cluster: repaired, and switched off.

use super::converged::has_replicas;
use super::site::{Command, Site};
use hakube_output::Status;

fn shown(status: &Status) -> Vec<(&str, &str)> {
    let addons = status.addons.iter();
    addons
        .map(|addon| (addon.name.as_str(), addon.state))
        .collect()
}

#[test]
fn manual_changes_are_repaired() {
    let mut site = Site::new(&[]);
    site.does(&Command::Up);
    site.world.addons.remove("flannel");
    site.world.addons.get_mut("coredns").unwrap().pop();
    let status = site.status();
    let expected = [
        ("coredns", "differs"),
        ("flannel", "missing"),
        ("identity", "ready"),
        ("metrics-server", "ready"),
        ("rbac", "ready"),
    ];
    assert_eq!(shown(&status), expected);
    assert_eq!(status.drift.len(), 2, "{:?}", status.drift);
    site.does(&Command::Repair);
    has_replicas(&site, 1).unwrap();
}

#[test]
fn up_switches_addons_of_an_existing_cluster() {
    let mut site = Site::new(&[]);
    site.does(&Command::Up);
    site.set("KUBE_ENABLE_METRICS_SERVER", "false");
    site.does(&Command::Up);
    assert_eq!(
        shown(&site.status()),
        [
            ("coredns", "ready"),
            ("flannel", "ready"),
            ("identity", "ready"),
            ("rbac", "ready")
        ]
    );
    has_replicas(&site, 1).unwrap();
}
