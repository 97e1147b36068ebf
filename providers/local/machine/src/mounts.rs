//! File systems that units of a machine have mounted below its directory. They are mounts of this host, and outlive
//! the machine's processes.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Removes all mounts below a directory, the last one first.
pub fn remove_below(dir: &Path) -> io::Result<()> {
    let known = fs::read_to_string("/proc/self/mountinfo")?;
    for mount in below(&known, dir).into_iter().rev() {
        // Lazily: a process that still uses it must not keep the machine.
        let mut umount = Command::new("umount");
        let done = umount
            .args(["--lazy", "--no-canonicalize", "--"])
            .arg(&mount);
        let done = done.output()?;
        if !done.status.success() {
            let said = String::from_utf8_lossy(&done.stderr);
            return Err(io::Error::other(said.trim().to_owned()));
        }
    }
    Ok(())
}

/// The mount points below a directory, in the order in which they were mounted. See proc_pid_mountinfo(5).
fn below(mountinfo: &str, dir: &Path) -> Vec<PathBuf> {
    let points = mountinfo.lines().filter_map(|line| line.split(' ').nth(4));
    let points = points.map(|point| PathBuf::from(unescaped(point)));
    points
        .filter(|point| point != dir && point.starts_with(dir))
        .collect()
}

/// Blanks, tabs, line feeds and backslashes are written as `\\` and three octal digits.
fn unescaped(text: &str) -> String {
    [
        ("\\040", " "),
        ("\\011", "\t"),
        ("\\012", "\n"),
        ("\\134", "\\"),
    ]
    .iter()
    .fold(text.to_owned(), |text, (written, meant)| {
        text.replace(written, meant)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_mounts_below_the_directory_are_found() {
        let info = "\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
40 22 8:1 /m /srv/m rw,relatime - ext4 /dev/sda1 rw
41 22 8:1 /m/root/home /srv/m/root/home\\040of rw,relatime shared:1 - ext4 /dev/sda1 rw
42 41 0:50 / /srv/m/root/home\\040of/x rw - tmpfs tmpfs rw
43 22 8:1 /m2 /srv/m2/root rw,relatime - ext4 /dev/sda1 rw
";
        let found = below(info, Path::new("/srv/m"));
        let wanted = ["/srv/m/root/home of", "/srv/m/root/home of/x"].map(PathBuf::from);
        assert_eq!(found, wanted);
    }
}
