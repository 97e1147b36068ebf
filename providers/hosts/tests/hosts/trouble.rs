//! Failures: unreachable hosts, two clusters that want one host, power cuts.

use crate::stage::{difference, group, machine, sh, stage, state_of};
use hakube_hosts::HostsConfig;
use hakube_provider::{ErrorKind, MachineState, PreflightSpec, Provider, ResourceId, ResourceKind};
use hakube_ssh::Hop;
use std::sync::Arc;

#[test]
fn an_unreachable_host_hides_no_other() {
    let Some(stage) = stage("hosts-unreachable", &["h1", "h2", "h3"]) else {
        return;
    };
    stage.run(async |hosts| {
        for name in ["h1", "h2"] {
            hosts
                .ensure_machine(&machine("one", name, "rack-a"))
                .await
                .unwrap();
        }
    });
    stage.hosts[1].unplug().unwrap();
    stage.run(async |hosts| {
        let inventory = hosts.inspect("one").await.unwrap();
        let names: Vec<&str> = inventory
            .machines
            .iter()
            .map(|machine| &*machine.name)
            .collect();
        assert_eq!(names, ["h1"]);
        let unreachable: Vec<&String> = inventory.unreachable_machines.keys().collect();
        assert_eq!(unreachable, ["h2"]);
        assert!(inventory.unreachable.is_empty(), "the zone is reachable");
        let h2 = ResourceId::in_zone(ResourceKind::Machine, "rack-a", "h2");
        let error = hosts.delete("one", &h2).await.unwrap_err();
        assert!(error.is_transient(), "{error:?}");
        let message = error.to_string();
        assert!(
            message.starts_with("could not give back host h2 in rack-a"),
            "{message}"
        );
        assert!(message.contains("may have left on it"), "{message}");
        assert!(error.hint.unwrap().contains("sh /var/lib/hakube/give-back"));
        let check = PreflightSpec {
            machines: vec![
                machine("two", "h2", "rack-a"),
                machine("two", "h3", "rack-b"),
            ],
            ..PreflightSpec::default()
        };
        let found = hosts.preflight(&check).await.unwrap();
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].resource.contains("host h2"), "{found:?}");
    });
    // The operator can give it back without hakube.
    sh(
        &stage.hosts[1],
        "sh /var/lib/hakube/give-back; test ! -e /etc/hakube -a ! -e /var/lib/hakube",
    );
}

#[test]
fn only_one_of_two_clusters_leases_a_host() {
    let Some(stage) = stage("hosts-race", &["h1"]) else {
        return;
    };
    let before = state_of(&stage.hosts[0]);
    for _ in 0..5 {
        stage.run(async |hosts| {
            let take = async |cluster: &str| {
                let spec = machine(cluster, "h1", "rack-a");
                hosts
                    .ensure_machine(&spec)
                    .await
                    .map(|machine| machine.labels["hakube-cluster"].clone())
            };
            let (one, two) = futures::join!(take("one"), take("two"));
            let winner = match (one, two) {
                (Ok(winner), Err(error)) | (Err(error), Ok(winner)) => {
                    assert_eq!(error.kind, ErrorKind::Conflict, "{error}");
                    winner
                }
                both => panic!("{both:?}"),
            };
            let h1 = ResourceId::in_zone(ResourceKind::Machine, "rack-a", "h1");
            hosts.delete(&winner, &h1).await.unwrap();
        });
    }
    let left = difference(&before, &state_of(&stage.hosts[0]));
    assert_eq!(left, Vec::<String>::new(), "{}", left.join("\n"));
}

#[test]
fn the_next_call_finishes_an_incomplete_machine() {
    let Some(stage) = stage("hosts-crash", &["h1"]) else {
        return;
    };
    let host = &stage.hosts[0];
    let before = state_of(host);
    let mut spec = machine("one", "h1", "rack-a");
    // Its commands fail, which leaves what a hakube that was killed would leave.
    spec.user_data = spec.user_data.replace("[sync]", "['false']");
    stage.run(async move |hosts| {
        hosts.ensure_machine(&spec).await.unwrap_err();
        let seen = hosts.inspect("one").await.unwrap().machines.remove(0);
        assert_eq!(
            seen.state,
            MachineState::Starting,
            "it isn't set up completely"
        );
    });
    host.cut_power().unwrap();
    host.power_on().unwrap();
    host.wait_booted(std::time::Duration::from_secs(120))
        .unwrap();
    stage.run(async |hosts: Arc<hakube_hosts::Hosts>| {
        let made = hosts
            .ensure_machine(&machine("one", "h1", "rack-a"))
            .await
            .unwrap();
        assert_eq!(made.state, MachineState::Running);
        let h1 = ResourceId::in_zone(ResourceKind::Machine, "rack-a", "h1");
        hosts.delete("one", &h1).await.unwrap();
    });
    let left = difference(&before, &state_of(host));
    assert_eq!(left, Vec::<String>::new(), "{}", left.join("\n"));
}

