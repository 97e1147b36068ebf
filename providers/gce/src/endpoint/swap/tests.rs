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
        aliases: Vec::new(),
        leaving: false,
    }
}

fn situation(rule: Option<&str>, machines: &[Nic]) -> Situation {
    Situation {
        address: ip(ENDPOINT),
        rule: rule.map(ip),
        machines: machines.to_vec(),
        held_as: HeldAs::AccessConfig,
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

    let bare = situation(None, &[nic("m-1", Some(ENDPOINT))]);
    assert_eq!(bare.swap(&EndpointTarget::Balancer, None).after, []);
}

#[test]
fn a_rule_with_another_address_is_out_of_the_way_before_the_swap() {
    let situation = situation(Some(OTHER), &[nic("m-1", Some(ENDPOINT))]);
    let swap = situation.swap(&EndpointTarget::Balancer, EPHEMERAL);
    assert_eq!(swap.before, [Call::DeleteRule]);
    assert_eq!(swap.release, Some(remove("m-1")));
}

/// A machine without an external address, which answers to these besides its own.
fn private(name: &str, aliases: &[&str]) -> Nic {
    Nic {
        aliases: aliases.iter().map(|address| ip(address)).collect(),
        ..nic(name, None)
    }
}

fn internal(rule: Option<&str>, machines: &[Nic]) -> Situation {
    Situation {
        held_as: HeldAs::Alias,
        ..situation(rule, machines)
    }
}

fn alias(name: &str) -> (MachineRef, String, IpAddr) {
    (reference(name), "nic0".into(), ip(ENDPOINT))
}

fn remove_alias(name: &str) -> Call {
    let (machine, interface, address) = alias(name);
    Call::RemoveAlias {
        machine,
        interface,
        address,
    }
}

fn add_alias(name: &str) -> Call {
    let (machine, interface, address) = alias(name);
    Call::AddAlias {
        machine,
        interface,
        address,
    }
}

#[test]
fn an_internal_address_goes_from_the_machines_aliases_to_the_rule_and_back() {
    let on_machine = internal(None, &[private("m-1", &[OTHER, ENDPOINT])]);
    let promote = Swap {
        release: Some(remove_alias("m-1")),
        hold: Some(Call::InsertRule),
        ..Swap::default()
    };
    assert_eq!(on_machine.swap(&EndpointTarget::Balancer, None), promote);

    let on_rule = internal(Some(ENDPOINT), &[private("m-1", &[OTHER])]);
    let demote = Swap {
        release: Some(Call::DeleteRule),
        hold: Some(add_alias("m-1")),
        ..Swap::default()
    };
    let target = EndpointTarget::Machine(reference("m-1"));
    assert_eq!(on_rule.swap(&target, None), demote);
    assert_eq!(on_machine.swap(&target, None), Swap::default());
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
        Call::RemoveAlias {
            machine, address, ..
        } => {
            let mut machines = situation.machines.iter_mut();
            let nic = machines.find(|nic| nic.machine == *machine).unwrap();
            assert!(nic.aliases.contains(address));
            nic.aliases.retain(|alias| alias != address);
        }
        Call::AddAlias {
            machine, address, ..
        } => {
            assert!(*address != endpoint || !situation.is_held());
            let mut machines = situation.machines.iter_mut();
            let nic = machines.find(|nic| nic.machine == *machine).unwrap();
            nic.aliases.push(*address);
        }
    }
}

#[test]
fn after_a_crash_between_any_two_calls_the_same_call_finishes() {
    let machines = [nic("m-1", Some(ENDPOINT)), nic("m-2", Some(OTHER))];
    let privates = [private("m-1", &[ENDPOINT]), private("m-2", &[])];
    let starts = [
        (EPHEMERAL, situation(None, &machines)),
        (
            EPHEMERAL,
            situation(
                Some(ENDPOINT),
                &[nic("m-1", Some("35.3.3.3")), nic("m-2", Some(OTHER))],
            ),
        ),
        (EPHEMERAL, situation(Some(OTHER), &machines)),
        (None, internal(None, &privates)),
        (
            None,
            internal(Some(ENDPOINT), &[private("m-1", &[]), private("m-2", &[])]),
        ),
        (None, internal(Some(OTHER), &privates)),
    ];
    let targets = [
        EndpointTarget::Balancer,
        EndpointTarget::Machine(reference("m-1")),
        EndpointTarget::Machine(reference("m-2")),
    ];
    for (released, start) in &starts {
        for target in &targets {
            for crash_after in 0..6 {
                let mut now = start.clone();
                let first = now.swap(target, *released);
                for call in calls(&first).into_iter().take(crash_after) {
                    apply(&mut now, &call);
                }
                let again = now.swap(target, *released);
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
                let given = |nic: &Nic| nic.config.is_some() == released.is_some();
                assert!(now.machines.iter().all(given));
                assert_eq!(now.swap(target, *released), Swap::default());
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
    assert_eq!(
        remove_alias("m-1").undo(ip(ENDPOINT)),
        Some(add_alias("m-1"))
    );
    assert_eq!(Call::DeleteRule.undo(ip(ENDPOINT)), Some(Call::InsertRule));
}
