//! Faults of a replica's host.

use crate::lab::Lab;
use std::time::Duration;

const BOOT: Duration = Duration::from_secs(120);
/// etcd crashes, and its data is deleted before it restarts.
const WIPE: &str = "systemctl kill --signal=KILL etcd; rm -rf /var/lib/etcd/member; systemctl kill --signal=KILL etcd; \
    rm -rf /var/lib/etcd/member; true";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blow {
    PowerCut,
    DiskFull,
    Frozen(&'static str),
    Killed(&'static str),
    Unplugged,
    /// It can't reach other replicas, but everything else can reach it.
    Split,
    Wiped,
}

impl Blow {
    /// The faults, with repetitions as weights.
    pub const ALL: [Self; 12] = [
        Self::PowerCut,
        Self::PowerCut,
        Self::DiskFull,
        Self::DiskFull,
        Self::Frozen("etcd"),
        Self::Frozen("kube-apiserver"),
        Self::Killed("etcd"),
        Self::Killed("kube-apiserver"),
        Self::Unplugged,
        Self::Split,
        Self::Wiped,
        Self::Wiped,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::PowerCut => "power cut",
            Self::DiskFull => "disk full",
            Self::Frozen("etcd") => "etcd frozen",
            Self::Frozen(_) => "API server frozen",
            Self::Killed("etcd") => "etcd killed",
            Self::Killed(_) => "API server killed",
            Self::Unplugged => "network cable pulled",
            Self::Split => "cut off from other replicas",
            Self::Wiped => "member wiped",
        }
    }

    /// Applies the fault to this replica.
    pub fn strike(self, lab: &Lab, victim: &str, replicas: &[&str]) {
        let host = lab.host(victim);
        match self {
            Self::PowerCut => host.cut_power().unwrap(),
            Self::DiskFull => host.fill_disk().unwrap(),
            // Between two restarts there is no process to freeze.
            Self::Frozen(program) => drop(host.freeze(program)),
            Self::Killed(program) => {
                let kill = ["systemctl", "kill", "--signal=KILL", program];
                host.run(&kill).unwrap();
            }
            Self::Unplugged => host.unplug().unwrap(),
            Self::Split => {
                let others = replicas.iter().filter(|name| **name != victim);
                let others: Vec<_> = others.map(|name| lab.host(name)).collect();
                let others: Vec<_> = others.iter().collect();
                lab.yard().split(&[&host], &others).unwrap();
            }
            Self::Wiped => {
                host.run(&["sh", "-c", WIPE]).unwrap();
            }
        }
    }

    /// Undoes what hakube can't fix: power, cables, full disks, stopped processes.
    pub fn undo(self, lab: &Lab, victim: &str) {
        let host = lab.host(victim);
        match self {
            Self::PowerCut => {
                host.power_on().unwrap();
                host.wait_booted(BOOT).unwrap();
            }
            Self::DiskFull => host.free_disk().unwrap(),
            // It may have been killed because it didn't respond.
            Self::Frozen(program) => drop(host.thaw(program)),
            Self::Unplugged => host.plug().unwrap(),
            Self::Split => lab.yard().heal().unwrap(),
            Self::Killed(_) | Self::Wiped => {}
        }
    }
}