/// A host without internet access downloads from the operator's machine, through its ssh connection.
#[test]
fn a_host_reaches_a_server_on_the_operators_loopback() {
    let Some(stage) = stage("hosts-offered", &["h1"]) else {
        return;
    };
    let host = stage.hosts[0].clone();
    std::fs::write(stage.yard.directory().join("offered"), "from the operator").unwrap();
    let mut server = stage
        .yard
        .command("python3")
        .unwrap()
        .args([
            "-m",
            "http.server",
            "8000",
            "--bind",
            "127.0.0.1",
            "--directory",
        ])
        .arg(stage.yard.directory())
        .spawn()
        .unwrap();
    let spec = || machine("one", "h1", "rack-a");
    let config = HostsConfig {
        offered: vec!["127.0.0.1:8000".parse().unwrap()],
        ..stage.config()
    };
    let h1 = ResourceId::in_zone(ResourceKind::Machine, "rack-a", "h1");
    let fetch = "curl --silent --fail --retry 20 --retry-all-errors --retry-delay 1 http://127.0.0.1:8000/offered";
    stage.run_with(config.clone(), async move |hosts| {
        hosts.ensure_machine(&spec()).await.unwrap();
        let fetched = tokio::task::spawn_blocking(move || sh(&host, fetch));
        assert_eq!(fetched.await.unwrap(), "from the operator");
        hosts.delete("one", &h1).await.unwrap();
    });
    server.kill().unwrap();
    server.wait().unwrap();

    // If a program on the host has the port, the host must not install from it.
    let mut own = stage.hosts[0]
        .command("python3")
        .unwrap()
        .args(["-m", "http.server", "8000", "--bind", "127.0.0.1"])
        .spawn()
        .unwrap();
    hakube_yard::until("it listens", std::time::Duration::from_secs(60), || {
        !sh(&stage.hosts[0], "ss -Htln sport = :8000").is_empty()
    })
    .unwrap();
    stage.run_with(config, async move |hosts| {
        let error = hosts.ensure_machine(&spec()).await.unwrap_err();
        assert!(
            error
                .to_string()
                .contains("refuses to forward 127.0.0.1:8000"),
            "{error}"
        );
        assert!(error.hint.unwrap().contains("AllowTcpForwarding"));
        assert!(hosts.inspect("one").await.unwrap().machines.is_empty());
    });
    own.kill().unwrap();
    own.wait().unwrap();
}

#[test]
fn preflight_reports_all_problems_at_once() {
    let Some(stage) = stage("hosts-preflight", &["h1", "h2"]) else {
        return;
    };
    sh(
        &stage.hosts[0],
        "mkdir -p /var/lib/etcd/member; cp /bin/sleep /tmp/kubelet; setsid /tmp/kubelet 1000000 >/dev/null 2>&1 </dev/null &
         setsid python3 -m http.server 6443 >/dev/null 2>&1 </dev/null &
         ip address add 10.77.0.200/24 dev host0
         nft add table inet wall; nft add chain inet wall in '{ type filter hook input priority 0; }'
         nft add rule inet wall in tcp dport 2380 drop; nft add rule inet wall in udp dport 8472 drop
         for i in 1 2 3 4 5 6 7 8 9; do ss -Hltn 'sport = :6443' | grep -q . && break; sleep 0.3; done",
    );
    sh(
        &stage.hosts[1],
        &format!(
            "echo {} >/etc/machine-id.new; cp /etc/machine-id.new /etc/machine-id",
            sh(&stage.hosts[0], "cat /etc/machine-id")
        ),
    );
    let mut config = stage.config();
    let there = "http://10.77.0.11:6443/etc/os-release";
    let missing = "http://10.77.0.11:6443/no-such-file";
    config.downloads.replica = [there, missing].map(str::to_owned).into();
    stage.run_with(config, async |hosts| {
        let check = PreflightSpec {
            machines: vec![
                machine("one", "h1", "rack-a"),
                machine("one", "h2", "rack-a"),
            ],
            addresses: vec![hakube_contract::address_spec("one", "ip")],
            ..PreflightSpec::default()
        };
        let found = hosts.preflight(&check).await.unwrap();
        let words: Vec<String> = found.iter().map(ToString::to_string).collect();
        let words = words.join("\n");
        for expected in [
            "could not use host h1 in rack-a: /var/lib/etcd isn't empty",
            "could not use host h1 in rack-a: port 6443 is in use by python3 (process",
            "could not use host h1 in rack-a: kubelet already runs on it (process",
            "could not use host h2 in rack-a: it can't reach h1 (10.77.0.11) on TCP 2380",
            "could not use host h2 in rack-a: it can't reach h1 (10.77.0.11) on UDP 8472",
            "could not use host h2 in rack-a: its machine-id",
            "could not use host h1 in rack-a: it already has the endpoint's address 10.77.0.200",
            "could not use host h1 in rack-a: it can't download http://10.77.0.11:6443/no-such-file: HTTP Error 404",
            "could not use host h2 in rack-a: it can't download http://10.77.0.11:6443/no-such-file: HTTP Error 404",
        ] {
            assert!(words.contains(expected), "{expected}\n{words}");
        }
        assert!(!words.contains("can't reach h2 (10.77.0.12)"), "{words}");
        assert!(
            found.iter().all(|finding| finding.hint.is_some()),
            "{found:?}"
        );
        let refused = hosts
            .ensure_machine(&machine("one", "h1", "rack-a"))
            .await
            .unwrap_err();
        assert!(
            refused.to_string().contains("/var/lib/etcd isn't empty"),
            "{refused}"
        );
    });
}

