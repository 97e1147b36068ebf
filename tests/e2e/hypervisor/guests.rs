//! ssh access to the guests.

use super::lab::{Lab, PATIENCE};
use crate::support::{eventually_within, replica_names};
use russh::keys::decode_secret_key;
use russh::keys::ssh_key::LineEnding;
use serde_json::Value;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

/// Access with the cluster's own key.
pub struct Guests<'a> {
    lab: &'a Lab,
    key: PathBuf,
}

impl<'a> Guests<'a> {
    /// The key is in the store, which grants access.
    pub async fn of(lab: &'a Lab) -> Self {
        let pki = lab.home.path().join("state/kubernetes/pki.json");
        let pki: Value = serde_json::from_str(&std::fs::read_to_string(pki).unwrap()).unwrap();
        let key = lab.home.beside("login");
        // OpenSSH reads keys of this type in its own format only.
        let login = decode_secret_key(pki["ssh-login.key"].as_str().unwrap(), None).unwrap();
        std::fs::write(&key, &*login.to_openssh(LineEnding::LF).unwrap()).unwrap();
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
        Self { lab, key }
    }

    /// Runs a command on a guest; its output, if it could be run and succeeded.
    async fn try_on(&self, address: &str, command: &str) -> Option<String> {
        let answer = tokio::process::Command::from(Command::new("ssh"))
            .arg("-i")
            .arg(&self.key)
            .args(["-o", "StrictHostKeyChecking=no"])
            .args(["-o", "UserKnownHostsFile=/dev/null"])
            .args(["-o", "ConnectTimeout=2", "-o", "BatchMode=yes", "-q"])
            .arg(format!("hakube@{address}"))
            .arg(command)
            .output()
            .await
            .unwrap();
        answer
            .status
            .success()
            .then(|| String::from_utf8_lossy(&answer.stdout).into_owned())
    }

    /// Runs a command on a guest, which must succeed.
    pub async fn on(&self, name: &str, command: &str) -> String {
        let addresses = self.addresses().await;
        let (_, address) = addresses.iter().find(|(guest, _)| guest == name).unwrap();
        self.try_on(address, command)
            .await
            .unwrap_or_else(|| panic!("{command} failed on {name}"))
    }

    async fn addresses(&self) -> Vec<(String, String)> {
        let status = self.lab.home.status().await;
        let address = |name: &str| {
            let replica = crate::support::replica(&status, name);
            replica["address"].as_str().map(str::to_owned)
        };
        replica_names(&status)
            .into_iter()
            .filter_map(|name| Some((name.clone(), address(&name)?)))
            .collect()
    }

    /// The one guest that has the endpoint's address.
    pub async fn holder(&self) -> String {
        let command = format!("ip -4 addr show | grep -w 'inet {}/32'", self.lab.address);
        let addresses = self.addresses().await;
        eventually_within(PATIENCE, "one guest has the address", async || {
            let mut holders = Vec::new();
            for (name, address) in &addresses {
                if self.try_on(address, &command).await.is_some() {
                    holders.push(name.clone());
                }
            }
            (holders.len() == 1).then(|| holders.remove(0))
        })
        .await
    }
}
