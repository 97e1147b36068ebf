//! The inventory of hosts that are there already: a YAML file, typed and checked.

use super::parse::{self, Malformed, Parsed};
use super::path::Directories;
use super::types::Zone;
use russh::keys::{Algorithm, PublicKey};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;

/// Hosts that are leased rather than made. Kept with the cluster; no key is among it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hosts {
    /// The hosts, in the operator's order.
    pub hosts: Vec<Host>,
    /// The address that replicas share; `None` where a balancer of the operator's own is the endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<IpAddr>,
}

/// A host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// Its name, and that of the replica or node that it becomes.
    pub name: String,
    /// The address by which the other hosts and hakube reach it.
    pub address: IpAddr,
    /// What fails as a whole with it: a rack, say.
    pub zone: Zone,
    /// What it may become.
    pub role: HostRole,
    /// Labels that its node registers with.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// How hakube logs in.
    pub ssh: HostSsh,
}

/// What a host may become.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HostRole {
    /// A replica only.
    Replica,
    /// A node only.
    Node,
    /// Either.
    #[default]
    Any,
}

impl fmt::Display for HostRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Replica => "replica",
            Self::Node => "node",
            Self::Any => "any",
        })
    }
}

/// How hakube logs in on a host. The user is root, or becomes root by sudo without a password.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostSsh {
    /// The user.
    pub user: String,
    /// The TCP port.
    pub port: u16,
    /// The file of the private key; `None` is the ssh agent. Absolute.
    pub key: Option<PathBuf>,
    /// The server's public host key, as in `/etc/ssh/ssh_host_ed25519_key.pub`, without the comment.
    pub host_key: String,
    /// The host that is gone through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jump: Option<Box<Jump>>,
}

/// A host on the way to others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jump {
    /// Its address.
    pub address: IpAddr,
    /// How hakube logs in there.
    pub ssh: HostSsh,
}

impl Hosts {
    /// The host of that name.
    pub fn host(&self, name: &str) -> Option<&Host> {
        self.hosts.iter().find(|host| host.name == name)
    }

    /// The zones, each once, in the hosts' order.
    pub fn zones(&self) -> Vec<&Zone> {
        let mut seen = BTreeSet::new();
        let zones = self.hosts.iter().map(|host| &host.zone);
        zones.filter(|zone| seen.insert(*zone)).collect()
    }
}

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    hosts: Vec<FileHost>,
    #[serde(default)]
    ssh: FileSsh,
    endpoint: Option<IpAddr>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileHost {
    name: serde_json::Value,
    address: IpAddr,
    zone: Option<String>,
    #[serde(default)]
    role: HostRole,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    ssh: FileSsh,
}

#[derive(Default, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileSsh {
    user: Option<String>,
    port: Option<u16>,
    key: Option<String>,
    agent: Option<bool>,
    host_key: Option<String>,
    known_hosts: Option<String>,
    jump: Option<Box<FileJump>>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileJump {
    address: IpAddr,
    user: Option<String>,
    port: Option<u16>,
    key: Option<String>,
    agent: Option<bool>,
    host_key: Option<String>,
    known_hosts: Option<String>,
}

/// Reads the file.
pub fn read(directories: &Directories<'_>, path: &str) -> Parsed<Hosts> {
    let path = directories.resolve(path)?;
    let text = std::fs::read_to_string(&path)
        .map_err(|error| Malformed(format!("could not read the inventory: {error}")))?;
    parse(directories, &path, &text)
}

/// Everything that is wrong with it, at once, but for what keeps it from being read at all.
fn parse(directories: &Directories<'_>, path: &Path, text: &str) -> Parsed<Hosts> {
    let file: File = serde_saphyr::from_str(text)
        .map_err(|error| Malformed(format!("{}: {error}", path.display())))?;
    let mut problems = Problems(Vec::new());
    let mut hosts: Vec<Host> = Vec::new();
    for (number, host) in (1..).zip(file.hosts) {
        let found = read_host(directories, number, host, &file.ssh, &mut problems);
        let Some(host) = found else { continue };
        if hosts.iter().any(|other| other.name == host.name) {
            problems.of(&host.name, "two hosts have this name");
        }
        if let Some(other) = hosts.iter().find(|other| other.address == host.address) {
            let problem = format!("its address {} is that of {} too", host.address, other.name);
            problems.of(&host.name, &problem);
        }
        if file.endpoint == Some(host.address) {
            problems.of(
                &host.name,
                "its address is the endpoint's: replicas share one that no host has",
            );
        }
        hosts.push(host);
    }
    if hosts.is_empty() && problems.0.is_empty() {
        problems.0.push("it has no hosts".to_owned());
    }
    if problems.0.is_empty() {
        return Ok(Hosts {
            hosts,
            endpoint: file.endpoint,
        });
    }
    Err(Malformed(format!(
        "{}: {}",
        path.display(),
        problems.0.join("; ")
    )))
}

struct Problems(Vec<String>);

impl Problems {
    fn of(&mut self, host: &str, problem: &str) {
        self.0.push(format!("host {host}: {problem}"));
    }
}

