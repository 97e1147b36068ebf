//! User data: the part of `#cloud-config` that a machine of the local cloud supports.

use std::collections::BTreeMap;

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::Deserialize;
use serde_json::{Value, json};

/// The steps of the first boot, and remarks on unsupported ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CloudConfig {
    pub hostname: Option<String>,
    pub files: Vec<File>,
    pub commands: Vec<Systemctl>,
    /// One line for each entry of the document without effect here.
    pub remarks: Vec<String>,
}

/// An entry of `write_files`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    pub path: String,
    pub mode: u32,
    pub content: Vec<u8>,
    pub append: bool,
}

/// An entry of `runcmd`; only systemctl is supported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Systemctl {
    DaemonReload,
    Enable { units: Vec<String>, now: bool },
    Start { units: Vec<String>, wait: bool },
}

/// User data that a real machine would ignore, too.
#[derive(Debug, thiserror::Error)]
pub enum CloudConfigError {
    #[error("the user data does not start with the line #cloud-config")]
    NoHeader,
    #[error("the user data is not valid cloud-config: {0}")]
    Yaml(String),
}

#[derive(Deserialize)]
struct Document {
    hostname: Option<String>,
    #[serde(default)]
    write_files: Vec<FileEntry>,
    #[serde(default)]
    runcmd: Vec<Value>,
    #[serde(flatten)]
    others: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
struct FileEntry {
    path: String,
    #[serde(default)]
    content: String,
    #[serde(default)]
    encoding: Option<String>,
    /// `'0644'`, or 0644, which YAML 1.1 (and so cloud-init) reads as octal.
    #[serde(default)]
    permissions: Option<Value>,
    #[serde(default)]
    append: bool,
}

/// Keys that cloud-init knows, but that need a disk image or separate users.
const NOT_EMULATED: [&str; 14] = [
    "packages",
    "package_update",
    "package_upgrade",
    "package_reboot_if_required",
    "apt",
    "mounts",
    "disk_setup",
    "fs_setup",
    "growpart",
    "users",
    "groups",
    "ssh_authorized_keys",
    "ssh_pwauth",
    "disable_root",
];

/// Parses user data. Empty user data yields an empty config.
pub fn parse(user_data: &str) -> Result<CloudConfig, CloudConfigError> {
    if user_data.trim().is_empty() {
        return Ok(CloudConfig::default());
    }
    if user_data.lines().next().map(str::trim_end) != Some("#cloud-config") {
        return Err(CloudConfigError::NoHeader);
    }
    if user_data
        .lines()
        .all(|line| line.trim().is_empty() || line.starts_with('#'))
    {
        return Ok(CloudConfig::default());
    }
    let options = serde_saphyr::options! { legacy_octal_numbers: true };
    let document: Document = serde_saphyr::from_str_with_options(user_data, options)
        .map_err(|error| CloudConfigError::Yaml(error.to_string()))?;

    let mut config = CloudConfig {
        hostname: document.hostname,
        ..CloudConfig::default()
    };
    for key in document.others.keys() {
        config
            .remarks
            .push(match NOT_EMULATED.contains(&key.as_str()) {
                true => format!("{key}: not emulated by the local cloud"),
                false => format!("{key}: not carried out, unknown to the local cloud"),
            });
    }
    for entry in document.write_files {
        match file(entry) {
            Ok(file) => config.files.push(file),
            Err(remark) => config.remarks.push(remark),
        }
    }
    // A no-op here: a machine's files are this host's and survive the machine.
    let to_do = |entry: &Value| *entry != json!("sync") && *entry != json!(["sync"]);
    for entry in document.runcmd.into_iter().filter(to_do) {
        match command(&entry) {
            Some(command) => config.commands.push(command),
            None => config.remarks.push(format!(
                "runcmd {entry}: not carried out, only systemctl {VERBS} is supported"
            )),
        }
    }
    Ok(config)
}

const VERBS: &str = "daemon-reload, enable [--now] UNIT… and start [--no-block] UNIT…";

fn file(entry: FileEntry) -> Result<File, String> {
    let FileEntry {
        path,
        content,
        encoding,
        permissions,
        append,
    } = entry;
    let content = match encoding.as_deref().unwrap_or("text/plain") {
        "text/plain" => content.into_bytes(),
        "b64" | "base64" => {
            let packed: String = content.split_whitespace().collect();
            BASE64_STANDARD
                .decode(packed)
                .map_err(|error| format!("write_files {path}: not written, {error}"))?
        }
        other => {
            return Err(format!(
                "write_files {path}: not written, the encoding {other} is not emulated"
            ));
        }
    };
    let mode = match &permissions {
        None | Some(Value::Null) => Some(0o644),
        Some(Value::String(octal)) => u32::from_str_radix(octal.trim_start_matches("0o"), 8).ok(),
        Some(number) => number
            .as_u64()
            .and_then(|number| u32::try_from(number).ok()),
    };
    let mode = mode.filter(|mode| *mode <= 0o7777).ok_or_else(|| {
        format!(
            "write_files {path}: not written, the permissions are not an octal number such as '0644'"
        )
    })?;
    Ok(File {
        path,
        mode,
        content,
        append,
    })
}

/// Parses a `runcmd` entry: a list is an argv, a string a command line. Quotes and operators are rejected
/// since they aren't unit names.
fn command(entry: &Value) -> Option<Systemctl> {
    let argv: Vec<&str> = match entry {
        Value::String(line) => line.split_whitespace().collect(),
        Value::Array(words) => words.iter().map(Value::as_str).collect::<Option<_>>()?,
        _ => return None,
    };
    let (program, arguments) = argv.split_first()?;
    if !matches!(
        *program,
        "systemctl" | "/bin/systemctl" | "/usr/bin/systemctl"
    ) {
        return None;
    }
    let (flags, words): (Vec<&str>, Vec<&str>) =
        arguments.iter().partition(|word| word.starts_with('-'));
    let (verb, names) = words.split_first()?;
    let units = || -> Option<Vec<String>> {
        let units: Option<Vec<String>> = names.iter().map(|name| unit_name(name)).collect();
        units.filter(|units| !units.is_empty())
    };
    match (*verb, flags.as_slice()) {
        ("daemon-reload", []) if names.is_empty() => Some(Systemctl::DaemonReload),
        ("enable", []) => Some(Systemctl::Enable {
            units: units()?,
            now: false,
        }),
        ("enable", ["--now"]) => Some(Systemctl::Enable {
            units: units()?,
            now: true,
        }),
        ("start", []) => Some(Systemctl::Start {
            units: units()?,
            wait: true,
        }),
        ("start", ["--no-block"]) => Some(Systemctl::Start {
            units: units()?,
            wait: false,
        }),
        _ => None,
    }
}

/// A unit's full name: systemctl appends `.service` if there is no suffix.
fn unit_name(name: &str) -> Option<String> {
    let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | ':' | '@');
    if name.is_empty() || !name.chars().all(valid) {
        return None;
    }
    let suffixed = [
        ".service", ".path", ".target", ".socket", ".timer", ".mount",
    ]
    .iter()
    .any(|end| name.ends_with(end));
    Some(if suffixed {
        name.to_owned()
    } else {
        format!("{name}.service")
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_there_at_once() {
        let config = parse("#cloud-config\nruncmd: [sync, [sync], [sync, /etc]]\n").unwrap();
        assert_eq!(config.commands, []);
        assert_eq!(config.remarks.len(), 1, "{:?}", config.remarks);
    }

    #[test]
    fn reads_files_of_every_encoding() {
        let config = parse(
            "#cloud-config\nwrite_files:\n\
             - {path: /etc/a, content: \"x\\n\", permissions: '0600', owner: root}\n\
             - {path: /etc/b, content: aGVsbG8K, encoding: b64, permissions: 0755}\n\
             - {path: /etc/c, content: more, append: true, encoding: text/plain}\n\
             - {path: /etc/d, content: x, encoding: gz+b64}\n\
             - {path: /etc/e, permissions: rw}\n",
        )
        .unwrap();
        let file = |path: &str, mode, content: &[u8], append| File {
            path: path.to_owned(),
            mode,
            content: content.to_vec(),
            append,
        };
        assert_eq!(
            config.files,
            [
                file("/etc/a", 0o600, b"x\n", false),
                file("/etc/b", 0o755, b"hello\n", false),
                file("/etc/c", 0o644, b"more", true),
            ]
        );
        assert_eq!(
            config.remarks,
            [
                "write_files /etc/d: not written, the encoding gz+b64 is not emulated",
                "write_files /etc/e: not written, the permissions are not an octal number such as '0644'",
            ]
        );
    }

    #[test]
    fn reads_systemctl_and_remarks_on_every_other_command() {
        let config = parse(
            "#cloud-config\nhostname: replica-1\nruncmd:\n\
             - systemctl daemon-reload\n\
             - [systemctl, enable, --now, etcd, certs.path]\n\
             - /usr/bin/systemctl start --no-block etcd.service\n\
             - systemctl start a && reboot\n\
             - systemctl start\n\
             - [touch, /x]\n\
             - systemctl stop a\n",
        )
        .unwrap();
        assert_eq!(config.hostname.as_deref(), Some("replica-1"));
        assert_eq!(
            config.commands,
            [
                Systemctl::DaemonReload,
                Systemctl::Enable {
                    units: vec!["etcd.service".into(), "certs.path".into()],
                    now: true
                },
                Systemctl::Start {
                    units: vec!["etcd.service".into()],
                    wait: false
                },
            ]
        );
        assert_eq!(config.remarks.len(), 4);
        assert!(
            config.remarks[0]
                .starts_with("runcmd \"systemctl start a && reboot\": not carried out")
        );
    }

    #[test]
    fn remarks_on_keys_without_effect() {
        let config = parse("#cloud-config\npackages: [etcd-server]\nfrobnicate: 1\n").unwrap();
        assert_eq!(
            config.remarks,
            [
                "frobnicate: not carried out, unknown to the local cloud",
                "packages: not emulated by the local cloud",
            ]
        );
    }

    #[test]
    fn user_data_that_cloud_init_would_ignore_is_an_error() {
        assert!(matches!(
            parse("#!/bin/sh\nreboot\n"),
            Err(CloudConfigError::NoHeader)
        ));
        assert!(matches!(
            parse("#cloud-config\nwrite_files: [\n"),
            Err(CloudConfigError::Yaml(_))
        ));
        assert!(matches!(
            parse("#cloud-config\nwrite_files: 7\n"),
            Err(CloudConfigError::Yaml(_))
        ));
        assert_eq!(parse("").unwrap(), CloudConfig::default());
        assert_eq!(parse("#cloud-config\n").unwrap(), CloudConfig::default());
    }
}
