//! Values and directories that aren't valid UTF-8.

use super::super::resolve;
use super::{refused, sources};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

/// A path with replacement characters is another file's.
#[test]
fn invalid_utf8_is_refused_and_never_reinterpreted() {
    for (name, value) in [
        ("HAKUBE_HOME", "/jos\u{fffd}"),
        ("KUBECONFIG", "/jos\u{fffd}/config"),
        ("XDG_STATE_HOME", "/jos\u{fffd}"),
        ("HAKUBE_MANIFESTS", "/jos\u{fffd}.yaml"),
    ] {
        let messages = refused(&[(name, value)]).join("\n");
        assert!(
            messages.contains("it isn't valid UTF-8"),
            "{name}: {messages}"
        );
    }
    let directory = PathBuf::from(OsStr::from_bytes(b"/home/jos\xe9"));
    let mut at_home = sources(&[]);
    at_home.home_dir = Some(directory.clone());
    let errors = resolve(&at_home).unwrap_err().to_string();
    assert!(errors.contains("HAKUBE_HOME"), "{errors}");
    let mut relative = sources(&[("KUBECONFIG", "config")]);
    relative.working_dir = directory;
    let errors = resolve(&relative).unwrap_err().to_string();
    assert!(errors.contains("use an absolute path"), "{errors}");
}
