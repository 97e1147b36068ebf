//! Trust between programs. They read authorities when they start, and certificates when these change.

use super::World;
use super::machine::ETCD;
use x509_parser::pem::Pem;

/// The last file of a delivery. It restarts the replica's programs.
pub(super) const MARK: &str = "/etc/kubernetes/pki/trust";
const ETCD_CA: &str = "/etc/kubernetes/pki/etcd/ca.crt";

impl World {
    /// Whether it is a machine of a node group.
    pub(super) fn is_node(&self, name: &str) -> bool {
        let mut groups = self.cloud.node_groups.values();
        groups.any(|group| group.machines.iter().any(|machine| machine == name))
    }

    /// Whether a machine is reachable.
    pub(super) fn answers(&self, name: &str) -> bool {
        let machine = self.cloud.machines.get(name);
        let is_up = machine.is_some_and(|machine| machine.is_up(self.now));
        is_up || self.is_node(name) && !self.silent_nodes.contains(name)
    }

    /// Restarts etcd with the authorities in its files. All members must always trust each other.
    pub(super) fn restart_with_authorities(&mut self, name: &str) {
        let Some(machine) = self.cloud.machines.get_mut(name) else {
            return;
        };
        machine.trusted = machine.files.get(ETCD_CA).cloned();
        let mut untrusted = Vec::new();
        let machines = || {
            self.cloud
                .machines
                .iter()
                .filter(|(_, one)| one.is_up(self.now))
        };
        for (one, who) in machines() {
            for (other, whom) in machines() {
                let (Some(trusted), Some(shown)) = (&who.trusted, whom.files.get(ETCD)) else {
                    continue;
                };
                if whom.trusted.is_some() && !is_signed_by(shown, trusted) {
                    untrusted.push(format!("{one} doesn't trust {other}"));
                }
            }
        }
        self.forbid(!untrusted.is_empty(), || untrusted.join("; "));
    }
}

/// Whether one of these authorities signed the certificate.
fn is_signed_by(certificate: &str, authorities: &str) -> bool {
    let certificate = Pem::iter_from_buffer(certificate.as_bytes())
        .next()
        .unwrap()
        .unwrap();
    let certificate = certificate.parse_x509().unwrap();
    Pem::iter_from_buffer(authorities.as_bytes()).any(|authority| {
        let authority = authority.unwrap();
        let authority = authority.parse_x509().unwrap();
        let key = authority.public_key();
        certificate.verify_signature(Some(key)).is_ok()
    })
}
