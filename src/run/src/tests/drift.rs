//! Drift: `status` reports changes made outside hakube, and `repair` fixes them.

use super::converged::has_replicas;
use super::scenarios::{follower, replicas};
use super::site::{Command, Fate, Site};
use std::time::Duration;

/// A change to a cluster of this many replicas, and what `status` reports.
struct Drift {
    what: &'static str,
    replicas: usize,
    happen: fn(&mut Site) -> String,
}

const DRIFTS: [Drift; 11] = [
    Drift {
        what: "a machine deleted by hand",
        replicas: 3,
        happen: |site| {
            let name = follower(site);
            site.world.lose_machine(&name);
            format!("create machine {name} in ")
        },
    },
    Drift {
        what: "a machine stopped by hand",
        replicas: 3,
        happen: |site| {
            let name = follower(site);
            site.world.cloud.machines.get_mut(&name).unwrap().boots = None;
            format!("start machine {name} in ")
        },
    },
    Drift {
        what: "a backend missing from its group",
        replicas: 3,
        happen: |site| {
            let name = follower(site);
            for (_, machines) in site.world.cloud.groups.values_mut() {
                machines.remove(&name);
            }
            "behind the load balancer".to_owned()
        },
    },
    Drift {
        what: "a group missing from the balancer",
        replicas: 3,
        happen: |site| {
            let (_, groups) = site.world.cloud.service.as_mut().unwrap();
            groups.pop_last().unwrap();
            "behind the load balancer".to_owned()
        },
    },
    Drift {
        what: "an unassigned address",
        replicas: 1,
        happen: |site| {
            site.world.cloud.release_endpoint();
            "move the endpoint's address to kubernetes-master".to_owned()
        },
    },
    Drift {
        what: "the address on a machine and not on the balancer",
        replicas: 2,
        happen: |site| {
            site.world.cloud.release_endpoint();
            let name = follower(site);
            let machine = site.world.cloud.machines.get_mut(&name).unwrap();
            machine.holds_endpoint = true;
            "move the endpoint's address to the load balancer".to_owned()
        },
    },
    Drift {
        what: "a member without a machine",
        replicas: 3,
        happen: |site| {
            let url = "https://10.40.0.99:2380";
            let etcd = &mut site.world.etcd;
            etcd.add("kubernetes-master-zzz", url, false);
            "remove kubernetes-master-zzz from etcd".to_owned()
        },
    },
    Drift {
        what: "a firewall deleted by hand",
        replicas: 1,
        happen: |site| {
            site.world.cloud.firewalls.remove("kubernetes-master-https");
            "allow clients to reach kubernetes-master on ".to_owned()
        },
    },
    Drift {
        what: "a firewall with other sources",
        replicas: 1,
        happen: |site| {
            let firewalls = &mut site.world.cloud.firewalls;
            let firewall = firewalls.get_mut("kubernetes-master-https").unwrap();
            firewall.source_ranges = ["10.0.0.0/8".to_owned()].into();
            "firewall kubernetes-master-https was changed".to_owned()
        },
    },
    Drift {
        what: "a firewall with other ports",
        replicas: 3,
        happen: |site| {
            let firewalls = &mut site.world.cloud.firewalls;
            let firewall = firewalls.get_mut("kubernetes-master-etcd").unwrap();
            firewall.allowed = ["tcp:22".to_owned()].into();
            "firewall kubernetes-master-etcd was changed".to_owned()
        },
    },
    Drift {
        what: "a firewall for other machines",
        replicas: 1,
        happen: |site| {
            let firewalls = &mut site.world.cloud.firewalls;
            let firewall = firewalls.get_mut("kubernetes-master-https").unwrap();
            firewall.target_tags = ["other".to_owned()].into();
            "firewall kubernetes-master-https was changed".to_owned()
        },
    },
];

#[test]
fn status_reports_each_drift_and_repair_fixes_it() {
    for Drift {
        what,
        replicas: count,
        happen,
    } in DRIFTS
    {
        let mut site = replicas(count);
        assert_eq!(site.status().drift, [""; 0], "before {what}");
        let says = happen(&mut site);
        site.world.now += Duration::from_secs(60);
        site.world.tick();
        let drift = site.status().drift;
        assert!(
            drift.iter().any(|line| line.contains(&says)),
            "{what}: {says} isn't in {drift:?}"
        );
        site.does(&Command::Repair);
        has_replicas(&site, count).unwrap_or_else(|why| panic!("{what}: {why}"));
        assert_eq!(site.status().drift, [""; 0], "after {what}");
    }
}

/// Someone else may need it.
#[test]
fn an_unknown_member_is_reported_and_never_removed() {
    let mut site = replicas(3);
    let id = site
        .world
        .etcd
        .add("backup", "https://192.0.2.1:2380", false);
    let drift = site.status().drift.join("\n");
    assert!(drift.contains("etcd member backup"), "{drift}");
    let before = site.world.etcd.members.len();

    site.does(&Command::Repair);
    let follower = follower(&site);
    for command in [
        super::scenarios::replicate(None, 1),
        super::scenarios::remove(&follower, false),
        Command::Replace(follower.clone()),
    ] {
        let mut site = site.fork();
        let error = site
            .run(&command, Fate::default())
            .result
            .unwrap()
            .expect_err("the member was overlooked");
        let text = format!("{error} {:?}", error.hints);
        assert!(
            text.contains("backup") && text.contains(&format!("member remove {id:x}")),
            "{command:?}: {text}"
        );
        assert_eq!(site.world.etcd.members.len(), before, "{command:?}");
    }

    // Steps that change no member still run.
    site.world.cloud.firewalls.clear();
    site.does(&Command::Repair);
    assert_eq!(site.world.cloud.firewalls.len(), 3);
    assert!(site.world.etcd.member(id).is_some());
    site.does(&Command::Down);
}