/// Each host probes the address, since only one of them may see who uses it. A host's stale ARP
/// entry doesn't count.
#[test]
fn an_endpoint_address_in_use_is_refused() {
    let Some(stage) = stage("hosts-claimed", &["h1", "h2", "other"]) else {
        return;
    };
    let take = "ip address add 10.77.0.200/24 dev host0";
    sh(&stage.hosts[2], take);
    let card = sh(&stage.hosts[2], "cat /sys/class/net/host0/address");
    let findings = || {
        let mut config = stage.config();
        config.hosts.pop();
        stage.run_with(config, async |hosts| {
            let check = PreflightSpec {
                machines: vec![machine("one", "h1", "rack-a")],
                node_groups: vec![group("one", "rack-a", 1)],
                addresses: vec![hakube_contract::address_spec("one", "ip")],
                ..PreflightSpec::default()
            };
            let found = hosts.preflight(&check).await.unwrap();
            found.iter().map(ToString::to_string).collect::<Vec<_>>()
        })
    };
    let expected = format!(
        "could not use the endpoint's address 10.77.0.200: another machine uses it: \
         from h1, h2, network card {card} has it"
    );
    assert_eq!(findings(), [expected]);
    // The replica's host can't see it.
    sh(
        &stage.hosts[0],
        "ip neigh flush to 10.77.0.200; nft add table arp deaf
         nft add chain arp deaf in '{ type filter hook input priority 0; }'
         nft add rule arp deaf in arp saddr ip 10.77.0.200 drop",
    );
    let expected = format!(
        "could not use the endpoint's address 10.77.0.200: another machine uses it: \
         from h2, network card {card} has it"
    );
    assert_eq!(findings(), [expected]);
    sh(&stage.hosts[2], &take.replace("address add", "address del"));
    sh(
        &stage.hosts[1],
        &format!("ip neigh replace 10.77.0.200 lladdr {card} dev host0 nud stale"),
    );
    assert_eq!(findings(), [""; 0]);
}

