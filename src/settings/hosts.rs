//! The inventory of hosts that are there already: a YAML file, typed and checked.

use super::parse::{self, Malformed, Parsed};
use super::path::Directories;
use super::types::Zone;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

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
    jump: Option<Box<FileJump>>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileJump {
    address: IpAddr,
    #[serde(flatten)]
    ssh: JumpSsh,
}

#[derive(Clone, Deserialize)]
struct JumpSsh {
    user: Option<String>,
    port: Option<u16>,
    key: Option<String>,
    agent: Option<bool>,
    host_key: Option<String>,
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
    let ssh = read_ssh(directories, &name, host.ssh, defaults, problems);
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
    host: &str,
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
    let Some(host_key) = own.host_key else {
        problems.of(
            host,
            "it has no ssh.host_key: put in the first two words of the host's own /etc/ssh/ssh_host_ed25519_key.pub \
             (ssh-keyscan -t ed25519 ADDRESS prints them; compare them with the host's)",
        );
        return None;
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
            let FileJump { address, ssh } = *jump;
            let ssh = FileSsh {
                user: ssh.user,
                port: ssh.port,
                key: ssh.key,
                agent: ssh.agent,
                host_key: ssh.host_key,
                jump: None,
            };
            let without = FileSsh {
                jump: None,
                port: None,
                ..defaults.clone()
            };
            let what = format!("{host}, its jump host");
            let ssh = read_ssh(directories, &what, ssh, &without, problems)?;
            Some(Box::new(Jump { address, ssh }))
        }
    };
    Some(HostSsh {
        user: own
            .user
            .or_else(|| defaults.user.clone())
            .unwrap_or_else(|| "root".to_owned()),
        port: own.port.or(defaults.port).unwrap_or(22),
        key,
        host_key: words.join(" "),
        jump,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Parsed<Hosts> {
        let directories = Directories {
            home: Some("/home/ada".as_ref()),
            working: "/work".as_ref(),
        };
        super::parse(&directories, "hosts.yaml".as_ref(), text)
    }

    const KEY: &str = "ssh-ed25519 AAAAC3Nz";

    #[test]
    fn a_host_inherits_how_it_is_logged_in_on() {
        let hosts = parse(&format!(
            "ssh: {{user: op, key: ~/.ssh/id}}\nendpoint: 10.0.0.9\nhosts:\n\
             - {{name: a, address: 10.0.0.1, zone: rack-a, role: replica, ssh: {{host_key: {KEY} root@a}}}}\n\
             - {{name: b, address: 10.0.0.2, zone: rack-b, ssh: {{user: root, port: 2222, agent: true, host_key: {KEY}}}}}\n"
        ))
        .unwrap();
        let a = hosts.host("a").unwrap();
        assert_eq!(a.role, HostRole::Replica);
        assert_eq!(a.ssh.user, "op");
        assert_eq!(a.ssh.key.as_deref(), Some("/home/ada/.ssh/id".as_ref()));
        assert_eq!(a.ssh.host_key, KEY, "without its comment");
        let b = hosts.host("b").unwrap();
        assert_eq!((b.role, b.ssh.port), (HostRole::Any, 2222));
        assert_eq!(b.ssh.key, None, "the agent's");
        assert_eq!(hosts.endpoint, Some("10.0.0.9".parse().unwrap()));
    }

    #[test]
    fn a_jump_host_has_a_key_of_its_own_to_prove_it() {
        let one = |jump: &str| {
            parse(&format!(
                "hosts:\n- name: a\n  address: 10.0.0.1\n  zone: r\n  ssh: {{key: k, host_key: {KEY}, jump: {jump}}}\n"
            ))
        };
        let hosts = one(&format!(
            "{{address: 192.0.2.1, user: j, key: k, host_key: {KEY}}}"
        ))
        .unwrap();
        let jump = hosts.hosts[0].ssh.jump.as_ref().unwrap();
        assert_eq!((jump.ssh.user.as_str(), jump.ssh.port), ("j", 22));
        let error = one("{address: 192.0.2.1, key: k}").unwrap_err();
        assert!(
            error.0.contains("a, its jump host: it has no ssh.host_key"),
            "{}",
            error.0
        );
    }

    #[test]
    fn what_is_wrong_is_named_with_its_host_all_of_it_at_once() {
        let host = |fields: &str| format!("{{ssh: {{key: k, host_key: {KEY}}}, {fields}}}");
        let table = [
            (host("name: a, address: 10.0.0.1"), "host a: it has no zone"),
            (host("name: no, address: 10.0.0.1, zone: r"), "host no"),
            (
                host("name: A_b, address: 10.0.0.1, zone: r"),
                "host A_b: a name is",
            ),
            (
                host("name: a, address: 10.0.0.1, zone: r, colour: red"),
                "colour",
            ),
            (host("name: a, address: nowhere, zone: r"), "address"),
            (
                host("name: a, address: 10.0.0.1, zone: r, role: boss"),
                "boss",
            ),
            (
                "{name: a, address: 10.0.0.1, zone: r}".to_owned(),
                "host a: it has no ssh.key",
            ),
            (
                "{name: a, address: 10.0.0.1, zone: r}".to_owned(),
                "host a: it has no ssh.host_key",
            ),
        ];
        for (host, words) in table {
            let text = format!("hosts:\n- {host}\n");
            match parse(&text) {
                Err(error) => assert!(error.0.contains(words), "{text}: {}", error.0),
                // What YAML 1.1 reads as a boolean is text to us, and quoted wherever Go reads it.
                Ok(hosts) => assert_eq!(hosts.hosts[0].name, "no", "{text}"),
            }
        }
        let twice = host("name: a, address: 10.0.0.1, zone: r");
        let error = parse(&format!("endpoint: 10.0.0.1\nhosts: [{twice}, {twice}]\n")).unwrap_err();
        for words in [
            "two hosts have this name",
            "is that of a too",
            "is the endpoint's",
        ] {
            assert!(error.0.contains(words), "{}", error.0);
        }
        assert!(
            parse("hosts: []\n")
                .unwrap_err()
                .0
                .contains("it has no hosts")
        );
    }
}
