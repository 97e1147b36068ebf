//! A machine's role for the endpoint's address, read from the machine.

use hakube_channel::Channel;
use hakube_error::Result;
use hakube_machine as machine;
use hakube_model::{Arrangement, HoldView};
use hakube_provider::MachineRef;

/// What is in force on the machine. A machine that can't be read is `Unknown`.
pub async fn view(channel: &dyn Channel, machine: &MachineRef) -> HoldView {
    read(channel, machine)
        .await
        .unwrap_or_else(|error| HoldView::Unknown {
            why: error.to_string(),
        })
}

async fn read(channel: &dyn Channel, machine: &MachineRef) -> Result<HoldView> {
    let in_force = channel.read(machine, machine::IN_FORCE).await?;
    let is_in_force = in_force.is_some();
    // A machine that hasn't booted, or whose programs stopped, may apply its arrangement at any moment.
    let found = match in_force {
        Some(in_force) => Some(in_force),
        None => channel.read(machine, machine::ARRANGEMENT).await?,
    };
    let Some(found) = found else {
        return Ok(HoldView::Nothing);
    };
    let Ok(arrangement) = serde_json::from_slice::<Arrangement>(&found) else {
        return Ok(HoldView::Altered);
    };
    if arrangement.sharer(&machine.name).is_none() {
        return Ok(HoldView::Nothing);
    }
    if !is_in_force {
        return Ok(HoldView::Altered);
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
