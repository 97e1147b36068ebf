//! Tests of the desired listeners and health checks.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use serde_json::{Value, json};

use hakube_local_resources::rules::managed::{Managed, put_new};
use hakube_local_resources::types::{
    BackendService, HealthCheck, HttpHealthCheck, InstanceGroup, InstanceGroupManager,
    InstanceTemplate, Job, Network, TargetPool,
};
use hakube_local_resources::{Block, Phase, Scope};

use super::*;

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

/// One running instance m1 with the tag and the service account `web`, and an external address.
fn state() -> State {
    let mut state = State::new("p", Block::new(64));
    let network = json!({"autoCreateSubnetworks": true});
    put::<Network>(&mut state, Scope::Global, "default", network);
    let instance = json!({
        "machineType": format!("zones/{ZONE}/machineTypes/e2-small"),
        "disks": [{"boot": true, "initializeParams": {}}],
        "tags": {"items": ["web"]},
        "serviceAccounts": [{"email": "web@p.test"}],
        "networkInterfaces": [{"network": "global/networks/default", "accessConfigs": [{}]}],
    });
    let key = put::<Instance>(&mut state, Scope::Zone(ZONE.into()), "m1", instance);
    state.instances.get_mut(&key).unwrap().status = Status::Running;
    state
}

/// The same instance behind a forwarding rule with an HTTPS check.
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
            json!({"allowed": tcp(json!(["6443"])), "targetServiceAccounts": ["web@p.test"]}),
            vec![6443],
        ),
        (
            json!({"allowed": tcp(json!(["6443"])), "targetServiceAccounts": ["db@p.test"]}),
            vec![],
        ),
        (
            json!({"allowed": tcp(json!(["6443"])), "sourceServiceAccounts": ["web@p.test"]}),
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

/// The instance of `state`, and one that doesn't exist yet, in a pool behind a rule for this port.
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
    for check in [true, false] {
        let state = pooled(check);
        let owner = state.path_of::<ForwardingRule>(&rule);
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
    let probed: Vec<String> = desired(&state, 1024)
        .probes
        .into_keys()
        .map(|id| id.instance)
        .collect();
    assert_eq!(probed, [state.path_of::<Instance>(&member)]);
}

/// The wiring of the same instance, on a cloud of hosts.
fn of_hosts(mut state: State) -> State {
    state.block = state.block.of_hosts(true);
    state
}

#[test]
fn source_tags_and_accounts_are_the_addresses_of_machines() {
    let mut state = of_hosts(state());
    let rule = json!({"sourceTags": ["web"], "allowed": tcp(json!(["443"]))});
    put_firewall(&mut state, rule);
    let wiring = wiring(&state);
    let (own, wire) = wiring.machines.first_key_value().unwrap();
    let ingress = &wire.ingress[0];
    assert_eq!(ingress.machines, [*own]);
    assert!(ingress.ranges.is_empty());
    assert_eq!(
        ingress.traffic,
        [(hakube_local_net::IpProtocol::TCP, vec![(443, 443)])]
    );
}

#[test]
fn a_machine_that_is_off_has_no_external_address() {
    let mut state = of_hosts(state());
    let external = |state: &State| {
        wiring(state)
            .machines
            .into_values()
            .next()
            .unwrap()
            .external
    };
    assert!(external(&state).is_some());
    let key = Key::zonal(ZONE, "m1");
    state.instances.get_mut(&key).unwrap().status = Status::Terminated;
    assert_eq!(external(&state), None);
}

#[test]
fn routes_lead_to_machines_that_may_forward() {
    let mut state = of_hosts(state());
    let route = json!({
        "network": "global/networks/default", "destRange": "10.200.0.0/24",
        "nextHopInstance": format!("zones/{ZONE}/instances/m1"),
    });
    put::<hakube_local_resources::types::Route>(&mut state, Scope::Global, "r", route);
    assert!(wiring(&state).routes.is_empty());
    let key = Key::zonal(ZONE, "m1");
    let instance = state.instances.get_mut(&key).unwrap();
    instance.rest.insert("canIpForward".into(), true.into());
    let address = instance.internal_ip().unwrap();
    let expected = [("10.200.0.0/24".parse().unwrap(), address)];
    assert_eq!(wiring(&state).routes, expected.into());
}

#[test]
fn health_checks_of_hosts_come_from_googles_range() {
    let state = of_hosts(balanced());
    let wiring = wiring(&state);
    let probe = wiring.probes.values().next().unwrap();
    // The machine's firewall decides, not the plane.
    assert!(probe.admitted && probe.source == Some(PROBERS));
    assert_eq!(wiring.balancers[0].ports, [(PORT, PORT)]);
    let key = Key::zonal(ZONE, "m1");
    let front = wiring.balancers[0].address;
    assert_eq!(forwarded_addresses(&state, &key), [front].into());
}
