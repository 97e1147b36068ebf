//! Command lines: the real components' flags, as far as hakube passes them, as `--name=value`.
//!
//! Other flags are rejected, as by the real component: a stand-in that ignored them would hide mistakes.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use Kind::{Bool, File, Span, Text};

use crate::Result;

/// The type of a flag's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Any text, including paths of files that may be created later.
    Text,
    /// A file that must be readable at start.
    File,
    /// `true` or `false`.
    Bool,
    /// A duration in Go's syntax: `1h2m3s`.
    Span,
}

type Table = &'static [(&'static str, Kind)];

/// kube-apiserver's flags.
pub const API_SERVER: Table = &[
    ("advertise-address", Text),
    ("allow-privileged", Bool),
    ("authorization-mode", Text),
    ("bind-address", Text),
    ("client-ca-file", File),
    ("enable-admission-plugins", Text),
    ("enable-bootstrap-token-auth", Bool),
    ("encryption-provider-config", File),
    ("etcd-cafile", File),
    ("etcd-certfile", File),
    ("etcd-compaction-interval", Span),
    ("etcd-keyfile", File),
    ("etcd-servers", Text),
    ("feature-gates", Text),
    ("kubelet-certificate-authority", File),
    ("kubelet-client-certificate", File),
    ("kubelet-client-key", File),
    ("kubelet-preferred-address-types", Text),
    ("proxy-client-cert-file", File),
    ("proxy-client-key-file", File),
    ("request-timeout", Span),
    ("requestheader-allowed-names", Text),
    ("requestheader-client-ca-file", File),
    ("requestheader-extra-headers-prefix", Text),
    ("requestheader-group-headers", Text),
    ("requestheader-username-headers", Text),
    ("runtime-config", Text),
    ("secure-port", Text),
    ("service-account-issuer", Text),
    ("service-account-key-file", File),
    ("service-account-signing-key-file", File),
    ("service-cluster-ip-range", Text),
    ("shutdown-delay-duration", Span),
    ("shutdown-watch-termination-grace-period", Span),
    ("tls-cert-file", File),
    ("tls-private-key-file", File),
];

/// kube-controller-manager's flags.
pub const CONTROLLER_MANAGER: Table = &[
    ("allocate-node-cidrs", Bool),
    ("authentication-kubeconfig", File),
    ("authorization-kubeconfig", File),
    ("bind-address", Text),
    ("client-ca-file", File),
    ("cluster-cidr", Text),
    ("cluster-name", Text),
    ("cluster-signing-cert-file", File),
    ("cluster-signing-duration", Span),
    ("cluster-signing-key-file", File),
    ("controllers", Text),
    ("kubeconfig", File),
    ("leader-elect", Bool),
    ("leader-elect-lease-duration", Span),
    ("node-cidr-mask-size", Text),
    ("node-monitor-grace-period", Span),
    ("requestheader-client-ca-file", File),
    ("root-ca-file", File),
    ("service-account-private-key-file", File),
    ("service-cluster-ip-range", Text),
    ("use-service-account-credentials", Bool),
];

/// kube-scheduler's flags.
pub const SCHEDULER: Table = &[
    ("authentication-kubeconfig", File),
    ("authorization-kubeconfig", File),
    ("bind-address", Text),
    ("kubeconfig", File),
    ("leader-elect", Bool),
    ("leader-elect-lease-duration", Span),
];

/// kubelet's flags.
pub const KUBELET: Table = &[
    ("bootstrap-kubeconfig", Text),
    ("config", File),
    ("config-dir", Text),
    ("hostname-override", Text),
    ("kubeconfig", Text),
    ("node-ip", Text),
    ("node-labels", Text),
    ("register-with-taints", Text),
];

/// A parsed command line. Values have been checked against their kind.
#[derive(Debug, Default)]
pub struct Flags(HashMap<&'static str, String>);

impl Flags {
    /// Parses `args`, without the component's name.
    pub fn parse(table: Table, args: impl Iterator<Item = OsString>) -> Result<Self> {
        let mut flags = Self::default();
        for arg in args {
            let arg = arg.to_string_lossy();
            let (given, value) = arg.split_once('=').unwrap_or((&arg, ""));
            let known = table
                .iter()
                .find(|(name, _)| given.strip_prefix("--") == Some(name));
            let (name, kind) = *known.ok_or_else(|| format!("unknown flag: {given}"))?;
            let is_valid = match kind {
                Text | File => true,
                Bool => matches!(value, "true" | "false"),
                Span => span(value).is_some(),
            };
            if !is_valid {
                return Err(format!("invalid argument {value:?} for {given:?} flag"));
            }
            flags.0.insert(name, value.to_owned());
            if kind == File {
                flags.read(name)?;
            }
        }
        Ok(flags)
    }

    /// The value; `None` if the flag is absent or empty.
    pub fn text(&self, name: &str) -> Option<&str> {
        let value = self.0.get(name).map(String::as_str);
        value.filter(|value| !value.is_empty())
    }

    /// The value of a required flag.
    pub fn required(&self, name: &str) -> Result<&str> {
        self.text(name)
            .ok_or_else(|| format!("--{name} must be specified"))
    }

    /// The path that a required flag names.
    pub fn path(&self, name: &str) -> Result<PathBuf> {
        self.required(name).map(PathBuf::from)
    }

    /// The content of a required flag's file.
    pub fn read(&self, name: &str) -> Result<Vec<u8>> {
        let path = self.required(name)?;
        std::fs::read(path).map_err(|error| format!("--{name}: can't read {path}: {error}"))
    }

    /// A boolean; false if absent.
    pub fn bool(&self, name: &str) -> bool {
        self.text(name) == Some("true")
    }

    /// A duration; `default`, in seconds, if absent.
    pub fn span(&self, name: &str, default: u64) -> Duration {
        self.text(name)
            .and_then(span)
            .unwrap_or(Duration::from_secs(default))
    }

    /// The items of a list, separated by commas.
    pub fn list(&self, name: &str) -> impl Iterator<Item = &str> {
        let items = self.text(name).unwrap_or_default().split(',');
        items.filter(|item| !item.is_empty())
    }
}

fn span(value: &str) -> Option<Duration> {
    let span: jiff::SignedDuration = value.parse().ok()?;
    span.try_into().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn refusal(arg: &str) -> String {
        Flags::parse(API_SERVER, [arg.into()].into_iter()).unwrap_err()
    }

    #[test]
    fn unknown_flags_and_invalid_values_are_refused() {
        // Kubernetes removed these two.
        for unknown in ["--etcd-quorum-read", "--insecure-port", "serve"] {
            assert_eq!(
                refusal(&format!("{unknown}=0")),
                format!("unknown flag: {unknown}")
            );
        }
        assert!(refusal("--allow-privileged=maybe").contains("maybe"));
        assert!(refusal("--request-timeout=1").contains("--request-timeout"));
        let said = refusal("--client-ca-file=/nowhere/ca.crt");
        assert!(
            said.starts_with("--client-ca-file: can't read /nowhere/ca.crt: "),
            "{said}"
        );
    }

    #[test]
    fn durations_have_gos_syntax() {
        assert_eq!(span("150ms"), Some(Duration::from_millis(150)));
        assert_eq!(span("1h0m2s"), Some(Duration::from_secs(3602)));
        assert_eq!(span("-1s"), None);
    }
}
