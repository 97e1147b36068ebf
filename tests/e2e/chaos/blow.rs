//! Faults of a replica, or of the local cloud's daemon.

use crate::support::{Emulator, Home, Process, text};
use nix::sys::signal::Signal;
use serde_json::Value;
use std::time::Duration;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Blow {
    EtcdKilled,
    EtcdFrozen,
    ApiServerKilled,
    ApiServerFrozen,
    MachineKilled,
    MachineFrozen,
    MachineDeleted,
    DaemonKilled,
    DaemonFrozen,
}

impl Blow {
    /// The faults, with repetitions as weights.
    pub const ALL: [Self; 11] = [
        Self::EtcdKilled,
        Self::EtcdKilled,
        Self::EtcdFrozen,
        Self::EtcdFrozen,
        Self::ApiServerKilled,
        Self::ApiServerFrozen,
        Self::MachineKilled,
        Self::MachineFrozen,
        Self::MachineDeleted,
        Self::DaemonKilled,
        Self::DaemonFrozen,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::EtcdKilled => "etcd killed",
            Self::EtcdFrozen => "etcd frozen",
            Self::ApiServerKilled => "API server killed",
            Self::ApiServerFrozen => "API server frozen",
            Self::MachineKilled => "machine killed",
            Self::MachineFrozen => "machine frozen",
            Self::MachineDeleted => "machine deleted by hand",
            Self::DaemonKilled => "daemon killed",
            Self::DaemonFrozen => "daemon frozen",
        }
    }

    /// Applies the fault to this replica; a frozen target resumes after a while. Returns whether there was a
    /// target: a machine may be about to be removed.
    pub async fn strike(self, home: &Home, replica: &Value, frozen: Duration) -> bool {
        let cloud = home.cloud();
        let machine = format!("{}/{}", text(replica, "zone"), text(replica, "name"));
        match self {
            Self::MachineKilled => cloud.kill(&machine).await.is_ok(),
            Self::MachineFrozen => {
                let struck = cloud.pause(&machine).await.is_ok();
                tokio::time::sleep(frozen).await;
                // It may be removed by now.
                let _ = cloud.resume(&machine).await;
                struck
            }
            Self::MachineDeleted => {
                let (zone, name) = (text(replica, "zone"), text(replica, "name"));
                let emulator = Emulator::of(home).await;
                emulator
                    .try_delete(&format!("zones/{zone}/instances/{name}"))
                    .await
            }
            Self::EtcdKilled | Self::ApiServerKilled | Self::DaemonKilled => {
                let struck = self.processes(home, replica);
                send(&struck, Signal::SIGKILL)
            }
            Self::EtcdFrozen | Self::ApiServerFrozen | Self::DaemonFrozen => {
                let struck = self.processes(home, replica);
                send(&struck, Signal::SIGSTOP);
                tokio::time::sleep(frozen).await;
                send(&struck, Signal::SIGCONT)
            }
        }
    }

    fn processes(self, home: &Home, replica: &Value) -> Vec<Process> {
        let machine = home.machine_root(text(replica, "zone"), text(replica, "name"));
        let mut all = match self {
            Self::DaemonKilled | Self::DaemonFrozen => home.processes(),
            _ => Process::all_of(&machine),
        };
        all.retain(|process| match self {
            Self::EtcdKilled | Self::EtcdFrozen => process.runs("etcd"),
            Self::ApiServerKilled | Self::ApiServerFrozen => {
                process.command.contains(" stand-in kube-apiserver ")
            }
            Self::DaemonKilled | Self::DaemonFrozen => process.command.contains(" local serve "),
            Self::MachineKilled | Self::MachineFrozen | Self::MachineDeleted => false,
        });
        all
    }
}

fn send(processes: &[Process], signal: Signal) -> bool {
    processes.iter().for_each(|process| process.signal(signal));
    !processes.is_empty()
}
