//! Existing hosts.

use super::Default::Unset;
use super::{Group, Kind, Setting, group};

group! { OWN_HOSTS: "Hosts", "Existing machines, managed over SSH: see docs/hosts.md.";
    HOSTS = Setting::new("HAKUBE_HOSTS", Kind::Path, Unset("the cluster's current inventory"),
        "The inventory, a YAML file with each host's name, address, zone, role and SSH login. Setting it again later \
         replaces the cluster's inventory: new hosts are added, and hosts that are \
         missing are given up.")
        .flag("--hosts");
}
