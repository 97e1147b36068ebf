//! What follows from which state.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use serde_json::{Value, json};

use super::*;
use crate::compute::backend_service::BackendService;
use crate::compute::crud::put_new;
use crate::compute::health_check::HealthCheck;
use crate::compute::instance_group::InstanceGroup;
use crate::compute::instance_group_manager::InstanceGroupManager;
use crate::compute::instance_template::InstanceTemplate;
use crate::compute::legacy_health_check::HttpHealthCheck;
use crate::compute::network::Network;
use crate::compute::resource::Managed;
use crate::compute::scope::Scope;
use crate::compute::target_pool::TargetPool;
use crate::operation::Job;
use crate::store::Phase;
use crate::store::addresses::Block;

const ZONE: &str = "europe-west1-b";
const PORT: u16 = 6443;

fn put<R: Managed>(state: &mut State, scope: Scope, name: &str, mut body: Value) -> Key {
    body["name"] = json!(name);
    let key = Key::new(scope, name);
    put_new::<R>(state, &key, serde_json::from_value(body).unwrap()).unwrap();
    state.table_mut(R::TYPE).set_phase(&key, Phase::Ready);
    key
}

fn put_firewall(state: &mut State, rule: Value) {
    put::<Firewall>(state, Scope::Global, "fw", rule);
}

/// One running instance m1 of tag `web` with an external address.
fn state() -> State {
    let mut state = State::new("p", Block::new(64));
    let network = json!({"autoCreateSubnetworks": true});
    put::<Network>(&mut state, Scope::Global, "default", network);
    let instance = json!({
        "machineType": format!("zones/{ZONE}/machineTypes/e2-small"),
        "disks": [{"boot": true, "initializeParams": {}}],
        "tags": {"items": ["web"]},
        "networkInterfaces": [{"network": "global/networks/default", "accessConfigs": [{}]}],
    });
    let key = put::<Instance>(&mut state, Scope::Zone(ZONE.into()), "m1", instance);
    state.instances.get_mut(&key).unwrap().status = Status::Running;
    state
}

/// The same, behind a forwarding rule with an HTTPS check.
fn balanced() -> State {
    let mut state = state();
    let zone = || Scope::Zone(ZONE.into());
    let region = || Scope::Region("europe-west1".into());
    let group = put::<InstanceGroup>(&mut state, zone(), "ig", json!({}));
    let member = state.link_of::<Instance>(&Key::new(zone(), "m1"));
    let group = state.instance_groups.get_mut(&group).unwrap();
    group.added.push(member);
    let check = json!({"type": "HTTPS", "httpsHealthCheck": {"port": PORT}});
    put::<HealthCheck>(&mut state, region(), "hc", check);
    let service = json!({
        "healthChecks": ["regions/europe-west1/healthChecks/hc"],
        "backends": [{"group": format!("zones/{ZONE}/instanceGroups/ig")}],
    });
    put::<BackendService>(&mut state, region(), "bs", service);
    let rule = json!({
        "backendService": "regions/europe-west1/backendServices/bs",
        "ports": [PORT.to_string()],
    });
    put::<ForwardingRule>(&mut state, region(), "rule", rule);
    state
}

fn tcp(ports: Value) -> Value {
    json!([{"IPProtocol": "tcp", "ports": ports}])
}

fn ports(state: &State) -> Vec<u16> {
    let routes = desired(state, 1024).routes;
    routes.keys().map(|address| address.port()).collect()
}

#[test]
fn firewalls_decide_which_ports_of_a_machine_are_served() {
    for (rule, served) in [
        (
            json!({"allowed": tcp(json!(["6443", "2379-2380"]))}),
            vec![2379, 2380, 6443],
        ),
        (
            json!({"allowed": tcp(json!(["6443"])), "targetTags": ["web"]}),
            vec![6443],
        ),
        (
            json!({"allowed": tcp(json!(["6443"])), "targetTags": ["db"]}),
            vec![],
        ),
        (
            json!({"allowed": tcp(json!(["6443"])), "disabled": true}),
            vec![],
        ),
        (
            json!({"allowed": tcp(json!(["6443"])), "sourceTags": ["web"]}),
            vec![],
        ),
        (
            json!({"allowed": [{"IPProtocol": "udp", "ports": ["6443"]}]}),
            vec![],
        ),
    ] {
        let mut state = state();
        put_firewall(&mut state, rule.clone());
        assert_eq!(ports(&state), served, "{rule}");
    }
}

#[test]
fn privileged_ports_and_wide_ranges_are_noted_instead() {
    let mut state = state();
    put_firewall(
        &mut state,
        json!({"allowed": tcp(json!(["443", "20000-30000"]))}),
    );
    let desired = desired(&state, 1024);
    assert!(desired.routes.is_empty());
    let notes: Vec<&String> = desired.notes.iter().collect();
    assert!(
        notes
            .iter()
            .any(|note| note.contains("port 443 of instance m1")),
        "{notes:?}"
    );
    assert!(
        notes.iter().any(|note| note.contains("20000-30000")),
        "{notes:?}"
    );
}

