//! The units of a machine, as systemd shows them.

use std::collections::HashMap;

use hakube_local_machine::{UnitState, UnitStatus};

/// Shows all units that it has loaded.
pub(crate) const COMMAND: [&str; 4] = [
    "systemctl",
    "show",
    "*",
    "--property=Id,ActiveState,SubState,MainPID,NRestarts,FragmentPath",
];
/// Where units of the machine's user data are.
const OWN: &str = "/etc/systemd/system/";
/// Units of every machine.
const EVERYONES: [&str; 2] = ["yard-", "google-guest-agent-"];

/// The units that the machine's user data has brought.
pub(crate) fn parse(shown: &str) -> Vec<UnitStatus> {
    let mut units: Vec<UnitStatus> = shown.split("\n\n").filter_map(unit).collect();
    units.sort_by(|a, b| a.name.cmp(&b.name));
    units.dedup_by(|a, b| a.name == b.name);
    units
}

fn unit(block: &str) -> Option<UnitStatus> {
    let fields: HashMap<&str, &str> = block
        .lines()
        .filter_map(|line| line.split_once('='))
        .collect();
    let name = *fields.get("Id")?;
    let is_own = fields.get("FragmentPath")?.starts_with(OWN);
    if !is_own || EVERYONES.iter().any(|start| name.starts_with(start)) {
        return None;
    }
    let number = |field: &str| fields.get(field).and_then(|text| text.parse().ok());
    Some(UnitStatus {
        name: name.to_owned(),
        state: state(
            fields.get("ActiveState").copied().unwrap_or_default(),
            fields.get("SubState").copied().unwrap_or_default(),
        ),
        pid: number("MainPID").filter(|pid| *pid != 0),
        restarts: number("NRestarts").unwrap_or_default(),
    })
}

fn state(active: &str, sub: &str) -> UnitState {
    match (active, sub) {
        ("active", "exited") => UnitState::Exited,
        ("active", "waiting") => UnitState::Waiting,
        ("active" | "reloading", _) => UnitState::Running,
        ("activating", "auto-restart") => UnitState::Restarting,
        ("activating", _) => UnitState::Starting,
        ("deactivating", _) => UnitState::Stopping,
        ("failed", _) => UnitState::Failed,
        _ => UnitState::Inactive,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_of_the_user_data_are_shown_with_their_states() {
        let shown = "MainPID=41\nNRestarts=2\nId=etcd.service\nActiveState=active\nSubState=running\n\
                     FragmentPath=/etc/systemd/system/etcd.service\n\n\
                     Id=gate.service\nActiveState=failed\nSubState=failed\nMainPID=0\nNRestarts=0\n\
                     FragmentPath=/etc/systemd/system/gate.service\n\n\
                     Id=ssh.service\nActiveState=active\nSubState=running\nMainPID=7\n\
                     FragmentPath=/lib/systemd/system/ssh.service\n\n\
                     Id=yard-network.service\nActiveState=active\nSubState=exited\n\
                     FragmentPath=/etc/systemd/system/yard-network.service\n";
        let units = parse(shown);
        let brief: Vec<_> = units
            .iter()
            .map(|unit| (unit.name.as_str(), unit.state, unit.pid, unit.restarts))
            .collect();
        let expected = [
            ("etcd.service", UnitState::Running, Some(41), 2),
            ("gate.service", UnitState::Failed, None, 0),
        ];
        assert_eq!(brief, expected);
    }
}
