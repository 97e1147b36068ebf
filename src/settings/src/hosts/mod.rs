//! The inventory of hosts that are there already: a YAML file, read and checked. Each problem is named with its line.

use crate::parse::{self, Malformed, Parsed};
use crate::path::Directories;
use hakube_model::{Host, HostRole, HostSsh, Hosts, Jump, Zone};
use russh::keys::{Algorithm, PublicKey};
use serde::Deserialize;
use serde_saphyr::{Location, Spanned};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    hosts: Vec<Spanned<FileHost>>,
    #[serde(default)]
    ssh: FileSsh,
    endpoint: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileHost {
    /// Any scalar: `no` isn't parsed as text.
    name: Option<Spanned<serde_json::Value>>,
    address: Option<Spanned<String>>,
    zone: Option<Spanned<String>>,
    #[serde(default)]
    role: HostRole,
    #[serde(default)]
    labels: BTreeMap<String, Spanned<String>>,
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
///
/// # Errors
/// Reports all problems at once; a syntax error is reported alone.
pub fn read(directories: &Directories<'_>, path: &str) -> Parsed<Hosts> {
    let path = directories.resolve(path)?;
    let text = hakube_input::read_text(&path, hakube_input::SMALL)
        .map_err(|error| Malformed(format!("could not read the inventory: {error}")))?;
    parse(directories, &path, &text)
}

pub(super) fn parse(directories: &Directories<'_>, path: &Path, text: &str) -> Parsed<Hosts> {
    // The message has the line number only, since the lines may be confidential.
    let options = serde_saphyr::options! { with_snippet: false };
    let file: File = serde_saphyr::from_str_with_options(text, options)
        .map_err(|error| Malformed(format!("{}: {error}", path.display())))?;
    let mut problems = Problems(Vec::new());
    let endpoint = file.endpoint.as_ref().and_then(|endpoint| {
        let address = endpoint.value.parse().ok();
        if address.is_none() {
            let problem = format!("endpoint: {}", not_an_address(&endpoint.value));
            problems.add(endpoint.referenced, &problem);
        }
        address
    });
    let mut hosts: Vec<(Location, Host)> = Vec::new();
    for (
        number,
        Spanned {
            value: host,
            referenced,
            ..
        },
    ) in (1..).zip(file.hosts)
    {
        let at_name = host
            .name
            .as_ref()
            .map_or(referenced, |name| name.referenced);
        let at_address = host
            .address
            .as_ref()
            .map_or(referenced, |address| address.referenced);
        let place = Place {
            number,
            at: referenced,
        };
        let found = read_host(directories, place, host, &file.ssh, &mut problems);
        let Some(host) = found else { continue };
        if let Some((first, _)) = hosts.iter().find(|(_, other)| other.name == host.name) {
            let problem = format!("another host in line {} has the same name", first.line());
            problems.of(at_name, &host.name, &problem);
        }
        if let Some((_, other)) = hosts
            .iter()
            .find(|(_, other)| other.address == host.address)
        {
            let problem = format!(
                "its address {} is also that of {}",
                host.address, other.name
            );
            problems.of(at_address, &host.name, &problem);
        }
        if endpoint == Some(host.address) {
            let problem = "its address is the endpoint's, which must not be a host's own address";
            problems.of(at_address, &host.name, problem);
        }
        hosts.push((at_name, host));
    }
    if hosts.is_empty() && problems.0.is_empty() {
        problems.0.push("it has no hosts".to_owned());
    }
    if problems.0.is_empty() {
        return Ok(Hosts {
            hosts: hosts.into_iter().map(|(_, host)| host).collect(),
            endpoint,
        });
    }
    Err(Malformed(format!(
        "{}: {}",
        path.display(),
        problems.0.join("; ")
    )))
}

/// A host's position in the file.
#[derive(Clone, Copy)]
struct Place {
    /// It is the first, the second, and so on.
    number: usize,
    at: Location,
}

struct Problems(Vec<String>);

impl Problems {
    fn add(&mut self, at: Location, problem: &str) {
        self.0.push(if at == Location::UNKNOWN {
            problem.to_owned()
        } else {
            format!("line {}, column {}: {problem}", at.line(), at.column())
        });
    }

    fn of(&mut self, at: Location, host: &str, problem: &str) {
        self.add(at, &format!("host {host}: {problem}"));
    }
}

fn not_an_address(text: &str) -> String {
    format!("{text:?} isn't an IP address, such as 10.77.0.11")
}

fn read_host(
    directories: &Directories<'_>,
    Place { number, at }: Place,
    host: FileHost,
    defaults: &FileSsh,
    problems: &mut Problems,
) -> Option<Host> {
    let name = match &host.name {
        Some(Spanned {
            value: serde_json::Value::String(name),
            ..
        }) => name.clone(),
        found => {
            let (at, problem) = match found {
                None => (at, "it has no name".to_owned()),
                Some(other) => (
                    other.referenced,
                    format!(
                        "its name is parsed as {}, not as text: quote it",
                        other.value
                    ),
                ),
            };
            problems.of(at, &format!("number {number}"), &problem);
            return None;
        }
    };
    let before = problems.0.len();
    if parse::name(&name).is_err() {
        problems.of(
            host.name.as_ref().map_or(at, |name| name.referenced),
            &name,
            "a name has only lower-case letters, digits and hyphens, and begins with a letter",
        );
    }
    let address: Option<IpAddr> = match &host.address {
        Some(address) => {
            let parsed = address.value.parse().ok();
            if parsed.is_none() {
                let problem = format!("address: {}", not_an_address(&address.value));
                problems.of(address.referenced, &name, &problem);
            }
            parsed
        }
        None => {
            problems.of(at, &name, "it has no address");
            None
        }
    };
    let zone: Option<Zone> = match &host.zone {
        Some(zone) => {
            let parsed = zone.value.parse().ok();
            if parsed.is_none() {
                problems.of(
                    zone.referenced,
                    &name,
                    "its zone is invalid: use only lower-case letters, digits and hyphens",
                );
            }
            parsed
        }
        None => {
            problems.of(
                at,
                &name,
                "it has no zone: name its failure domain, such as rack-a",
            );
            None
        }
    };
    let labels = read_labels(&name, host.labels, problems);
    let mut noted = Vec::new();
    // Without an address, a known_hosts file can't be searched.
    let ssh = address.and_then(|address| {
        read_ssh(
            directories,
            (&name, address),
            host.ssh,
            defaults,
            &mut noted,
        )
    });
    for (host, problem) in noted {
        problems.of(at, &host, &problem);
    }
    (problems.0.len() == before).then_some(())?;
    Some(Host {
        name,
        address: address?,
        zone: zone?,
        role: host.role,
        labels,
        ssh: ssh?,
    })
}

/// Labels that a node has by its nature. The kubelet would revert another value, or it would
/// mislead the scheduler.
const NOT_THE_OPERATORS: [(&str, &str); 8] = [
    ("topology.kubernetes.io/zone", "set the host's zone instead"),
    ("topology.kubernetes.io/region", "hakube sets it"),
    ("kubernetes.io/hostname", "the kubelet sets it"),
    ("kubernetes.io/os", "the kubelet sets it"),
    ("kubernetes.io/arch", "the kubelet sets it"),
    ("beta.kubernetes.io/os", "the kubelet sets it"),
    ("beta.kubernetes.io/arch", "the kubelet sets it"),
    (
        "node-role.kubernetes.io/control-plane",
        "hakube sets it on replicas",
    ),
];

fn read_labels(
    host: &str,
    labels: BTreeMap<String, Spanned<String>>,
    problems: &mut Problems,
) -> BTreeMap<String, String> {
    for (
        key,
        Spanned {
            value, referenced, ..
        },
    ) in &labels
    {
        let taken = NOT_THE_OPERATORS.iter().find(|(taken, _)| taken == key);
        if let Some((_, who)) = taken {
            problems.of(
                *referenced,
                host,
                &format!("label {key} can't be set in the inventory: {who}"),
            );
        }
        if !parse::is_label_key(key) {
            let problem = format!(
                "{key:?} isn't a label key: up to 63 letters, digits, '-', '_' and '.', beginning and ending with a \
                 letter or digit, with an optional domain and '/' before it"
            );
            problems.of(*referenced, host, &problem);
        }
        if !parse::is_label_value(value) {
            let problem = format!(
                "label {key}: {value:?} isn't a label value: up to 63 letters, digits, '-', '_' and '.', beginning and \
                 ending with a letter or digit"
            );
            problems.of(*referenced, host, &problem);
        }
    }
    let labels = labels.into_iter();
    labels.map(|(key, value)| (key, value.value)).collect()
}

/// Problems with a host's SSH login, prefixed with the host.
type Noted = Vec<(String, String)>;

fn read_ssh(
    directories: &Directories<'_>,
    (host, address): (&str, IpAddr),
    own: FileSsh,
    defaults: &FileSsh,
    noted: &mut Noted,
) -> Option<HostSsh> {
    let mut note = |problem: String| noted.push((host.to_owned(), problem));
    let agent = own.agent.or(defaults.agent).unwrap_or(false);
    let key = own.key.or_else(|| defaults.key.clone());
    let key = match key {
        _ if agent => None,
        Some(key) => match directories.resolve(&key) {
            Ok(path) => Some(path),
            Err(problem) => {
                note(format!("ssh.key: {}", problem.0));
                None
            }
        },
        None => {
            note("it has no ssh.key, and ssh.agent isn't true".to_owned());
            None
        }
    };
    let port = own.port.or(defaults.port).unwrap_or(22);
    let known_hosts = own.known_hosts.or_else(|| defaults.known_hosts.clone());
    let found = match (own.host_key, known_hosts) {
        (Some(host_key), _) => Ok(host_key),
        (None, Some(file)) => known_host(directories, &file, address, port),
        (None, None) => Err(format!(
            "it has no ssh.host_key: set it to the first two words of the host's /etc/ssh/ssh_host_ed25519_key.pub \
             (ssh-keyscan -t ed25519 -p {port} {address} prints them; compare them with the host's), or set \
             ssh.known_hosts to a file that has it"
        )),
    };
    let host_key = match found {
        Ok(host_key) => host_key,
        Err(problem) => {
            note(problem);
            return None;
        }
    };
    let words: Vec<&str> = host_key.split_whitespace().take(2).collect();
    if words.len() != 2 {
        note("ssh.host_key isn't of the form \"ssh-ed25519 AAAA...\"".to_owned());
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
            let ssh = read_ssh(directories, (&what, address), ssh, &without, noted)?;
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

/// Looks up a server's key in a known_hosts file, of a type that hakube can verify.
fn known_host(
    directories: &Directories<'_>,
    file: &str,
    address: IpAddr,
    port: u16,
) -> Result<String, String> {
    let path = directories
        .resolve(file)
        .map_err(|problem| format!("ssh.known_hosts: {}", problem.0))?;
    let unreadable =
        |error: &dyn std::fmt::Display| format!("could not read {}: {error}", path.display());
    // The parser opens the file itself and would block forever on a FIFO, so it gets a copy.
    let text =
        hakube_input::read(&path, hakube_input::SMALL).map_err(|error| unreadable(&error))?;
    let copy = tempfile::NamedTempFile::new().map_err(|error| unreadable(&error))?;
    std::fs::write(copy.path(), text).map_err(|error| unreadable(&error))?;
    let keys =
        russh::keys::known_hosts::known_host_keys_path(&address.to_string(), port, copy.path())
            .map_err(|error| unreadable(&error))?;
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
            "{} has no Ed25519 or ECDSA key of {address}, port {port}: log in with ssh once, and compare the key that it \
             shows with the host's",
            path.display()
        )
    })
}
