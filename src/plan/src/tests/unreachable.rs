//! Unreachable zones, whose resources neither exist nor are missing.

use super::world::World;
use crate::plan;
use hakube_model::{
    EtcdView, Intent, Observed, RemovalRequest, begin_teardown, choose_removal, replace_replica,
};
use hakube_provider::{MachineState, ResourceKind, Scope};
use hakube_testing::fixtures::{self, ZONES, replicas};

const ABC: &str = "kubernetes-master-abc";
const DEF: &str = "kubernetes-master-def";

/// The observation while a zone is unreachable.
fn without(world: &World, zone: &str) -> Observed {
    let mut seen = world.observed.clone();
    let inventory = &mut seen.inventory;
    let hidden: Vec<String> = inventory
        .machines
        .iter()
        .filter(|machine| machine.zone == zone)
        .map(|machine| machine.name.clone())
        .collect();
    inventory.machines.retain(|machine| machine.zone != zone);
    inventory.disks.retain(|disk| disk.zone != zone);
    let scope = Scope::Zone(zone.to_owned());
    inventory.resources.retain(|found| found.scope != scope);
    inventory.node_groups.retain(|group| group.zone != zone);
    let why = "no route to host".to_owned();
    inventory.unreachable.insert(zone.to_owned(), why);
    for name in hidden {
        seen.apis.remove(&name);
        seen.holds.remove(&name);
        if let EtcdView::Known(members) = &mut seen.etcd {
            let mut members = members.iter_mut();
            if let Some(member) = members.find(|member| member.name == name) {
                member.healthy = false;
            }
        }
    }
    seen
}

/// Two intents: one where the provider holds the address, one where the machines do.
fn both(suffixes: &[&str]) -> [Intent; 2] {
    let mut on_machines = fixtures::intent(&[
        ("KUBERNETES_PROVIDER", "libvirt"),
        ("MULTIZONE", "true"),
        ("NUM_NODES", "3"),
    ]);
    on_machines = on_machines.with_nodes_spread(&ZONES.map(str::to_owned));
    on_machines.replicas = replicas(suffixes).replicas;
    [replicas(suffixes), on_machines]
}

#[test]
fn a_hidden_replica_is_neither_created_nor_removed() {
    for intent in both(&["", "abc", "def"]) {
        let world = World::settled(intent);
        for zone in ZONES {
            let seen = without(&world, zone);
            assert_eq!(plan(&world.intent, &seen).unwrap().steps, [], "{zone}");
        }
    }
}

#[test]
fn a_replica_elsewhere_is_repaired() {
    for intent in both(&["", "abc", "def"]) {
        let mut world = World::settled(intent);
        let machines = &mut world.observed.inventory.machines;
        let def = machines.iter_mut().find(|machine| machine.name == DEF);
        def.unwrap().state = MachineState::Stopped;
        let plan = plan(&world.intent, &without(&world, ZONES[1])).unwrap();
        let keys: Vec<String> = plan.steps.iter().map(|step| step.key.to_string()).collect();
        assert!(
            keys.iter()
                .any(|key| key == "machine/kubernetes-master-def"),
            "{keys:?}"
        );
        assert!(keys.iter().all(|key| !key.contains(ABC)), "{keys:?}");
    }
}

#[test]
fn no_member_joins_or_leaves() {
    for intent in both(&["", "abc", "def"]) {
        let world = World::settled(intent);
        let seen = without(&world, ZONES[1]);
        for name in ["kubernetes-master", ABC] {
            let request = RemovalRequest {
                name: Some(name.to_owned()),
                zone: None,
                force: true,
            };
            let removal = choose_removal(&world.intent, &seen, &request).unwrap_err();
            let replacement =
                replace_replica(&world.intent, &seen, name, None, || "ghi".to_owned()).unwrap_err();
            for error in [removal, replacement] {
                assert!(error.to_string().contains(ZONES[1]), "{error}");
                assert!(error.to_string().contains("no route to host"), "{error}");
            }
        }
        let mut more = world.intent.clone();
        more.replicas.extend(replicas(&["ghi"]).replicas);
        let error = plan(&more, &seen).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("can't add kubernetes-master-ghi"),
            "{error}"
        );
    }
}

/// It was to be removed when its zone became unreachable.
#[test]
fn a_leaving_replica_is_removed_when_its_zone_is_back() {
    for intent in both(&["", "abc", "def"]) {
        let mut world = World::settled(intent);
        world.intent.replicas.retain(|replica| replica.name != ABC);
        let seen = without(&world, ZONES[1]);
        let plan = plan(&world.intent, &seen).unwrap();
        // The balancer isn't in the zone, and drops the replica.
        let mut steps = plan.steps.iter();
        assert!(
            steps.all(|step| !step.key.to_string().contains(ABC)),
            "{plan:#?}"
        );
        assert!(world.keys().contains(&format!("leave/{ABC}")));
        world.converge(0);
    }
}

/// A zone without a replica doesn't matter.
#[test]
fn an_empty_zone_blocks_nothing() {
    for intent in both(&["", "abc"]) {
        let mut world = World::settled(intent);
        world.intent.replicas.truncate(1);
        let seen = without(&world, ZONES[2]);
        let keys = plan(&world.intent, &seen).unwrap().steps;
        assert!(
            keys.iter()
                .any(|step| step.key.to_string() == format!("leave/{ABC}"))
        );
    }
}

#[test]
fn etcd_isnt_formed_while_the_first_replica_is_hidden() {
    for intent in both(&[""]) {
        let mut world = World::settled(intent);
        world.intent.formed = false;
        let error = plan(&world.intent, &without(&world, ZONES[0])).unwrap_err();
        assert!(error.to_string().contains(ZONES[0]), "{error}");
    }
}

/// A hidden machine may hold it.
#[test]
fn the_address_is_kept() {
    for intent in both(&["", "abc"]) {
        let world = World::settled(intent);
        let intent = begin_teardown(&world.intent);
        let plan = plan(&intent, &without(&world, ZONES[1])).unwrap();
        for step in &plan.steps {
            if let crate::Action::Delete(resource) = &step.action {
                assert_ne!(resource.kind, ResourceKind::Address);
                assert_ne!(resource.scope, Scope::Zone(ZONES[1].to_owned()));
            }
        }
        assert!(plan.steps.iter().any(|step| step.key == "prove-empty"));
    }
}
