#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;

const ENDPOINT: &str = "34.1.1.1";
const OTHER: &str = "35.2.2.2";

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn reference(name: &str) -> MachineRef {
    MachineRef {
        name: name.into(),
        zone: "z-b".into(),
    }
}

fn nic(name: &str, address: Option<&str>) -> Nic {
    Nic {
        machine: reference(name),
        interface: "nic0".into(),
        config: address.map(|address| AccessConfig {
            name: "external-nat".into(),
            address: Some(ip(address)),
        }),
        leaving: false,
    }
}

fn situation(rule: Option<&str>, machines: &[Nic]) -> Situation {
    Situation {
        address: ip(ENDPOINT),
        rule: rule.map(ip),
        machines: machines.to_vec(),
    }
}

fn remove(name: &str) -> Call {
    Call::RemoveConfig {
        machine: reference(name),
        interface: "nic0".into(),
        config: "external-nat".into(),
    }
}

fn add(name: &str, address: ConfigAddress) -> Call {
    Call::AddConfig {
        machine: reference(name),
        interface: "nic0".into(),
        address,
    }
}

const EPHEMERAL: Option<ConfigAddress> = Some(ConfigAddress::Ephemeral);

fn this() -> ConfigAddress {
    ConfigAddress::This(ip(ENDPOINT))
}

#[test]
fn promote_takes_the_address_from_its_machine_and_gives_it_another_afterwards() {
    let situation = situation(None, &[nic("m-1", Some(ENDPOINT)), nic("m-2", Some(OTHER))]);
    let expected = Swap {
        before: vec![],
        release: Some(remove("m-1")),
        hold: Some(Call::InsertRule),
        after: vec![add("m-1", ConfigAddress::Ephemeral)],
    };
    assert_eq!(
        situation.swap(&EndpointTarget::Balancer, EPHEMERAL),
        expected
    );
}

#[test]
fn demote_frees_the_machines_interface_before_the_address_is_released() {
    let target = EndpointTarget::Machine(reference("m-1"));
    let situation = situation(Some(ENDPOINT), &[nic("m-1", Some(OTHER))]);
    let expected = Swap {
        before: vec![remove("m-1")],
        release: Some(Call::DeleteRule),
        hold: Some(add("m-1", this())),
        after: vec![],
    };
    assert_eq!(situation.swap(&target, EPHEMERAL), expected);
}

#[test]
fn from_machine_to_machine_the_rule_stays_out_of_it() {
    let target = EndpointTarget::Machine(reference("m-2"));
    let situation = situation(None, &[nic("m-1", Some(ENDPOINT)), nic("m-2", Some(OTHER))]);
    let expected = Swap {
        before: vec![remove("m-2")],
        release: Some(remove("m-1")),
        hold: Some(add("m-2", this())),
        after: vec![add("m-1", ConfigAddress::Ephemeral)],
    };
    assert_eq!(situation.swap(&target, EPHEMERAL), expected);
}

#[test]
fn a_target_that_holds_the_address_needs_no_call() {
    let on_balancer = situation(Some(ENDPOINT), &[nic("m-1", Some(OTHER))]);
    let swap = on_balancer.swap(&EndpointTarget::Balancer, EPHEMERAL);
    assert_eq!(swap, Swap::default());

    let on_machine = situation(None, &[nic("m-1", Some(ENDPOINT))]);
    let target = EndpointTarget::Machine(reference("m-1"));
    assert_eq!(on_machine.swap(&target, EPHEMERAL), Swap::default());
}

#[test]
fn a_machine_that_is_leaving_or_should_have_none_gets_no_other_address() {
    let mut leaving = nic("m-1", Some(ENDPOINT));
    leaving.leaving = true;
    let swap = situation(None, &[leaving]).swap(&EndpointTarget::Balancer, EPHEMERAL);
    assert_eq!(swap.release, Some(remove("m-1")));
    assert_eq!(swap.after, []);

    let private = situation(None, &[nic("m-1", Some(ENDPOINT))]);
    assert_eq!(private.swap(&EndpointTarget::Balancer, None).after, []);
}

