//! Hosts that are there already.

use super::Default::Unset;
use super::{Group, Kind, Setting, group};

group! { OWN_HOSTS: "Hosts", "Machines that are there already, reached by ssh: docs/hosts.md.";
    HOSTS = Setting::new("HAKUBE_HOSTS", Kind::Path, Unset("those that the cluster was made with"),
        "The inventory, a YAML file: each host's name, address, zone and role, and how hakube logs in there. Named again \
         later, it takes the place of the one that the cluster was made with: hosts are added, and one that is left out \
         is given up.")
        .flag("--hosts");
}
