//! Writes files on a machine. Contents are sent over standard input, so that they appear in no
//! argument list, and files are renamed once they are complete.

use super::command;
use hakube_error::{Error, Result};
use hakube_secret::SecretFile;
use hakube_ssh::{Session, as_root, word};
use std::fmt::Write as _;
use std::time::Duration;
use zeroize::Zeroizing;

/// The files are small.
const PATIENCE: Duration = Duration::from_secs(60);

/// Its arguments are mode, size and path of each file. All files are staged next to their
/// destinations, readable only by root, and then renamed in order. If anything fails (such as a
/// broken connection, and with it the pipe for errors), none is renamed. POSIX, except for `head
/// -c` and `sync FILE`, which coreutils and BusyBox have.
const SCRIPT: &str = r#"set -eu
mark=.hakube.$$
each() {
    step=$1; shift
    while [ "$#" -gt 0 ]; do "$step" "$1" "$2" "$3" "$3$mark"; shift 3; done
}
stage() {
    mkdir -p -- "${3%/*}"
    rm -f -- "$3".hakube.*
    (umask 077; head -c "$2" >"$4")
    if [ "$(wc -c <"$4")" -ne "$2" ]; then echo "the input ended within $3" >&2; exit 1; fi
    chmod -- "$1" "$4"
    sync "$4"
}
name() { mv -f -- "$4" "$3"; }
forget() { rm -f -- "$4"; }
trap 'each forget "$@"' EXIT
trap 'exit 1' HUP INT TERM
trap '' PIPE
each stage "$@"
each name "$@"
"#;

fn command_for(files: &[SecretFile]) -> String {
    let mut command = as_root(SCRIPT, "hakube-put");
    for file in files {
        let (mode, size) = (file.mode, file.content.expose().len());
        // Writing to a string can't fail.
        let _ = write!(command, " {mode:o} {size} {}", word(&file.path));
    }
    command
}

/// Writes the files on the machine with this name.
pub(super) async fn put(session: &Session, machine: &str, files: &[SecretFile]) -> Result<()> {
    let failed = || {
        let last = files.last().map_or("nothing", |file| file.path.as_str());
        let others = files.len().saturating_sub(1);
        let what = match others {
            0 => last.to_owned(),
            _ => format!("{last} and {others} files before it"),
        };
        Error::failed(format!("could not write {what} on {machine}"))
    };
    let contents = files.iter().map(|file| file.content.expose());
    let input = Zeroizing::new(contents.collect::<String>());
    let command = command_for(files);
    command::run(session, &command, input.as_bytes(), PATIENCE, failed)
        .await
        .map(drop)
}
