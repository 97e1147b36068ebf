//! Waits until replicas serve, after they were started or their certificates renewed.

use super::Execution;
use crate::wait;
use hakube_channel::Door;
use hakube_error::{Error, Result};
use hakube_etcd::CLIENT_PORT;
use hakube_provider::MachineRef;

impl Execution<'_> {
    /// Waits until one of these has a readable etcd member and one has a ready API server. With several replicas, a
    /// single unhealthy one is another step's concern.
    pub(super) async fn await_serving(&self, replicas: &[MachineRef]) -> Result<()> {
        let names: Vec<&str> = replicas.iter().map(|one| one.name.as_str()).collect();
        let what = format!("{} to serve", names.join(", "));
        let served = wait::until(&what, self.means.timeout, self.means.pace, async || {
            let mut etcd = Err("there are no machines to check".to_owned());
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
                (Ok(()), false) => Err("/readyz doesn't return 200".to_owned()),
            }
        });
        match (served.await, replicas) {
            (Err(error), [machine]) => Err(self.with_console(error, machine).await),
            (answer, _) => answer,
        }
    }

    pub(super) async fn reads_etcd(&self, machine: &MachineRef) -> Result<(), String> {
        let text = |error: Error| error.to_string();
        let door: Door = self.door(machine, CLIENT_PORT).await.map_err(text)?;
        let status = self.means.etcd.status(&door).await;
        status.map(drop).map_err(|error| error.to_string())
    }

    async fn is_ready(&self, machine: &MachineRef) -> bool {
        match self.door(machine, self.intent.spec.api.port).await {
            Ok(door) => self.means.kubernetes.probe(&door).await.ready,
            Err(_) => false,
        }
    }
}
