//! A host's life: leased, set up, used, given back. Then it is as before.

use crate::stage::{self, difference, group, machine, sh, stage, state_of};
use hakube_provider::{
    ErrorKind, Inventory, MachineState, PreflightSpec, Provider, ResourceId, ResourceKind,
};

/// The host's state before, and what its operator adds while a cluster has it.
const BEFORE: &str = "mkdir -p /etc/containerd/conf.d /usr/local/bin; echo own >/etc/containerd/conf.d/own.toml
    printf '#!/bin/sh\n' >/usr/local/bin/own; chmod 755 /usr/local/bin/own
    echo loop >/etc/modules-load.d/modules.conf; nft add table inet own; nft add chain inet own rules
    ip link add own0 type bridge; mkdir -p /var/lib/kubelet";
const MEANWHILE: &str =
    "echo mine >/usr/local/bin/later; nft add rule inet own rules tcp dport 4000 accept
    printf '[Service]\nExecStart=/bin/sleep 1000000\n' >/etc/systemd/system/later.service
    systemctl daemon-reload; systemctl start later";
const UNDO_MEANWHILE: &str =
    "systemctl stop later; rm /usr/local/bin/later /etc/systemd/system/later.service
    systemctl daemon-reload; nft flush chain inet own rules";

/// The traces of a kubelet, a container runtime, kube-proxy and a pod network.
const MESS: &str = r#"
    mkdir -p /etc/etcd /var/lib/etcd/member/wal /var/lib/kubelet/pods/1/volumes/token /etc/cni/net.d /opt/cni/bin /run/flannel
    mkdir -p /var/lib/containerd/io/snap /run/containerd/io/1/rootfs /run/netns /var/lib/cni/networks /var/log/pods/a /var/log/containers
    echo TOKEN=1 >/etc/etcd/join.env
    echo data >/var/lib/etcd/member/wal/0; echo net >/etc/cni/net.d/10-hakube.conflist; echo x >/etc/containerd/config.toml
    touch "/var/lib/containerd/io/snap/a file with spaces"; echo log >/var/log/pods/a/0.log; ln -s ../pods/a/0.log /var/log/containers/0.log
    mount -t tmpfs tmpfs /var/lib/kubelet/pods/1/volumes/token; echo secret >/var/lib/kubelet/pods/1/volumes/token/token
    mount -t tmpfs tmpfs /run/containerd/io/1/rootfs
    touch /run/netns/cni-1234; unshare --net=/run/netns/cni-1234 true
    ip link add cni0 type bridge; ip link set cni0 up; ip address add 10.244.1.1/24 dev cni0
    ip link add vethabcd type veth peer name eth9; ip link set eth9 netns cni-1234; ip link set vethabcd master cni0
    ip link add flannel.1 type vxlan id 1 dstport 8472 nolearning; ip link set flannel.1 up; ip route add 10.244.2.0/24 dev flannel.1
    ip address add 10.77.0.200/32 dev host0
    nft add table ip kube-proxy; nft add chain ip kube-proxy services '{ type nat hook prerouting priority -100; }'
    iptables -t nat -N KUBE-SERVICES; iptables -t nat -A OUTPUT -j KUBE-SERVICES; iptables -t nat -A KUBE-SERVICES -d 10.0.0.1 -j RETURN
    iptables -N KUBE-FIREWALL; iptables -A INPUT -j KUBE-FIREWALL
    cp /bin/sleep /usr/local/bin/containerd-shim-runc-v2
    mkdir -p /usr/local/bin; cp /bin/sleep /usr/local/bin/kube-thing
    sum=$(sha256sum /usr/local/bin/kube-thing | cut -d ' ' -f 1)
    printf '%s\n%s  kube-thing\n%s  containerd-shim-runc-v2\n' $sum $sum $sum >/usr/local/bin/.things.sha256
    setsid /usr/local/bin/kube-thing 1000000 >/dev/null 2>&1 </dev/null &
    setsid /usr/local/bin/containerd-shim-runc-v2 1000000 >/dev/null 2>&1 </dev/null &
    for groups in /sys/fs/cgroup/memory /sys/fs/cgroup; do
        if mkdir -p $groups/kubepods/pod1 2>/dev/null && [ -e $groups/kubepods/pod1/cgroup.procs ]; then
            sh -c "echo \$\$ >$groups/kubepods/pod1/cgroup.procs; exec setsid sleep 1000000 >/dev/null 2>&1 </dev/null" &
            break
        fi
    done
    mkdir -p /var/lib/hakube; cat /proc/sys/net/ipv4/ip_forward | sed 's/^/net.ipv4.ip_forward=/' >/var/lib/hakube/sysctl.before
    echo 1 >/proc/sys/net/ipv4/ip_forward
    for i in 1 2 3 4 5 6 7 8 9 10; do systemctl is-active --quiet etcd.service && break; sleep 0.5; done
    systemctl is-active etcd.service
