//! The file system of a directory on a machine.

use super::command::{self, ABSENT};
use hakube_error::{Error, Result};
use hakube_model::DiskSpace;
use hakube_ssh::{Session, as_root, word};
use std::time::Duration;

/// `df` returns immediately, unless the disk hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// The space of the directory's file system; `None` if there is no such directory.
pub(super) async fn space(
    session: &Session,
    machine: &str,
    path: &str,
) -> Result<Option<DiskSpace>> {
    let failed = || {
        Error::failed(format!(
            "could not get the disk space of {path} on {machine}"
        ))
    };
    let script = format!("[ -d \"$1\" ] || exit {ABSENT}; LC_ALL=C df -P -k -- \"$1\"");
    let command = format!("{} {}", as_root(&script, "hakube-disk"), word(path));
    let Some(out) = command::find(session, &command, PATIENCE, failed).await? else {
        return Ok(None);
    };
    let text = String::from_utf8_lossy(&out);
    let space =
        parse(&text).ok_or_else(|| failed().because(format!("unexpected output of df: {text}")));
    space.map(Some)
}

/// Parses POSIX's format: a header, then the device, the size, the used and free space and the
/// percentage. The device's name may contain spaces.
fn parse(text: &str) -> Option<DiskSpace> {
    const KILO: u64 = 1024;
    let fields: Vec<&str> = text.lines().nth(1)?.split_whitespace().collect();
    fields.windows(4).find_map(|window| {
        let [size, _, free, percent] = window else {
            return None;
        };
        // A dash for file systems without blocks, such as the kernel's.
        if !percent.ends_with('%') && *percent != "-" {
            return None;
        }
        Some(DiskSpace {
            bytes: size.parse::<u64>().ok()?.saturating_mul(KILO),
            free: free.parse::<u64>().ok()?.saturating_mul(KILO),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_output_of_df_is_parsed() {
        let header = "Filesystem     1024-blocks      Used Available Capacity Mounted on\n";
        let table = [
            (
                "/dev/sdb           20466256  19466256   1000000      96% /var/lib/etcd",
                Some((20_466_256, 1_000_000)),
            ),
            (
                "a share of 7 disks     1000       900       100      90% /var/lib/etcd",
                Some((1000, 100)),
            ),
            ("df: no such file", None),
        ];
        for (line, space) in table {
            let space = space.map(|(bytes, free)| DiskSpace {
                bytes: bytes * 1024,
                free: free * 1024,
            });
            assert_eq!(parse(&format!("{header}{line}\n")), space, "{line}");
        }
        assert_eq!(parse(""), None);
    }
}
