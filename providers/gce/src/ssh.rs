//! Who may log in on a machine, and how its ssh server is told from another's.
//!
//! Source: Compute Engine's documentation of SSH keys in metadata and of guest attributes. The guest
//! agent of Google's images makes the users that the metadata item `ssh-keys` names, and writes the
//! server's host keys to the guest attributes in the namespace `hostkeys`, if `enable-guest-attributes`
//! says so. Both go through Google's own API: nobody on the way to the machine can change them.

use crate::Gce;
use crate::machine::machine_attempt;
use crate::operation::look;
use google_cloud_compute_v1::model;
use hakube_provider::{Login, MachineRef, MachineState, Result, SshServer};

/// The port of the images' ssh server.
const PORT: u16 = 22;
/// Where the guest agent puts host keys: the key is the algorithm, the value the key in base64.
const HOST_KEYS: &str = "hostkeys";

/// The metadata by which a user may log in, and nobody else: neither those of the project's own keys
/// nor, in a project that has switched it on for all, those of OS Login, with which no key of an
/// instance counts.
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
            // A machine without an external address is reached from within its network, or not at all.
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

    /// The keys that the machine's guest agent has published; none before it did.
    async fn host_keys(&self, reference: &MachineRef) -> Result<Vec<String>> {
        let attempt = machine_attempt("read the host keys of", reference);
        let get = self
            .clients
            .instances()
            .await?
            .get_guest_attributes()
            .set_project(&self.config.project)
            .set_zone(&reference.zone)
            .set_instance(&reference.name)
            .set_query_path(format!("{HOST_KEYS}/"));
        // Not found: no attribute of that namespace has been written yet.
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