"#;

#[test]
fn a_host_that_is_given_back_is_as_it_was_before() {
    let Some(stage) = stage("hosts-life", &["h1", "h2", "h3"]) else {
        return;
    };
    let host = &stage.hosts[0];
    sh(host, BEFORE);
    let before = state_of(host);

    // Leased and set up from the document. A second call changes nothing.
    let spec = machine("one", "h1", "rack-a");
    let made = spec.clone();
    stage.run(async move |hosts| {
        let check = PreflightSpec {
            machines: vec![made.clone()],
            ..PreflightSpec::default()
        };
        assert_eq!(hosts.preflight(&check).await.unwrap(), []);
        let machine = hosts.ensure_machine(&made).await.unwrap();
        assert_eq!(machine.state, MachineState::Running);
        assert_eq!(machine.labels["hakube-cluster"], "one");
        assert_eq!(machine.labels["disk"], "ssd");
        assert_eq!(machine.labels["hakube-role"], "replica");
        let inventory = hosts.inspect("one").await.unwrap();
        assert_eq!(inventory.machines, [machine]);
        let free = hosts.free_hosts().await.unwrap().unwrap();
        assert_eq!(free["rack-a"], ["h2"]);
        assert_eq!(free["rack-b"], ["h3"]);
    });
    assert_eq!(
        sh(
            host,
            "systemctl is-active kubelet.service etcd.path; cat /etc/kubernetes/secret; stat -c %a /etc/kubernetes/secret"
        ),
        "active\nactive\nhello600"
    );
    sh(
        host,
        "for i in 1 2 3 4 5 6 7 8 9; do [ ! -e /run/hakube/said ] || break; sleep 0.3; done",
    );
    assert_eq!(
        sh(host, "cat /run/hakube/said"),
        format!("h1 {}", host.address())
    );
    assert_eq!(sh(host, "cat /etc/modules-load.d/modules.conf"), "overlay");
    sh(host, "rm /run/hakube/said");
    let times = "stat -c '%y %n' /etc/systemd/system/kubelet.service /etc/hakube/machine.env; systemctl show -p NRestarts,ExecMainStartTimestamp kubelet";
    let first = sh(host, times);
    let again = spec.clone();
    stage.run(async move |hosts| {
        hosts.ensure_machine(&again).await.unwrap();
    });
    assert_eq!(sh(host, times), first, "the same document changes nothing");
    // A changed document: only the difference is applied.
    let mut changed = spec.clone();
    changed.user_data = changed.user_data.replace("aGVsbG8=", "d29ybGQ=");
    stage.run(async move |hosts| {
        hosts.ensure_machine(&changed).await.unwrap();
    });
    assert_eq!(sh(host, times), first, "the rest is unchanged");
    assert_eq!(sh(host, "cat /etc/kubernetes/secret"), "world");

    sh(host, MESS);
    sh(host, MEANWHILE);

    // Another cluster can neither lease it nor give it back.
    let theirs = machine("two", "h1", "rack-a");
    stage.run(async move |hosts| {
        let refused = hosts.ensure_machine(&theirs).await.unwrap_err();
        assert_eq!(refused.kind, ErrorKind::Conflict);
        assert!(
            refused
                .to_string()
                .contains("host h1 in rack-a: cluster one has it"),
            "{refused}"
        );
        let h1 = ResourceId::in_zone(ResourceKind::Machine, "rack-a", "h1");
        let refused = hosts.delete("two", &h1).await.unwrap_err();
        assert_eq!(refused.kind, ErrorKind::Conflict);
        assert_eq!(hosts.inspect("two").await.unwrap().machines, []);
        let check = PreflightSpec {
            machines: vec![theirs],
            ..PreflightSpec::default()
        };
        let found = hosts.preflight(&check).await.unwrap();
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].message.contains("cluster one has it as a replica"),
            "{found:?}"
        );
        // The second call succeeds too.
        hosts.delete("one", &h1).await.unwrap();
        hosts.delete("one", &h1).await.unwrap();
        let inventory = hosts.inspect("one").await.unwrap();
        assert_eq!((inventory.machines, inventory.resources), (vec![], vec![]));
    });

    // What others have added meanwhile is kept.
    assert_eq!(
        sh(host, "cat /usr/local/bin/later; systemctl is-active later"),
        "mine\nactive"
    );
    assert!(sh(host, "nft list table inet own").contains("dport 4000 accept"));
    sh(host, UNDO_MEANWHILE);
    let left = difference(&before, &state_of(host));
    assert_eq!(left, Vec::<String>::new(), "{}", left.join("\n"));
}

