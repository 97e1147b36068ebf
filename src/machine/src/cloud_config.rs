//! The subset of `cloud-config` that hakube writes.
//!
//! Source: cloud-init's documentation of the modules `write_files` and `runcmd`. Values are
//! restricted to types that all YAML parsers interpret alike.

use serde::Serialize;

/// A `cloud-config` document.
#[derive(Debug, Serialize)]
pub(super) struct CloudConfig {
    write_files: Vec<File>,
    runcmd: Vec<Vec<String>>,
}

/// A file to create on the machine.
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

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    pub(super) fn content(&self) -> &str {
        &self.content
    }

    /// Its permission bits.
    pub(super) fn mode(&self) -> u32 {
        u32::from_str_radix(&self.permissions, 8).unwrap_or(0o600)
    }

    pub(super) fn base64(path: impl Into<String>, mode: u32, content: impl Into<String>) -> Self {
        Self {
            encoding: Some("b64"),
            ..Self::text(path, mode, content)
        }
    }
}

impl CloudConfig {
    /// A document with files, and units to enable and start once these exist.
    pub(super) fn new(write_files: Vec<File>, units: &[&str]) -> Self {
        let command = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
        let mut enable = vec!["systemctl", "enable", "--now"];
        enable.extend(units);
        Self {
            write_files,
            // Only the first boot writes all this. After a power cut, files that weren't flushed to
            // disk would exist but be empty, so nothing may start before the sync.
            runcmd: vec![
                command(&["sync"]),
                command(&["systemctl", "daemon-reload"]),
                command(&enable),
            ],
        }
    }

    /// Renders YAML, with the first line by which cloud-init recognizes it.
    pub(super) fn render(&self) -> String {
        // The value has only strings and lists, which YAML can always represent.
        let yaml = serde_saphyr::to_string(self).unwrap_or_default();
        format!("#cloud-config\n{yaml}")
    }
}
