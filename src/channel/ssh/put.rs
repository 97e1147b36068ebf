//! Files onto a machine: their contents go over standard input only, so that they are in no argument
//! list, and each gets its name when it is whole.

use crate::error::{Error, Result};
use crate::pki::SecretFile;
use hakube_ssh::{Session, as_root, word};
use std::fmt::Write as _;
use std::time::Duration;
use tokio::time::timeout;
use zeroize::Zeroizing;

/// The files are small.
const PATIENCE: Duration = Duration::from_secs(60);

/// Mode, size and path of each file are its arguments. All files are staged beside where they belong,
/// for root alone to read, before the first gets its name; then they do in their order. If anything is
/// missing (the connection broke, and with it the pipe to complain into), none does. POSIX, but for `head -c` and `sync FILE`, which
/// coreutils and BusyBox have.
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

fn command(files: &[SecretFile]) -> String {
    let mut command = as_root(SCRIPT, "hakube-put");
    for file in files {
        let (mode, size) = (file.mode, file.content.expose().len());
        // Writing to a string can't fail.
        let _ = write!(command, " {mode:o} {size} {}", word(&file.path));
    }
    command
}

/// Puts the files on the machine of this name.
pub(super) async fn put(session: &Session, machine: &str, files: &[SecretFile]) -> Result<()> {
    let failed = || {
        let last = files.last().map_or("nothing", |file| file.path.as_str());
        let others = files.len().saturating_sub(1);
        let what = match others {
            0 => last.to_owned(),
            _ => format!("{last} and {others} files before it"),
        };
        Error::failed(format!("could not put {what} on {machine}"))
    };
    let contents = files.iter().map(|file| file.content.expose());
    let input = Zeroizing::new(contents.collect::<String>());
    let command = command(files);
    let run = session.run(&command, input.as_bytes());
    let output = match timeout(PATIENCE, run).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) => return Err(failed().because(error).transient()),
        Err(_) => {
            let why = format!("it took longer than {} s", PATIENCE.as_secs());
            return Err(failed().because(why).transient());
        }
    };
    match output.status {
        Some(0) => Ok(()),
        None => Err(failed().because("the connection broke").transient()),
        Some(status) => Err(failed().because(format!(
            "the machine's shell ended with {status}: {}",
            output.said.trim()
        ))),
    }
}