#[test]
fn groups_grow_shrink_and_are_deleted() {
    let Some(stage) = stage("hosts-groups", &["n1", "n2", "n3", "n4", "n5"]) else {
        return;
    };
    let before: Vec<Vec<String>> = stage.hosts.iter().map(state_of).collect();
    stage.run(async |hosts| {
        let hosts = &hosts;
        let sizes = async || -> Inventory { hosts.inspect("one").await.unwrap() };
        let group_of = |size| group("one", "rack-a", size);
        hosts.ensure_node_group(&group_of(3)).await.unwrap();
        let inventory = sizes().await;
        assert_eq!(inventory.node_groups[0].size, 3);
        // n3 is in the other zone.
        assert_eq!(inventory.node_groups[0].machines, ["n1", "n2", "n4"]);
        assert_eq!(
            inventory.machines,
            [],
            "a group's machines aren't listed individually"
        );
        hosts.ensure_node_group(&group_of(1)).await.unwrap();
        assert_eq!(sizes().await.node_groups[0].machines, ["n1"]);
        let error = hosts.ensure_node_group(&group_of(9)).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::NoCapacity);
        assert!(error.message.contains("8 more hosts are needed"), "{error}");
        assert!(error.message.contains("n2, n4, n5"), "{error}");
        let check = PreflightSpec {
            node_groups: vec![group_of(9)],
            ..PreflightSpec::default()
        };
        let found = hosts.preflight(&check).await.unwrap();
        assert_eq!(found.len(), 1, "{found:?}");
        hosts.ensure_node_group(&group_of(2)).await.unwrap();
        assert_eq!(sizes().await.node_groups[0].machines, ["n1", "n2"]);
        let name = group_of(0).name;
        hosts
            .delete(
                "one",
                &ResourceId::in_zone(ResourceKind::NodeGroup, "rack-a", &name),
            )
            .await
            .unwrap();
        assert_eq!(sizes().await.node_groups, []);
    });
    for (host, before) in stage.hosts.iter().zip(before) {
        let left = difference(&before, &state_of(host));
        assert_eq!(
            left,
            Vec::<String>::new(),
            "{}: {}",
            host.name(),
            left.join("\n")
        );
    }
    let _ = stage::ENDPOINT;
}
