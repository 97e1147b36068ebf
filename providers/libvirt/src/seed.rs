//! The cloud-init seed that a machine's first boot reads: a NoCloud data source on a small disk.
//! Pure, except for generating the host key.
//!
//! Source: <https://docs.cloud-init.io/en/latest/reference/datasources/nocloud.html>

use crate::config::AddressPlan;
use fatfs::{FileSystem, FormatVolumeOptions, FsOptions, format_volume};
use hakube_provider::{Attempt, ErrorKind, Login, Result};
use russh::keys::key::safe_rng;
use russh::keys::ssh_key::LineEnding;
use russh::keys::{Algorithm, PrivateKey};
use serde_json::{Value, json};
use std::io::{Cursor, Write};
use std::net::Ipv4Addr;

/// The label by which cloud-init finds the disk.
const LABEL: [u8; 11] = *b"CIDATA     ";
/// The minimum size of a FAT file system. Unused space costs nothing.
const SMALLEST: usize = 2 << 20;

/// The key that authenticates a machine's ssh server.
pub(crate) struct HostKey {
    /// The private half in OpenSSH format. Stored only on the seed.
    private: String,
    /// The public half, on one line without a comment.
    pub(crate) public: String,
}

impl HostKey {
    /// Generates a key.
    pub(crate) fn new(attempt: &Attempt) -> Result<Self> {
        let failed = |error: russh::keys::ssh_key::Error| {
            attempt.error(
                ErrorKind::Fatal,
                format!("can't generate its host key: {error}"),
            )
        };
        let key = PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519).map_err(failed)?;
        Ok(Self {
            private: key.to_openssh(LineEnding::LF).map_err(failed)?.to_string(),
            public: key.public_key().to_openssh().map_err(failed)?,
        })
    }
}

/// A seed's contents.
pub(crate) struct Seed<'a> {
    /// A new id each time a machine of this name is created. cloud-init then runs its
    /// once-per-instance modules again.
    pub(crate) instance: &'a str,
    pub(crate) name: &'a str,
    pub(crate) mac: &'a str,
    pub(crate) address: Ipv4Addr,
    /// The network's addressing.
    pub(crate) plan: &'a AddressPlan,
    /// The caller's `cloud-config` document.
    pub(crate) user_data: &'a str,
    /// The user who may log in.
    pub(crate) login: Option<&'a Login>,
    /// Its ssh server's key.
    pub(crate) host_key: &'a HostKey,
}

impl Seed<'_> {
    /// The disk image.
    pub(crate) fn disk(&self) -> std::io::Result<Vec<u8>> {
        let files = [
            ("meta-data", self.meta_data()),
            ("network-config", self.network_config()),
            ("vendor-data", self.vendor_data()),
            ("user-data", self.user_data.to_owned()),
        ];
        let content: usize = files.iter().map(|(_, text)| text.len()).sum();
        let mut disk = Cursor::new(vec![0; SMALLEST.max(content.next_power_of_two() * 2)]);
        format_volume(&mut disk, FormatVolumeOptions::new().volume_label(LABEL))?;
        let system = FileSystem::new(&mut disk, FsOptions::new())?;
        for (name, text) in &files {
            let mut file = system.root_dir().create_file(name)?;
            file.write_all(text.as_bytes())?;
            file.flush()?;
        }
        system.unmount()?;
        Ok(disk.into_inner())
    }

    fn meta_data(&self) -> String {
        yaml(&json!({
            "instance-id": self.instance,
            "local-hostname": self.name,
        }))
    }

    fn network_config(&self) -> String {
        let address = format!("{}/{}", self.address, self.plan.prefix_len);
        let mut card = json!({
            "match": { "macaddress": self.mac },
            "set-name": "eth0",
            "addresses": [address],
        });
        if let Some(gateway) = self.plan.gateway {
            // Not `routes`: not every renderer of Debian 12's cloud-init supports every form of
            // default route.
            card["gateway4"] = json!(gateway);
        }
        if !self.plan.dns.is_empty() {
            card["nameservers"] = json!({ "addresses": self.plan.dns });
        }
        yaml(&json!({ "version": 2, "ethernets": { "eth0": card } }))
    }

    /// The provider's own settings. The caller's document takes precedence.
    fn vendor_data(&self) -> String {
        let users: Vec<Value> = self.login.iter().map(|login| user(login)).collect();
        let document = json!({
            "users": users,
            // sudo resolves the machine's own name, and would wait for a name server that doesn't know it.
            "manage_etc_hosts": "localhost",
            "disable_root": true,
            "ssh_pwauth": false,
            "ssh_deletekeys": true,
            "ssh_keys": {
                "ed25519_private": self.host_key.private,
                "ed25519_public": self.host_key.public,
            },
        });
        format!("#cloud-config\n{}", yaml(&document))
    }
}

