//! The subset of `cloud-config` that hakube writes.
//!
//! Source: cloud-init's documentation of the modules `write_files` and `runcmd`. The kinds of value are
//! only those that its YAML reader and every other agree on.

use serde::Serialize;

/// A `cloud-config` document.
#[derive(Debug, Serialize)]
pub(super) struct CloudConfig {
    write_files: Vec<File>,
    runcmd: Vec<Vec<String>>,
}

/// A file that it puts on the machine.
#[derive(Debug, Serialize)]
pub(super) struct File {
    path: String,
    permissions: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    encoding: Option<&'static str>,
    content: String,
}

impl File {
    pub(super) fn text(path: impl Into<String>, mode: u32, content: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            permissions: format!("{mode:04o}"),
            encoding: None,
            content: content.into(),
        }
    }

    pub(super) fn base64(path: impl Into<String>, mode: u32, content: impl Into<String>) -> Self {
        Self {
            encoding: Some("b64"),
            ..Self::text(path, mode, content)
        }
    }
}

impl CloudConfig {
    /// Files, and the units that are enabled and started once these are there.
    pub(super) fn new(write_files: Vec<File>, units: &[&str]) -> Self {
        let command = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
        let mut enable = vec!["systemctl", "enable", "--now"];
        enable.extend(units);
        Self {
            write_files,
            // The first boot is the only one that writes all this. After a power cut, files that hadn't reached the
            // disk would be there and empty: so nothing that others rely on starts before they have.
            runcmd: vec![
                command(&["sync"]),
                command(&["systemctl", "daemon-reload"]),
                command(&enable),
            ],
        }
    }

    /// As YAML, with the first line that makes cloud-init take it for its own.
    pub(super) fn render(&self) -> String {
        // The value is strings and lists: it has nothing that YAML can't hold.
        let yaml = serde_saphyr::to_string(self).unwrap_or_default();
        format!("#cloud-config\n{yaml}")
    }
}
