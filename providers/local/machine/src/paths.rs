//! The machine's paths and the host's.
//!
//! Units run without a chroot, so they can use the host's programs and libraries. The machine's own
//! directories are mapped into its `root/`; all other paths are the host's.

use std::path::{Component, Path, PathBuf};

/// The machine's own directories. `/usr` (except `/usr/local`), `/bin`, `/lib`, `/proc`, `/dev`, `/tmp` and
/// the rest are the host's.
const OWN: [&str; 8] = [
    "/etc",
    "/var",
    "/opt",
    "/usr/local",
    "/run",
    "/srv",
    "/root",
    "/home",
];

/// A path that can't be a file of a machine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a path on a machine: it must be absolute and without `..`")]
pub struct BadPath(pub String);

#[derive(Clone, Debug)]
pub struct Root(String);

impl Root {
    /// `dir` must be absolute, and UTF-8 because it goes into environments and command lines.
    pub fn new(dir: &Path) -> Option<Self> {
        dir.to_str()
            .filter(|_| dir.is_absolute())
            .map(|dir| Self(dir.to_owned()))
    }

    /// The directory on the host.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The host's path of a file that is written to the machine, in any directory.
    pub fn file(&self, path: &str) -> Result<PathBuf, BadPath> {
        let bad = || BadPath(path.to_owned());
        let relative = path.strip_prefix('/').ok_or_else(bad)?;
        let plain = Path::new(relative)
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        if relative.is_empty() || path.ends_with('/') || !plain {
            return Err(bad());
        }
        Ok(Path::new(&self.0).join(relative))
    }

    /// The host's path of a path in a unit.
    pub fn locate(&self, path: &str) -> PathBuf {
        if is_own(path) {
            PathBuf::from(format!("{}{path}", self.0))
        } else {
            PathBuf::from(path)
        }
    }

    /// Maps the machine's paths within a word of a command line or the value of a variable: at the beginning
    /// and wherever a path can start (`--file=/etc/x,/etc/y`, `unix:///run/z`, `sh -c 'cat /etc/x
    /// >/run/y'`).
    pub fn map(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        let mut can_start = true;
        while let Some(c) = rest.chars().next() {
            if can_start && c == '/' && !rest.starts_with(&self.0) && is_own(rest) {
                out.push_str(&self.0);
            }
            out.push(c);
            rest = &rest[c.len_utf8()..];
            // An opening quote stands where a path could start; a closing one doesn't
            // (`"$MACHINE_ROOT"/etc/x`).
            can_start = starts_paths(c)
                || (can_start && matches!(c, '\'' | '"'))
                || out.ends_with("unix://")
                || out.ends_with("file://");
        }
        out
    }
}

/// Whether a path can start after this character.
fn starts_paths(c: char) -> bool {
    c.is_whitespace() || matches!(c, '=' | ',' | '<' | '>' | '(' | ';')
}

/// Whether the text starts with one of the machine's paths.
fn is_own(text: &str) -> bool {
    OWN.iter()
        .filter_map(|prefix| text.strip_prefix(prefix))
        .any(|rest| {
            // `/etc` ends here: `/etcd` and `/etc.d` don't match.
            !rest.starts_with(|c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.'))
        })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn root() -> Root {
        Root::new(Path::new("/home/u/m/root")).unwrap()
    }

    #[test]
    fn maps_the_machine_s_paths_and_no_others() {
        let cases = [
            ("/etc/x", "@/etc/x"),
            ("--config=/etc/x", "--config=@/etc/x"),
            ("/var/a,/srv/b,/usr/c", "@/var/a,@/srv/b,/usr/c"),
            (
                "--endpoint=unix:///run/c.sock",
                "--endpoint=unix://@/run/c.sock",
            ),
            ("cat /etc/x >/run/y", "cat @/etc/x >@/run/y"),
            ("cat \"/etc/x y\"", "cat \"@/etc/x y\""),
            ("cat \"$MACHINE_ROOT\"/etc/x", "cat \"$MACHINE_ROOT\"/etc/x"),
            ("/usr/local/bin/etcd", "@/usr/local/bin/etcd"),
            ("/etc", "@/etc"),
            ("/usr/bin/etcd", "/usr/bin/etcd"),
            ("/etcd/etc/x", "/etcd/etc/x"),
            ("/etc.d", "/etc.d"),
            ("https://host/etc/x", "https://host/etc/x"),
            ("http:///var/x", "http:///var/x"),
            ("a/var/x", "a/var/x"),
            ("/home/u/m/root/etc/x", "/home/u/m/root/etc/x"),
        ];
        for (text, mapped) in cases {
            assert_eq!(
                root().map(text),
                mapped.replace('@', "/home/u/m/root"),
                "{text}"
            );
        }
    }

    #[test]
    fn files_stay_inside_the_root() {
        assert_eq!(
            root().file("/usr/bin/x").unwrap(),
            Path::new("/home/u/m/root/usr/bin/x")
        );
        for bad in ["etc/x", "/etc/../../x", "/", "", "/etc/", "/.."] {
            assert_eq!(root().file(bad), Err(BadPath(bad.to_owned())));
        }
    }
}