fn user(login: &Login) -> Value {
    json!({
        "name": login.user,
        "lock_passwd": true,
        "shell": "/bin/bash",
        "sudo": "ALL=(ALL) NOPASSWD:ALL",
        "ssh_authorized_keys": [login.public_key],
    })
}

/// JSON is valid YAML.
fn yaml(document: &Value) -> String {
    format!("{document:#}\n")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use std::io::Read;

    fn seed<'a>(plan: &'a AddressPlan, key: &'a HostKey, login: Option<&'a Login>) -> Seed<'a> {
        Seed {
            instance: "7b6d",
            name: "kubernetes-master",
            mac: "52:54:00:01:02:03",
            address: Ipv4Addr::new(192, 168, 77, 3),
            plan,
            user_data: "#cloud-config\n{}\n",
            login,
            host_key: key,
        }
    }

    fn key() -> HostKey {
        HostKey {
            private: "PRIVATE\nHALF\n".into(),
            public: "ssh-ed25519 AAAA".into(),
        }
    }

    #[test]
    fn documents_are_in_cloud_inits_format() {
        let plan = AddressPlan::of("192.168.77.0/24".parse().unwrap());
        let login = Login {
            user: "hakube".into(),
            public_key: "ssh-ed25519 BBBB".into(),
        };
        let key = key();
        let seed = seed(&plan, &key, Some(&login));
        insta::assert_snapshot!(
            [seed.meta_data(), seed.network_config(), seed.vendor_data()].join("---\n")
        );
    }

    #[test]
    fn without_a_login_there_is_no_user() {
        let plan = AddressPlan::of("192.168.77.0/24".parse().unwrap());
        let key = key();
        let document = seed(&plan, &key, None).vendor_data();
        let document: Value = serde_json::from_str(document.split_once('\n').unwrap().1).unwrap();
        // Empty, not missing: cloud-init would create the distribution's default user.
        assert_eq!(document["users"], json!([]));
    }

    #[test]
    fn the_disk_has_cloud_inits_label_and_files() {
        let plan = AddressPlan::of("192.168.77.0/24".parse().unwrap());
        let key = key();
        let long = format!("#cloud-config\n# {}\n", "x".repeat(3 << 20));
        let seed = Seed {
            user_data: &long,
            ..seed(&plan, &key, None)
        };
        let disk = seed.disk().unwrap();
        let system = FileSystem::new(Cursor::new(disk), FsOptions::new()).unwrap();
        assert_eq!(system.volume_label(), "CIDATA");
        let read = |name: &str| {
            let mut text = String::new();
            let mut file = system.root_dir().open_file(name).unwrap();
            file.read_to_string(&mut text).unwrap();
            text
        };
        assert_eq!(read("user-data"), long);
        assert!(read("vendor-data").starts_with("#cloud-config\n"));
        assert!(read("meta-data").contains("kubernetes-master"));
        assert!(read("network-config").contains("192.168.77.3/24"));
    }

    #[test]
    fn host_keys_are_valid_and_unique() {
        let attempt = Attempt::new("create", "machine a");
        let key = HostKey::new(&attempt).unwrap();
        let private = PrivateKey::from_openssh(&key.private).unwrap();
        assert_eq!(private.public_key().to_openssh().unwrap(), key.public);
        assert_ne!(HostKey::new(&attempt).unwrap().public, key.public);
    }
}
