//! Certificates renewed, and the proof that what has them serves.

use super::Execution;
use crate::channel::Door;
use crate::error::{Error, Result};
use crate::etcd::CLIENT_PORT;
use crate::run::wait;
use hakube_provider::MachineRef;

impl Execution<'_> {
    /// Some of these have a member through which etcd can be read, and some an API server that is ready. With one
    /// replica that is this one. With several, whatever else is wrong with one of them is another step's.
    pub(super) async fn await_renewed(&self, replicas: &[MachineRef]) -> Result<()> {
        let names: Vec<&str> = replicas.iter().map(|one| one.name.as_str()).collect();
        let what = format!("{} to serve with new certificates", names.join(", "));
        let served = wait::until(&what, self.means.timeout, self.means.pace, async || {
            let mut etcd = Err("no machine was asked".to_owned());
            let mut ready = false;
            for machine in replicas {
                if etcd.is_err() {
                    etcd = self.reads_etcd(machine).await;
                }
                ready = ready || self.is_ready(machine).await;
            }
            match (etcd, ready) {
                (Ok(()), true) => Ok(()),
                (Err(why), _) => Err(why),
                (Ok(()), false) => Err("/readyz doesn't answer 200".to_owned()),
            }
        });
        match (served.await, replicas) {
            (Err(error), [machine]) => Err(self.with_console(error, machine).await),
            (answer, _) => answer,
        }
    }

    async fn reads_etcd(&self, machine: &MachineRef) -> Result<(), String> {
        let text = |error: Error| error.to_string();
        let door: Door = self.door(machine, CLIENT_PORT).await.map_err(text)?;
        let status = self.means.etcd.status(&door, false).await;
        status.map(drop).map_err(|error| error.to_string())
    }

    async fn is_ready(&self, machine: &MachineRef) -> bool {
        match self.door(machine, self.intent.spec.api.port).await {
            Ok(door) => self.means.kubernetes.probe(&door).await.ready,
            Err(_) => false,
        }
    }
}