#[test]
fn login_failures_are_explained() {
    let Some(stage) = stage("hosts-login", &["h1", "h2"]) else {
        return;
    };
    sh(
        &stage.hosts[0],
        "echo 'op ALL=(ALL) ALL' >/etc/sudoers.d/op",
    );
    let mut config = stage.config();
    config.hosts[1].server.host_keys = config.hosts[0].server.host_keys.clone();
    stage.run_with(config, async |hosts| {
        let check = PreflightSpec {
            machines: vec![
                machine("one", "h1", "rack-a"),
                machine("one", "h2", "rack-a"),
            ],
            ..PreflightSpec::default()
        };
        let found = hosts.preflight(&check).await.unwrap();
        let about = |name: &str| {
            let finding = found.iter().find(|one| one.resource.contains(name));
            finding.unwrap_or_else(|| panic!("{name}: {found:?}"))
        };
        assert_eq!(found.len(), 2, "{found:?}");
        let (h1, h2) = (about("host h1"), about("host h2"));
        assert!(h1.hint.as_ref().unwrap().contains("NOPASSWD"), "{h1:?}");
        assert!(h2.message.matches("SHA256:").count() == 2, "{h2:?}");
        assert!(
            h2.hint.as_ref().unwrap().contains("nothing was sent"),
            "{h2:?}"
        );
        let inventory = hosts.inspect("one").await.unwrap();
        let why = &inventory.unreachable_machines["h2"];
        assert!(why.matches("SHA256:").count() == 2, "{why}");
        let error = hosts
            .ensure_machine(&machine("one", "h1", "rack-a"))
            .await
            .unwrap_err();
        assert!(error.hint.unwrap().contains("NOPASSWD"));
    });
    let mut config = stage.config();
    config.hosts[0].login.user = "nobody".to_owned();
    stage.run_with(config, async |hosts| {
        let check = PreflightSpec {
            machines: vec![machine("one", "h1", "rack-a")],
            ..PreflightSpec::default()
        };
        let found = hosts.preflight(&check).await.unwrap();
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0]
                .message
                .contains("refused to log in nobody with the key"),
            "{found:?}"
        );
        let error = hosts
            .ensure_machine(&machine("one", "h1", "rack-a"))
            .await
            .unwrap_err();
        assert_eq!(error.kind, ErrorKind::Denied);
        assert!(
            error
                .to_string()
                .contains("refused to log in nobody with the key"),
            "{error}"
        );
    });
}

#[test]
fn a_host_behind_a_jump_host_works() {
    let Some(stage) = stage("hosts-jump", &["bastion", "h2"]) else {
        return;
    };
    let mut config = stage.config();
    let bastion = config.hosts.remove(0);
    config.hosts[0].through = Some(Hop {
        server: bastion.server.clone(),
        login: bastion.login.clone(),
    });
    // Only the jump host gets in.
    sh(
        &stage.hosts[1],
        "nft add table inet wall; nft add chain inet wall in '{ type filter hook input priority 0; }'
         nft add rule inet wall in tcp dport 22 ip saddr != 10.77.0.11 drop",
    );
    let mut wrong = config.clone();
    stage.run_with(config, async |hosts| {
        let made = hosts
            .ensure_machine(&machine("one", "h2", "rack-a"))
            .await
            .unwrap();
        assert_eq!(made.state, MachineState::Running);
    });
    // A jump host with another key is rejected.
    let others = wrong.hosts[0].server.host_keys.clone();
    if let Some(hop) = &mut wrong.hosts[0].through {
        hop.server.host_keys = others;
    }
    stage.run_with(wrong, async |hosts| {
        let inventory = hosts.inspect("one").await.unwrap();
        let why = &inventory.unreachable_machines["h2"];
        assert!(why.contains("SHA256:"), "{why}");
    });
}

#[test]
fn without_its_recorded_state_a_host_is_left_as_it_is() {
    let Some(stage) = stage("hosts-lost-state", &["h1"]) else {
        return;
    };
    let host = &stage.hosts[0];
    let h1 = ResourceId::in_zone(ResourceKind::Machine, "rack-a", "h1");
    let again = h1.clone();
    stage.run(async |hosts| {
        let spec = machine("one", "h1", "rack-a");
        hosts.ensure_machine(&spec).await.unwrap();
    });
    sh(host, "mv /var/lib/hakube /root/state");
    stage.run(async move |hosts| {
        let error = hosts.delete("one", &h1).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Fatal);
        let message = error.to_string();
        assert!(message.contains("before/files is missing"), "{message}");
    });
    assert_eq!(sh(host, "systemctl is-active kubelet"), "active");
    // A leftover that can't be removed is named, and the lease stays. Once it is gone, the same
    // call finishes.
    sh(
        host,
        "mv /root/state /var/lib/hakube; mkdir -p /etc/cni/busy; mount -t tmpfs x /etc/cni/busy",
    );
    let last = again.clone();
    stage.run(async move |hosts| {
        let error = hosts.delete("one", &again).await.unwrap_err();
        let message = error.to_string();
        assert!(
            message.contains("leftovers on it: file /etc/cni"),
            "{message}"
        );
        assert_eq!(hosts.inspect("one").await.unwrap().machines.len(), 1);
    });
    sh(host, "umount /etc/cni/busy");
    stage.run(async move |hosts| {
        hosts.delete("one", &last).await.unwrap();
    });
    sh(
        host,
        "test ! -e /etc/cni -a ! -e /etc/hakube -a ! -e /var/lib/hakube",
    );
}
