//! The endpoint's address on the replicas: which of them share it, and what each reports as in force.

use super::Execution;
use crate::{hold, wait};
use hakube_error::Result;
use hakube_machine as machine;
use hakube_model::{Arrangement, HoldView, Sharer};
use hakube_provider::MachineRef;

impl Execution<'_> {
    /// Makes the machine share the address with these.
    pub(super) async fn share_address(
        &self,
        machine: &MachineRef,
        among: &[MachineRef],
    ) -> Result<()> {
        let mut sharers = Vec::new();
        for sharer in among {
            sharers.push(Sharer {
                name: sharer.name.clone(),
                address: self.own_address(sharer).await?,
            });
        }
        self.arrange(machine, sharers).await
    }

    /// Makes the machine give up the address.
    pub(super) async fn release_address(&self, machine: &MachineRef) -> Result<()> {
        self.arrange(machine, Vec::new()).await
    }

    /// Waits until the machine reports it in force. The address may move only then.
    async fn arrange(&self, machine: &MachineRef, sharers: Vec<Sharer>) -> Result<()> {
        let endpoint = self.endpoint()?;
        let arrangement = Arrangement {
            address: endpoint.ip(),
            port: endpoint.port(),
            sharers,
        };
        let name = &machine.name;
        let wanted = match arrangement.sharer(name) {
            Some(_) => HoldView::Shares(arrangement.clone()),
            None => HoldView::Nothing,
        };
        let channel = self.means.channel.as_ref();
        if hold::view(channel, machine).await == wanted {
            return Ok(());
        }
        self.watch_endpoint().await?;
        let ca = self.means.authorities.kubernetes_ca();
        let files = machine::endpoint_files(&arrangement, name, ca);
        channel.put(machine, &files).await?;
        let what = format!("machine {name} to apply the endpoint's configuration");
        let done =
            wait::until(
                &what,
                self.means.timeout,
                self.means.pace,
                async || match hold::view(channel, machine).await {
                    view if view == wanted => Ok(()),
                    HoldView::Unknown { why } => Err(why),
                    _ => Err("keepalived and haproxy haven't applied it yet".to_owned()),
                },
            );
        match done.await {
            Ok(()) => Ok(()),
            Err(error) => Err(self.with_console(error, machine).await),
        }
    }
}
