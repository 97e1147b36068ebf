//! The text of systemd units.

use super::cloud_config::File;

/// The file of a unit.
pub(super) fn unit(name: &str, content: &str) -> File {
    File::text(format!("/etc/systemd/system/{name}"), 0o644, content)
}

/// A unit that runs one of the programs.
pub(super) struct Service<'a> {
    pub program: &'a str,
    pub flags: Vec<String>,
    pub restart: &'a str,
    /// The environment files.
    pub environment: Vec<String>,
    /// `NAME=value`, without anything that systemd would split or expand.
    pub variables: Vec<String>,
    /// The units that must be up first.
    pub requires: Vec<&'a str>,
    /// Commands that must succeed first.
    pub before: Vec<String>,
    /// The data directory, if a disk is mounted there first.
    pub mounted: Option<&'a str>,
}

impl<'a> Service<'a> {
    pub(super) fn new(program: &'a str, flags: Vec<String>) -> Self {
        Self {
            program,
            flags,
            restart: "always",
            environment: Vec::new(),
            variables: Vec::new(),
            requires: Vec::new(),
            before: Vec::new(),
            mounted: None,
        }
    }

    pub(super) fn render(&self) -> String {
        let Self {
            program, restart, ..
        } = self;
        let required = self.requires.iter();
        let mut needs: String = required
            .map(|unit| format!("Requires={unit}\nAfter={unit}\n"))
            .collect();
        if let Some(directory) = self.mounted {
            needs.push_str(&format!("RequiresMountsFor={directory}\n"));
        }
        // Variables come first: environment files override them.
        let variables = self.variables.iter();
        let variables = variables.map(|variable| format!("Environment={variable}\n"));
        let files = self.environment.iter();
        let files = files.map(|file| format!("EnvironmentFile={file}\n"));
        let environment: String = variables.chain(files).collect();
        let before = self.before.iter();
        let before: String = before
            .map(|command| format!("ExecStartPre={command}\n"))
            .collect();
        let flags: String = self
            .flags
            .iter()
            .map(|flag| format!(" \\\n  {flag}"))
            .collect();
        // A command that waits for something has no timeout.
        let patience = if self.before.is_empty() {
            ""
        } else {
            "TimeoutStartSec=infinity\n"
        };
        format!(
            "[Unit]\nDescription={program}\n{needs}StartLimitIntervalSec=0\n\n\
             [Service]\n{environment}{before}ExecStart=/usr/local/bin/{program}{flags}\n\
             Restart={restart}\nRestartSec=500ms\n{patience}TimeoutStopSec=20s\nLimitNOFILE=65536\n\n\
             [Install]\nWantedBy=multi-user.target\n"
        )
    }
}