#[test]
fn an_access_config_is_served_when_its_operation_says_so() {
    let mut state = state();
    put_firewall(&mut state, json!({"allowed": tcp(json!(["6443"]))}));
    let operation = Key::zonal(ZONE, "operation-1");
    let job = Job {
        target: Target::of::<Instance>(&Key::zonal(ZONE, "m1")),
        work: Work::AddAccessConfig,
        in_force: false,
        fails: None,
        stuck: None,
    };
    state.jobs.insert(operation.clone(), job);
    assert_eq!(ports(&state), Vec::<u16>::new());
    state.jobs.get_mut(&operation).unwrap().in_force = true;
    assert_eq!(ports(&state), [6443]);
}

#[test]
fn backends_are_probed_while_a_rule_uses_their_service() {
    let mut state = balanced();
    put_firewall(&mut state, json!({"allowed": tcp(json!(["6443"]))}));
    let with_rule = desired(&state, 1024);
    assert_eq!(with_rule.probes.len(), 1);
    assert!(with_rule.probes.values().all(|probe| probe.admitted));
    let rule = Key::new(Scope::Region("europe-west1".into()), "rule");
    let kind = Target::of::<ForwardingRule>(&rule).kind;
    state.table_mut(kind).set_phase(&rule, Phase::Deleting);
    assert!(desired(&state, 1024).probes.is_empty());
}

#[test]
fn a_firewall_that_keeps_the_health_checks_out_makes_backends_unhealthy() {
    let mut state = balanced();
    let rule = json!({"allowed": tcp(json!(["6443"])), "sourceRanges": ["127.0.0.0/8"]});
    put_firewall(&mut state, rule);
    let desired = desired(&state, 1024);
    assert!(desired.probes.values().all(|probe| !probe.admitted));
    assert!(
        desired
            .notes
            .iter()
            .any(|note| note.contains("35.191.0.0/16"))
    );
}

/// The instance of `state`, and one that isn't there yet, in a pool behind a rule for this port.
fn pooled(check: bool) -> State {
    let mut state = state();
    let region = || Scope::Region("europe-west1".into());
    let question = json!({"port": PORT, "requestPath": "/healthz"});
    put::<HttpHealthCheck>(&mut state, Scope::Global, "hc", question);
    let checks = ["global/httpHealthChecks/hc"];
    let members = ["m1", "m2"].map(|name| format!("zones/{ZONE}/instances/{name}"));
    let pool = json!({"instances": members, "healthChecks": &checks[..usize::from(check)]});
    put::<TargetPool>(&mut state, region(), "pool", pool);
    let rule = json!({"target": "regions/europe-west1/targetPools/pool", "portRange": "6443"});
    put::<ForwardingRule>(&mut state, region(), "rule", rule);
    put_firewall(&mut state, json!({"allowed": tcp(json!(["6443"]))}));
    state
}

#[test]
fn a_pool_is_balanced_over_those_of_its_instances_that_are_there() {
    let rule = Key::new(Scope::Region("europe-west1".into()), "rule");
    let owner = Target::of::<ForwardingRule>(&rule);
    for check in [true, false] {
        let state = pooled(check);
        let desired = desired(&state, 1024);
        let routes = desired.routes.values().filter(|route| route.owner == owner);
        let upstreams: Vec<&Upstream> = routes.flat_map(|route| &route.upstreams).collect();
        let [upstream] = upstreams.as_slice() else {
            panic!("{upstreams:?}");
        };
        assert_eq!(upstream.backend.is_some(), check);
        assert_eq!(desired.probes.len(), usize::from(check));
        assert!(
            desired
                .probes
                .values()
                .all(|probe| probe.path == "/healthz")
        );
    }
}

#[test]
fn a_managed_groups_instances_are_backends_through_the_group_beside_it() {
    let mut state = balanced();
    put_firewall(&mut state, json!({"allowed": tcp(json!(["6443"]))}));
    let template = json!({"properties": {
        "machineType": "e2-small",
        "disks": [{"boot": true, "initializeParams": {}}],
        "networkInterfaces": [{"network": "global/networks/default"}],
    }});
    put::<InstanceTemplate>(&mut state, Scope::Global, "t", template);
    let manager = json!({"targetSize": 1, "instanceTemplate": "global/instanceTemplates/t"});
    let manager = put::<InstanceGroupManager>(&mut state, Scope::Zone(ZONE.into()), "mig", manager);
    let member = state
        .instance_group_managers
        .get(&manager)
        .unwrap()
        .resource
        .member_keys()
        .next()
        .unwrap();
    state.instances.get_mut(&member).unwrap().status = Status::Running;
    let service = Key::new(Scope::Region("europe-west1".into()), "bs");
    let service = state.backend_services.get_mut(&service).unwrap();
    service.backends[0].group = format!("zones/{ZONE}/instanceGroups/mig");
    let probed: Vec<Key> = desired(&state, 1024)
        .probes
        .into_keys()
        .map(|id| id.instance)
        .collect();
    assert_eq!(probed, [member]);
}
