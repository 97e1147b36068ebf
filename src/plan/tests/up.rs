//! `up`: from nothing to one replica.

use super::world::World;
use super::{is_before, shown};
use crate::cluster::fixtures;
use crate::plan::{Action, Plan};
use hakube_provider::{ExternalAddress, FirewallSource, Reach};

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

/// Whoever else makes them: the network is still looked at before there is anything on it.
#[test]
fn firewall_rules_may_be_others_business() {
    let plan = up(&[("HAKUBE_FIREWALLS", "false")]);
    let demand = plan.demand();
    assert_eq!(demand.firewalls, []);
    assert_eq!(demand.networks.len(), 1);
    let machine = demand.machines[0].machine.name.clone();
    assert!(is_before(&plan, "network", &format!("machine/{machine}")));
}

/// No machine of it is reached from outside, the first one has the endpoint's address besides its own.
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
fn the_first_machine_is_born_with_the_endpoints_address_unless_a_balancer_gets_it() {
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
fn nodes_are_made_as_kube_ups_variables_say() {
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
    // What nodes are tagged with is what firewall rules let in.
    let mut tags = demand.firewalls.iter().map(|rule| &rule.target_tag);
    assert!(tags.any(|tag| machine.tags.contains(tag)));
}

#[test]
fn replicas_are_made_as_kube_ups_variables_say() {
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

/// What can be made at the same time is.
#[test]
fn address_and_network_wait_for_nothing() {
    let plan = up(&[]);
    let free: Vec<&str> = plan
        .steps
        .iter()
        .filter(|step| step.needs.is_empty())
        .map(|step| step.key.as_str())
        .collect();
    assert_eq!(free, ["network", "reserve-address"]);
}

#[test]
fn nodes_are_let_in_when_the_endpoint_answers() {
    let plan = up(&[("NUM_NODES", "3")]);
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

/// A balancer's data plane may start long after its rule is there.
#[test]
fn an_endpoint_that_does_not_answer_yet_is_waited_for() {
    let mut world = World::settled(fixtures::intent(&[]));
    world.observed.endpoint_ready = false;
    assert_eq!(world.keys(), ["await-endpoint"]);
}

/// Nobody may come by ssh but who is named, and nobody is by default.
#[test]
fn ssh_is_open_to_those_who_are_named() {
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