fn read_host(
    directories: &Directories<'_>,
    number: usize,
    host: FileHost,
    defaults: &FileSsh,
    problems: &mut Problems,
) -> Option<Host> {
    let name = match &host.name {
        serde_json::Value::String(name) => name.clone(),
        other => {
            problems.of(
                &format!("number {number}"),
                &format!("its name reads as {other}, not as text: write it in quotes"),
            );
            return None;
        }
    };
    let before = problems.0.len();
    if parse::name(&name).is_err() {
        problems.of(
            &name,
            "a name is lower-case letters, digits and hyphens, and begins with a letter",
        );
    }
    let zone: Option<Zone> = match host.zone.as_deref().map(str::parse) {
        Some(Ok(zone)) => Some(zone),
        Some(Err(_)) => {
            problems.of(
                &name,
                "its zone is not a name: lower-case letters, digits and hyphens",
            );
            None
        }
        None => {
            problems.of(
                &name,
                "it has no zone: name what fails as a whole with it, such as rack-a",
            );
            None
        }
    };
    let ssh = read_ssh(
        directories,
        (&name, host.address),
        host.ssh,
        defaults,
        problems,
    );
    (problems.0.len() == before).then_some(())?;
    Some(Host {
        name,
        address: host.address,
        zone: zone?,
        role: host.role,
        labels: host.labels,
        ssh: ssh?,
    })
}

fn read_ssh(
    directories: &Directories<'_>,
    (host, address): (&str, IpAddr),
    own: FileSsh,
    defaults: &FileSsh,
    problems: &mut Problems,
) -> Option<HostSsh> {
    let agent = own.agent.or(defaults.agent).unwrap_or(false);
    let key = own.key.or_else(|| defaults.key.clone());
    let key = match key {
        _ if agent => None,
        Some(key) => match directories.resolve(&key) {
            Ok(path) => Some(path),
            Err(problem) => {
                problems.of(host, &format!("ssh.key: {}", problem.0));
                None
            }
        },
        None => {
            problems.of(host, "it has no ssh.key, and ssh.agent isn't true");
            None
        }
    };
    let port = own.port.or(defaults.port).unwrap_or(22);
    let known_hosts = own.known_hosts.or_else(|| defaults.known_hosts.clone());
    let found = match (own.host_key, known_hosts) {
        (Some(host_key), _) => Ok(host_key),
        (None, Some(file)) => known_host(directories, &file, address, port),
        (None, None) => Err(format!(
            "it has no ssh.host_key: put in the first two words of the host's own /etc/ssh/ssh_host_ed25519_key.pub \
             (ssh-keyscan -t ed25519 -p {port} {address} prints them; compare them with the host's), or name a file that \
             has it: ssh.known_hosts"
        )),
    };
    let host_key = match found {
        Ok(host_key) => host_key,
        Err(problem) => {
            problems.of(host, &problem);
            return None;
        }
    };
    let words: Vec<&str> = host_key.split_whitespace().take(2).collect();
    if words.len() != 2 {
        problems.of(
            host,
            "ssh.host_key isn't of the form \"ssh-ed25519 AAAA...\"",
        );
    }
    let jump = own.jump.or_else(|| defaults.jump.clone());
    let jump = match jump {
        None => None,
        Some(jump) => {
            let address = jump.address;
            let ssh = FileSsh {
                user: jump.user,
                port: jump.port,
                key: jump.key,
                agent: jump.agent,
                host_key: jump.host_key,
                known_hosts: jump.known_hosts,
                jump: None,
            };
            let without = FileSsh {
                jump: None,
                port: None,
                ..defaults.clone()
            };
            let what = format!("{host}, its jump host");
            let ssh = read_ssh(directories, (&what, address), ssh, &without, problems)?;
            Some(Box::new(Jump { address, ssh }))
        }
    };
    Some(HostSsh {
        user: own
            .user
            .or_else(|| defaults.user.clone())
            .unwrap_or_else(|| "root".to_owned()),
        port,
        key,
        host_key: words.join(" "),
        jump,
    })
}

/// The key that a file of OpenSSH's has for a server, of a kind that can be verified here.
fn known_host(
    directories: &Directories<'_>,
    file: &str,
    address: IpAddr,
    port: u16,
) -> Result<String, String> {
    let path = directories
        .resolve(file)
        .map_err(|problem| format!("ssh.known_hosts: {}", problem.0))?;
    let keys = russh::keys::known_hosts::known_host_keys_path(&address.to_string(), port, &path)
        .map_err(|error| format!("could not read {}: {error}", path.display()))?;
    let can_be_verified = |key: &&PublicKey| {
        matches!(
            key.algorithm(),
            Algorithm::Ed25519 | Algorithm::Ecdsa { .. }
        )
    };
    let key = keys.iter().map(|(_, key)| key).find(can_be_verified);
    let line = key.and_then(|key| key.to_openssh().ok());
    line.ok_or_else(|| {
        format!(
            "{} has no Ed25519 or ECDSA key of {address}, port {port}: log in once by hand, and compare the key that ssh \
             shows with the host's",
            path.display()
        )
    })
}
