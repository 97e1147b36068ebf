//! The free space on each member's file system.

use crate::Means;
use crate::machines::running;
use futures::future::join_all;
use hakube_machine::ETCD_DATA;
use hakube_model::{DiskSpace, Intent};
use hakube_provider::Inventory;
use std::collections::BTreeMap;

/// The disk space of replicas with a running machine. An unreachable machine is left out.
pub(super) async fn look(
    intent: &Intent,
    inventory: &Inventory,
    means: &Means,
) -> BTreeMap<String, DiskSpace> {
    let replicas = running(inventory).filter(|machine| intent.replica(&machine.name).is_some());
    let asked = replicas.map(|machine| async {
        let at = machine.machine_ref();
        let space = means.channel.disk(&at, ETCD_DATA).await.ok()??;
        Some((at.name, space))
    });
    join_all(asked).await.into_iter().flatten().collect()
}
