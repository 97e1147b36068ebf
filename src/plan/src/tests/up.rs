//! `up`: a new cluster with one replica.

use super::world::World;
use super::{is_before, shown};
use crate::{Action, Plan};
use hakube_provider::{ExternalAddress, FirewallSource, Reach};
use hakube_testing::fixtures;

fn up(variables: &[(&str, &str)]) -> Plan {
    World::empty(fixtures::intent(variables)).plan()
}

#[test]
fn a_new_cluster() {
    insta::assert_snapshot!(shown(&up(&[])));
}

#[test]
fn a_new_cluster_behind_a_balancer_with_nodes() {
    insta::assert_snapshot!(shown(&up(&[
        ("HAKUBE_LOAD_BALANCER", "always"),
        ("NUM_NODES", "3")
    ])));
}

#[test]
fn a_new_private_cluster() {
    insta::assert_snapshot!(shown(&up(&[("KUBE_GCE_PRIVATE_CLUSTER", "true")])));
}

/// Someone else may create them. The network is still checked first.
#[test]
fn firewall_rules_can_be_left_to_others() {
    let plan = up(&[("HAKUBE_FIREWALLS", "false")]);
    let demand = plan.demand();
    assert_eq!(demand.firewalls, []);
    assert_eq!(demand.networks.len(), 1);
    let machine = demand.machines[0].machine.name.clone();
    assert!(is_before(&plan, "network", &format!("machine/{machine}")));
}

/// Machines have no external addresses. The first one has the endpoint's address in addition to its own.
#[test]
fn a_private_cluster_has_internal_addresses_only() {
    let private = [("KUBE_GCE_PRIVATE_CLUSTER", "true"), ("NUM_NODES", "3")];
    let demand = up(&private).demand();
    let within = Reach::Within {
        network: "default".to_owned(),
        subnetwork: "default".to_owned(),
    };
    let address = &demand.addresses[0];
    assert_eq!(address.name, "kubernetes-master-internal-ip");
    assert_eq!(address.reach, within);
    assert_eq!(demand.machines[0].alias.as_ref(), Some(&address.name));
    assert_eq!(demand.machines[0].external, ExternalAddress::None);
    let node = &demand.node_groups[0].machine;
    assert_eq!(node.external, ExternalAddress::None);
    assert_eq!(node.alias, None);

    let named = [("SUBNETWORK", "sub"), ("HAKUBE_LOAD_BALANCER", "always")];
    let demand = up(&[private[0], named[0], named[1]]).demand();
    assert_eq!(demand.machines[0].alias, None);
    for reach in [&demand.balancers[0].reach, &demand.rules[0].reach] {
        assert!(matches!(reach, Reach::Within { subnetwork, .. } if subnetwork == "sub"));
    }
    assert_eq!(demand.rules[0].released, ExternalAddress::None);
}

#[test]
fn the_first_machine_has_the_endpoints_address_unless_a_balancer_gets_it() {
    for (mode, external) in [
        (
            "auto",
            ExternalAddress::Reserved("kubernetes-master-ip".to_owned()),
        ),
        ("always", ExternalAddress::Ephemeral),
    ] {
        let plan = up(&[("HAKUBE_LOAD_BALANCER", mode)]);
        let machine = plan.steps.iter().find_map(|step| match &step.action {
            Action::EnsureMachine(spec) => Some(spec.external.clone()),
            _ => None,
        });
        assert_eq!(machine, Some(external), "{mode}");
    }
}

#[test]
fn nodes_follow_kube_ups_variables() {
    let demand = up(&[
        ("NUM_NODES", "3"),
        ("NODE_INSTANCE_PREFIX", "workers"),
        ("NODE_SIZE", "n2-standard-4"),
        ("NODE_DISK_TYPE", "pd-balanced"),
        ("PREEMPTIBLE_NODE", "true"),
        (
            "KUBE_GCE_NODE_IMAGE",
            "projects/p/global/images/family/nodes",
        ),
        (
            "KUBE_GCE_NODE_SERVICE_ACCOUNT",
            "robot@p.iam.gserviceaccount.com",
        ),
        ("NODE_SCOPES", "cloud-platform,storage-rw"),
    ])
    .demand();
    let group = &demand.node_groups[0];
    assert_eq!(group.name, "workers-group-europe-west1-b");
    assert!(group.template.starts_with("workers-template-"));
    let machine = &group.machine;
    assert_eq!(machine.machine_type, "n2-standard-4");
    assert_eq!(machine.boot_disk_kind, "pd-balanced");
    assert_eq!(machine.image, "projects/p/global/images/family/nodes");
    assert!(machine.preemptible);
    let account = machine.service_account.as_deref();
    assert_eq!(account, Some("robot@p.iam.gserviceaccount.com"));
    assert_eq!(machine.scopes, ["cloud-platform", "storage-rw"]);
    // The nodes' tag is a target of the firewall rules.
    let mut tags = demand.firewalls.iter().map(|rule| &rule.target_tag);
    assert!(tags.any(|tag| machine.tags.contains(tag)));
}

