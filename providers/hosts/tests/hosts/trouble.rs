//! Hosts that are away, that two clusters want at once, that lose power in the middle.

use crate::stage::{difference, machine, sh, stage, state_of};
use hakube_hosts::HostsConfig;
use hakube_provider::{
    ErrorKind, MachineState, PreflightSpec, Provider, ResourceId, ResourceKind, Scope,
};
use hakube_ssh::Hop;
use std::sync::Arc;

#[test]
fn a_host_that_is_away_hides_no_other() {
    let Some(stage) = stage("hosts-away", &["h1", "h2", "h3"]) else {
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
        let away: Vec<&String> = inventory.unreachable_machines.keys().collect();
        assert_eq!(away, ["h2"]);
        assert!(inventory.unreachable.is_empty(), "its zone isn't");
        let h2 = ResourceId {
            kind: ResourceKind::Machine,
            scope: Scope::Zone("rack-a".to_owned()),
            name: "h2".to_owned(),
        };
        let error = hosts.delete("one", &h2).await.unwrap_err();
        assert!(error.is_transient(), "{error:?}");
        let words = error.to_string();
        assert!(
            words.starts_with("could not give back host h2 in rack-a"),
            "{words}"
        );
        assert!(words.contains("may be left on it"), "{words}");
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
fn of_two_clusters_that_want_a_host_one_gets_it() {
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
            let h1 = ResourceId {
                kind: ResourceKind::Machine,
                scope: Scope::Zone("rack-a".to_owned()),
                name: "h1".to_owned(),
            };
            hosts.delete(&winner, &h1).await.unwrap();
        });
    }
    let left = difference(&before, &state_of(&stage.hosts[0]));
    assert_eq!(left, Vec::<String>::new(), "{}", left.join("\n"));
}

#[test]
fn a_machine_that_was_begun_is_finished_by_the_next_call() {
    let Some(stage) = stage("hosts-crash", &["h1"]) else {
        return;
    };
    let host = &stage.hosts[0];
    let before = state_of(host);
    let mut spec = machine("one", "h1", "rack-a");
    // Its commands fail: as much is there as if hakube had been killed before them.
    spec.user_data = spec.user_data.replace("[sync]", "['false']");
    stage.run(async move |hosts| {
        hosts.ensure_machine(&spec).await.unwrap_err();
        let seen = hosts.inspect("one").await.unwrap().machines.remove(0);
        assert_eq!(seen.state, MachineState::Starting, "not all of it is there");
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
        let h1 = ResourceId {
            kind: ResourceKind::Machine,
            scope: Scope::Zone("rack-a".to_owned()),
            name: "h1".to_owned(),
        };
        hosts.delete("one", &h1).await.unwrap();
    });
    let left = difference(&before, &state_of(host));
    assert_eq!(left, Vec::<String>::new(), "{}", left.join("\n"));
}

/// A host that has no way out downloads from the operator's own host, through the connection to it.
#[test]
fn a_host_reaches_what_is_on_the_operators_loopback() {
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
    let h1 = ResourceId {
        kind: ResourceKind::Machine,
        scope: Scope::Zone("rack-a".to_owned()),
        name: "h1".to_owned(),
    };
    let fetch = "curl --silent --fail --retry 20 --retry-all-errors --retry-delay 1 http://127.0.0.1:8000/offered";
    stage.run_with(config.clone(), async move |hosts| {
        hosts.ensure_machine(&spec()).await.unwrap();
        let fetched = tokio::task::spawn_blocking(move || sh(&host, fetch));
        assert_eq!(fetched.await.unwrap(), "from the operator");
        hosts.delete("one", &h1).await.unwrap();
    });
    server.kill().unwrap();
    server.wait().unwrap();

    // Something of the host's own listens there: that isn't what it should install from.
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
            error.to_string().contains("doesn't forward 127.0.0.1:8000"),
            "{error}"
        );
        assert!(error.hint.unwrap().contains("AllowTcpForwarding"));
        assert!(hosts.inspect("one").await.unwrap().machines.is_empty());
    });
    own.kill().unwrap();
    own.wait().unwrap();
}