#[test]
fn a_rule_with_another_address_is_out_of_the_way_before_the_swap() {
    let situation = situation(Some(OTHER), &[nic("m-1", Some(ENDPOINT))]);
    let swap = situation.swap(&EndpointTarget::Balancer, EPHEMERAL);
    assert_eq!(swap.before, [Call::DeleteRule]);
    assert_eq!(swap.release, Some(remove("m-1")));
}

/// A model of what the calls do, strict as Compute Engine is: one holder of the address, one access
/// config for each interface.
fn apply(situation: &mut Situation, call: &Call) {
    let endpoint = situation.address;
    match call {
        Call::DeleteRule => assert!(situation.rule.take().is_some()),
        Call::InsertRule => {
            assert!(!situation.is_held() && situation.rule.is_none());
            situation.rule = Some(endpoint);
        }
        Call::RemoveConfig { machine, .. } => {
            let nic = situation
                .machines
                .iter_mut()
                .find(|nic| nic.machine == *machine);
            assert!(nic.unwrap().config.take().is_some());
        }
        Call::AddConfig {
            machine, address, ..
        } => {
            let held = situation.is_held();
            let address = match address {
                ConfigAddress::Ephemeral => ip("35.9.9.9"),
                ConfigAddress::This(address) => {
                    assert!(!held);
                    *address
                }
            };
            let nic = situation
                .machines
                .iter_mut()
                .find(|nic| nic.machine == *machine);
            let config = &mut nic.unwrap().config;
            assert!(config.is_none());
            *config = Some(AccessConfig {
                name: "External NAT".into(),
                address: Some(address),
            });
        }
    }
}

#[test]
fn after_a_crash_between_any_two_calls_the_same_call_finishes() {
    let machines = [nic("m-1", Some(ENDPOINT)), nic("m-2", Some(OTHER))];
    let starts = [
        situation(None, &machines),
        situation(
            Some(ENDPOINT),
            &[nic("m-1", Some("35.3.3.3")), nic("m-2", Some(OTHER))],
        ),
        situation(Some(OTHER), &machines),
    ];
    let targets = [
        EndpointTarget::Balancer,
        EndpointTarget::Machine(reference("m-1")),
        EndpointTarget::Machine(reference("m-2")),
    ];
    for start in &starts {
        for target in &targets {
            for crash_after in 0..6 {
                let mut now = start.clone();
                let first = now.swap(target, EPHEMERAL);
                for call in calls(&first).into_iter().take(crash_after) {
                    apply(&mut now, &call);
                }
                let again = now.swap(target, EPHEMERAL);
                for call in calls(&again) {
                    apply(&mut now, &call);
                }
                let holds = match target {
                    EndpointTarget::Balancer => now.rule == Some(ip(ENDPOINT)),
                    EndpointTarget::Machine(machine) => {
                        now.holder().map(|nic| &nic.machine) == Some(machine)
                    }
                };
                assert!(holds, "{start:?} -> {target:?}, crash after {crash_after}");
                assert!(now.machines.iter().all(|nic| nic.config.is_some()));
                assert_eq!(now.swap(target, EPHEMERAL), Swap::default());
            }
        }
    }
}

fn calls(swap: &Swap) -> Vec<Call> {
    let parts = [
        swap.before.clone(),
        swap.release.iter().chain(&swap.hold).cloned().collect(),
        swap.after.clone(),
    ];
    parts.concat()
}

#[test]
fn what_released_the_address_can_be_undone() {
    assert_eq!(remove("m-1").undo(ip(ENDPOINT)), Some(add("m-1", this())));
    assert_eq!(Call::DeleteRule.undo(ip(ENDPOINT)), Some(Call::InsertRule));
}