#[test]
fn replicas_follow_kube_ups_variables() {
    let demand = up(&[
        ("NUM_NODES", "0"),
        ("MASTER_SIZE", "n2-standard-2"),
        ("MASTER_DISK_TYPE", "pd-extreme"),
        ("MASTER_MIN_CPU_ARCHITECTURE", "Intel Ice Lake"),
        ("PREEMPTIBLE_MASTER", "true"),
    ])
    .demand();
    let machine = &demand.machines[0];
    assert_eq!(machine.machine_type, "n2-standard-2");
    let disk = machine.data_disk.as_ref().unwrap();
    assert_eq!(disk.kind, "pd-extreme");
    let platform = machine.min_cpu_platform.as_deref();
    assert_eq!(platform, Some("Intel Ice Lake"));
    assert!(machine.preemptible);
}

/// They are created concurrently.
#[test]
fn address_and_network_wait_for_nothing() {
    let plan = up(&[]);
    let free: Vec<String> = plan
        .steps
        .iter()
        .filter(|step| step.needs.is_empty())
        .map(|step| step.key.to_string())
        .collect();
    assert_eq!(free, ["network", "reserve-address"]);
}

/// Compute Engine takes longer for a machine than a control plane for its start.
#[test]
fn nodes_boot_while_the_control_plane_starts_and_join_once_the_endpoint_responds() {
    let plan = up(&[("NUM_NODES", "3")]);
    let group = "nodes/kubernetes-minion-group-europe-west1-b";
    assert!(is_before(&plan, "reserve-address", group));
    assert!(!is_before(&plan, "machine/kubernetes-master", group));
    assert!(!is_before(&plan, "await-endpoint", group));
    assert!(is_before(&plan, group, "await-nodes"));
    assert!(is_before(&plan, "await-endpoint", "admit-nodes"));
    assert!(is_before(&plan, "admit-nodes", "await-nodes"));
}

#[test]
fn up_again_does_nothing() {
    for variables in [
        &[][..],
        &[("NUM_NODES", "3")],
        &[("HAKUBE_LOAD_BALANCER", "always")],
    ] {
        let world = World::settled(fixtures::intent(variables));
        assert_eq!(world.keys(), Vec::<String>::new(), "{variables:?}");
    }
}

/// A balancer's data plane may start long after its rule is created.
#[test]
fn an_endpoint_that_doesnt_respond_yet_is_awaited() {
    let mut world = World::settled(fixtures::intent(&[]));
    world.observed.endpoint_ready = false;
    assert_eq!(world.keys(), ["await-endpoint"]);
}

/// SSH is only open to the given source ranges; by default, to none.
#[test]
fn ssh_is_open_to_the_given_ranges() {
    for (source, ranges) in [
        ("", None),
        ("none", None),
        (
            "203.0.113.7/32,35.235.240.0/20",
            Some(vec!["203.0.113.7/32", "35.235.240.0/20"]),
        ),
    ] {
        let plan = up(&[("HAKUBE_SSH_SOURCE", source)]);
        let open = plan.steps.iter().find_map(|step| match &step.action {
            Action::EnsureFirewall(spec) if spec.tcp_ports == ["22"] => Some(spec.clone()),
            _ => None,
        });
        let sources = open.map(|spec| spec.source);
        let expected = ranges.map(|ranges| {
            let ranges = ranges.iter().map(|range| range.parse().unwrap());
            FirewallSource::Ranges(ranges.collect())
        });
        assert_eq!(sources, expected, "{source}");
    }
}

/// A network may let nothing through that no rule allows, and flannel's packets are UDP between machines.
#[test]
fn pods_reach_pods_on_every_machine_that_is_a_node() {
    let rules = |pod_network: &str, registers: &str| {
        let mut intent = fixtures::intent(&[
            ("NETWORK_PROVIDER", pod_network),
            ("REGISTER_MASTER", registers),
        ]);
        intent.spec.programs.pods = Some(fixtures::pods());
        let plan = World::empty(intent).plan();
        let rules = plan.steps.into_iter().filter_map(|step| match step.action {
            Action::EnsureFirewall(spec) if spec.tcp_ports == ["10250"] => {
                assert_eq!(
                    spec.source,
                    FirewallSource::Tags(vec![
                        "kubernetes-master".to_owned(),
                        "kubernetes-minion".to_owned()
                    ])
                );
                Some((spec.target_tag, spec.udp_ports.join(",")))
            }
            _ => None,
        });
        rules.collect::<Vec<_>>()
    };
    let rule = |tag: &str, udp: &str| (tag.to_owned(), udp.to_owned());
    let (master, minion) = ("kubernetes-master", "kubernetes-minion");
    assert_eq!(
        rules("flannel", "true"),
        [rule(minion, "8472"), rule(master, "8472")]
    );
    assert_eq!(rules("flannel", "false"), [rule(minion, "8472")]);
    assert_eq!(rules("none", "true"), [rule(minion, ""), rule(master, "")]);
}
