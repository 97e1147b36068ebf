//! What a machine does about the endpoint's address, read back from it.

use crate::channel::Channel;
use crate::cluster::{Arrangement, HoldView};
use crate::error::Result;
use crate::machine;
use hakube_provider::MachineRef;

/// What is in force on the machine. What can't be read is unknown, never assumed.
pub async fn view(channel: &dyn Channel, machine: &MachineRef) -> HoldView {
    read(channel, machine)
        .await
        .unwrap_or_else(|error| HoldView::Unknown {
            why: error.to_string(),
        })
}

async fn read(channel: &dyn Channel, machine: &MachineRef) -> Result<HoldView> {
    let Some(in_force) = channel.read(machine, machine::IN_FORCE).await? else {
        return Ok(HoldView::Nothing);
    };
    let Ok(arrangement) = serde_json::from_slice::<Arrangement>(&in_force) else {
        return Ok(HoldView::Altered);
    };
    if arrangement.sharer(&machine.name).is_none() {
        return Ok(HoldView::Nothing);
    }
    let (keepalived, haproxy) = machine::endpoint_configuration(&arrangement, &machine.name);
    for (path, written) in [
        (machine::KEEPALIVED, keepalived),
        (machine::HAPROXY, haproxy),
    ] {
        if channel.read(machine, path).await?.as_deref() != Some(written.as_bytes()) {
            return Ok(HoldView::Altered);
        }
    }
    Ok(HoldView::Shares(arrangement))
}
