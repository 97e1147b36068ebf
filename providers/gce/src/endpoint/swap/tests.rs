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

fn on(name: &str, change: NicChange) -> Call {
    nic(name, None).call(change)
}

fn remove(name: &str) -> Call {
    on(name, NicChange::RemoveConfig("external-nat".into()))
}

fn add(name: &str, address: ConfigAddress) -> Call {
    on(name, NicChange::AddConfig(address))
}

const EPHEMERAL: Option<ConfigAddress> = Some(ConfigAddress::Ephemeral);

fn this() -> ConfigAddress {
    ConfigAddress::This(ip(ENDPOINT))
}

#[test]
fn promote_moves_the_address_and_then_gives_the_machine_another() {
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
fn demote_frees_the_machines_interface_first() {
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
fn from_machine_to_machine_no_rule_is_involved() {
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
fn a_machine_that_is_leaving_or_private_gets_no_other_address() {
    let mut leaving = nic("m-1", Some(ENDPOINT));
    leaving.leaving = true;
    let swap = situation(None, &[leaving]).swap(&EndpointTarget::Balancer, EPHEMERAL);
    assert_eq!(swap.release, Some(remove("m-1")));
    assert_eq!(swap.after, []);

    let bare = situation(None, &[nic("m-1", Some(ENDPOINT))]);
    assert_eq!(bare.swap(&EndpointTarget::Balancer, None).after, []);
}

#[test]
fn a_rule_with_another_address_is_deleted_before_the_swap() {
    let situation = situation(Some(OTHER), &[nic("m-1", Some(ENDPOINT))]);
    let swap = situation.swap(&EndpointTarget::Balancer, EPHEMERAL);
    assert_eq!(swap.before, [Call::DeleteRule]);
    assert_eq!(swap.release, Some(remove("m-1")));
}

/// A machine without an external address, with these alias addresses.
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

fn remove_alias(name: &str) -> Call {
    on(name, NicChange::RemoveAlias(ip(ENDPOINT)))
}

fn add_alias(name: &str) -> Call {
    on(name, NicChange::AddAlias(ip(ENDPOINT)))
}

#[test]
fn an_internal_address_moves_between_an_alias_and_the_rule() {
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

/// A model of the calls' effects, as strict as Compute Engine: one holder of the address, one
/// access config per interface.
fn apply(situation: &mut Situation, call: &Call) {
    let (endpoint, held) = (situation.address, situation.is_held());
    let (machine, change) = match call {
        Call::DeleteRule => return assert!(situation.rule.take().is_some()),
        Call::InsertRule => {
            assert!(!held && situation.rule.is_none());
            situation.rule = Some(endpoint);
            return;
        }
        Call::On {
            machine, change, ..
        } => (machine, change),
    };
    let mut machines = situation.machines.iter_mut();
    let nic = machines.find(|nic| nic.machine == *machine).unwrap();
    match change {
        NicChange::RemoveConfig(_) => assert!(nic.config.take().is_some()),
        NicChange::AddConfig(address) => {
            let address = match address {
                ConfigAddress::Ephemeral => ip("35.9.9.9"),
                ConfigAddress::This(address) => {
                    assert!(!held);
                    *address
                }
            };
            assert!(nic.config.is_none());
            nic.config = Some(AccessConfig {
                name: "External NAT".into(),
                address: Some(address),
            });
        }
        NicChange::RemoveAlias(address) => {
            assert!(nic.aliases.contains(address));
            nic.aliases.retain(|alias| alias != address);
        }
        NicChange::AddAlias(address) => {
            assert!(*address != endpoint || !held);
            nic.aliases.push(*address);
        }
    }
}

#[test]
fn a_retry_finishes_after_a_crash_between_any_two_calls() {
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
fn a_release_can_be_undone() {
    assert_eq!(remove("m-1").undo(ip(ENDPOINT)), Some(add("m-1", this())));
    assert_eq!(
        remove_alias("m-1").undo(ip(ENDPOINT)),
        Some(add_alias("m-1"))
    );
    assert_eq!(Call::DeleteRule.undo(ip(ENDPOINT)), Some(Call::InsertRule));
}