#[test]
fn what_keeps_a_host_from_being_a_machine_is_told_all_at_once() {
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
            addresses: vec![hakube_provider::AddressSpec {
                cluster: "one".to_owned(),
                name: "ip".to_owned(),
                reach: hakube_provider::Reach::Anywhere,
            }],
            ..PreflightSpec::default()
        };
        let found = hosts.preflight(&check).await.unwrap();
        let words: Vec<String> = found.iter().map(ToString::to_string).collect();
        let words = words.join("\n");
        for expected in [
            "could not use host h1 in rack-a: /var/lib/etcd isn't empty",
            "could not use host h1 in rack-a: port 6443 is taken by python3 (process",
            "could not use host h1 in rack-a: kubelet runs on it already (process",
            "could not use host h2 in rack-a: from it, h1 (10.77.0.11) isn't reached on TCP 2380",
            "could not use host h2 in rack-a: from it, h1 (10.77.0.11) isn't reached on UDP 8472",
            "could not use host h2 in rack-a: its machine-id",
            "could not use host h1 in rack-a: it has the endpoint's address 10.77.0.200 already",
            "could not use host h1 in rack-a: it can't download http://10.77.0.11:6443/no-such-file: HTTP Error 404",
            "could not use host h2 in rack-a: it can't download http://10.77.0.11:6443/no-such-file: HTTP Error 404",
        ] {
            assert!(words.contains(expected), "{expected}\n{words}");
        }
        assert!(!words.contains("h2 (10.77.0.12) isn't reached"), "{words}");
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

#[test]
fn who_is_not_let_in_is_told_why() {
    let Some(stage) = stage("hosts-doors", &["h1", "h2"]) else {
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
                .contains("neither the user nobody nor the key"),
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
                .contains("neither the user nobody nor the key"),
            "{error}"
        );
    });
}

#[test]
fn a_host_behind_a_jump_host_is_a_host() {
    let Some(stage) = stage("hosts-jump", &["bastion", "h2"]) else {
        return;
    };
    let mut config = stage.config();
    let bastion = config.hosts.remove(0);
    config.hosts[0].through = Some(Hop {
        server: bastion.server.clone(),
        login: bastion.login.clone(),
    });
    // Nobody else gets in.
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
    // A jump host that shows another key gets nothing.
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
fn a_host_whose_notes_are_gone_is_left_as_it_is_and_named() {
    let Some(stage) = stage("hosts-notes", &["h1"]) else {
        return;
    };
    let host = &stage.hosts[0];
    let h1 = ResourceId {
        kind: ResourceKind::Machine,
        scope: Scope::Zone("rack-a".to_owned()),
        name: "h1".to_owned(),
    };
    let again = h1.clone();
    stage.run(async |hosts| {
        let spec = machine("one", "h1", "rack-a");
        hosts.ensure_machine(&spec).await.unwrap();
    });
    sh(host, "mv /var/lib/hakube /root/notes");
    stage.run(async move |hosts| {
        let error = hosts.delete("one", &h1).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Fatal);
        let words = error.to_string();
        assert!(words.contains("before/files is gone"), "{words}");
    });
    assert_eq!(sh(host, "systemctl is-active kubelet"), "active");
    // Something that can't go is named, and the lease stays; without it, the same call finishes.
    sh(
        host,
        "mv /root/notes /var/lib/hakube; mkdir -p /etc/cni/busy; mount -t tmpfs x /etc/cni/busy",
    );
    let last = again.clone();
    stage.run(async move |hosts| {
        let error = hosts.delete("one", &again).await.unwrap_err();
        let words = error.to_string();
        assert!(
            words.contains("this is left on it: file /etc/cni"),
            "{words}"
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
