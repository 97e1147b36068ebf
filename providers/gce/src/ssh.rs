//! Login to machines, and authentication of their ssh servers.
//!
//! Source: Compute Engine's documentation of SSH keys in metadata and of guest attributes. The guest agent of
//! Google's images creates the users in the metadata item `ssh-keys`. With `enable-guest-attributes`, it
//! writes the server's host keys to the guest attributes in the namespace `hostkeys`. Both go through
//! Google's API, so they can't be tampered with on the network.

use crate::Gce;
use crate::operation::{look, request};
use google_cloud_compute_v1::model;
use hakube_provider::{Login, MachineRef, MachineState, Result, SshServer};

/// The port of the images' ssh server.
const PORT: u16 = 22;
/// The guest agent's namespace for host keys: the key is the algorithm, the value the key in base64.
const HOST_KEYS: &str = "hostkeys";

/// The metadata that lets only this user log in. It blocks the project's own keys, and OS Login in
/// a project that has it enabled, with which an instance's keys are ignored.
pub(crate) fn metadata(login: &Login) -> [(&'static str, String); 4] {
    let Login { user, public_key } = login;
    [
        ("ssh-keys", format!("{user}:{public_key} {user}")),
        ("enable-guest-attributes", "TRUE".to_owned()),
        ("block-project-ssh-keys", "TRUE".to_owned()),
        ("enable-oslogin", "FALSE".to_owned()),
    ]
}

impl Gce {
    /// See [`hakube_provider::Provider::ssh_server`].
    pub(crate) async fn ssh_server_now(&self, reference: &MachineRef) -> Result<Option<SshServer>> {
        let machine = self
            .machine_now(reference)
            .await?
            .filter(|machine| machine.state == MachineState::Running);
        let address = machine.and_then(|machine| {
            // Without an external address, a machine is reachable only within its network.
            machine.external_address.or(machine.internal_address)
        });
        let Some(address) = address else {
            return Ok(None);
        };
        let host_keys = self.host_keys(reference).await?;
        Ok((!host_keys.is_empty()).then_some(SshServer {
            address,
            port: PORT,
            host_keys,
        }))
    }

    /// The host keys that the machine's guest agent has published; empty before it has.
    async fn host_keys(&self, reference: &MachineRef) -> Result<Vec<String>> {
        let attempt = reference.attempt("read the host keys of");
        let get = request!(self.instances.get_guest_attributes in &reference.zone)
            .set_instance(&reference.name)
            .set_query_path(format!("{HOST_KEYS}/"));
        // Not found means that nothing in this namespace has been written yet.
        let attributes = look(&attempt, get.send()).await?;
        let entries = attributes
            .and_then(|attributes| attributes.query_value)
            .map(|value| value.items)
            .unwrap_or_default();
        Ok(entries.iter().filter_map(host_key).collect())
    }
}

fn host_key(entry: &model::GuestAttributesEntry) -> Option<String> {
    if entry.namespace.as_deref() != Some(HOST_KEYS) {
        return None;
    }
    let (algorithm, key) = (entry.key.as_ref()?, entry.value.as_ref()?);
    Some(format!("{} {}", algorithm.trim(), key.trim()))
}
