//! The endpoint's address on the replicas themselves: each is told who shares it, and says what is in force.

use super::Execution;
use crate::cluster::{Arrangement, HoldView, Sharer};
use crate::error::Result;
use crate::machine;
use crate::run::{hold, wait};
use hakube_provider::MachineRef;

impl Execution<'_> {
    /// The machine shares the address among these.
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

    /// The machine holds it no more.
    pub(super) async fn release_address(&self, machine: &MachineRef) -> Result<()> {
        self.arrange(machine, Vec::new()).await
    }

    /// Done when the machine says so, not when it was told: whoever takes the address next relies on that.
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
        let what = format!("machine {name} to do as it was told about the endpoint's address");
        let done =
            wait::until(
                &what,
                self.means.timeout,
                self.means.pace,
                async || match hold::view(channel, machine).await {
                    view if view == wanted => Ok(()),
                    HoldView::Unknown { why } => Err(why),
                    _ => Err("keepalived and haproxy have yet to take it".to_owned()),
                },
            );
        match done.await {
            Ok(()) => Ok(()),
            Err(error) => Err(self.with_console(error, machine).await),
        }
    }
}
