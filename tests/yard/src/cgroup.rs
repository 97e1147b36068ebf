//! A yard's cgroups, in every hierarchy of this machine. Every process in them is the yard's.
//!
//! They identify a yard's processes after its owner has died.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;

use crate::error::{Error, Result, While};
use crate::process::Process;
use crate::until::{until, until_some};

/// The cgroups of one name below the root of each hierarchy.
#[derive(Debug, Clone)]
pub(crate) struct Groups {
    path: String,
    directories: Vec<PathBuf>,
}

impl Groups {
    /// The cgroups of the yard with this id.
    pub fn of(id: &str) -> Result<Self> {
        let mounts = fs::read_to_string("/proc/self/mountinfo")
            .while_(|| "reading /proc/self/mountinfo".to_owned())?;
        let directories: Vec<_> = hierarchies(&mounts)
            .into_iter()
            .map(|hierarchy| hierarchy.join(id))
            .collect();
        if directories.is_empty() {
            let why = "no cgroups are mounted below /sys/fs/cgroup";
            return Err(Error::Unfit(why.to_owned()));
        }
        let path = format!("/{id}");
        Ok(Self { path, directories })
    }

    /// The child cgroups of this name.
    pub fn sub(&self, name: &str) -> Self {
        let below = |directory: &PathBuf| directory.join(name);
        Self {
            path: format!("{}/{name}", self.path),
            directories: self.directories.iter().map(below).collect(),
        }
    }

    pub fn make(&self) -> Result<()> {
        for directory in &self.directories {
            make(directory).while_(|| format!("creating the cgroup {}", directory.display()))?;
        }
        Ok(())
    }

    /// The `cgroup.procs` files, to which a process writes its id to join.
    pub fn doors(&self) -> Vec<String> {
        let door = |directory: &PathBuf| directory.join("cgroup.procs").display().to_string();
        self.directories.iter().map(door).collect()
    }

    pub fn directories(&self) -> &[PathBuf] {
        &self.directories
    }

    pub fn exist(&self) -> bool {
        self.directories.iter().any(|directory| directory.exists())
    }

    /// All processes in these cgroups and their descendants.
    pub fn members(&self) -> Vec<Process> {
        let mut ids = Vec::new();
        for directory in &self.directories {
            walk(directory, &mut |group| {
                let list = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
                ids.extend(list.lines().filter_map(|line| line.parse::<i32>().ok()));
            });
        }
        ids.sort_unstable();
        ids.dedup();
        ids.into_iter().filter_map(Process::of).collect()
    }

    /// The processes according to one hierarchy. All hierarchies agree unless a process is being moved.
    pub fn members_of_one(&self) -> Vec<Process> {
        let directories = self.directories.iter().take(1).cloned().collect();
        Self {
            path: self.path.clone(),
            directories,
        }
        .members()
    }

    /// The `cgroup.procs` files of the cgroups that this process is in.
    pub fn doors_of(&self, process: Process) -> Vec<String> {
        let id = process.pid.to_string();
        let mut doors = Vec::new();
        for directory in &self.directories {
            walk(directory, &mut |group| {
                let door = group.join("cgroup.procs");
                let list = fs::read_to_string(&door).unwrap_or_default();
                if list.lines().any(|line| line == id) {
                    doors.push(door.display().to_string());
                }
            });
        }
        doors
    }

    /// Kills all processes, waits until they are gone, and removes the cgroups.
    pub fn remove(&self, limit: Duration) -> Result<()> {
        let emptied = until("the yard's processes have ended", limit, || {
            self.thaw();
            let members = self.members();
            for process in &members {
                process.signal_if(Signal::KILL, || self.has(*process));
            }
            members.is_empty()
        });
        if let Err(Error::Late { what, waited, .. }) = emptied {
            let left = self.members().into_iter();
            let left: Vec<_> = left
                .map(|process| format!("{} {}", process.pid, process.command_line()))
                .collect();
            let detail = format!(": {}", left.join(", "));
            return Err(Error::Late {
                what,
                waited,
                detail,
            });
        }
        // The kernel takes a moment to release the last process.
        until_some("the yard's cgroups are empty", limit, || {
            for directory in &self.directories {
                walk(directory, &mut |group| {
                    let _ = fs::remove_dir(group);
                });
            }
            Ok((!self.exist()).then_some(()))
        })
    }

    fn has(&self, process: Process) -> bool {
        let list = fs::read_to_string(format!("/proc/{}/cgroup", process.pid)).unwrap_or_default();
        list.lines().any(|line| {
            let path = line.splitn(3, ':').nth(2).unwrap_or_default();
            let rest = path.strip_prefix(&self.path);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }

    /// Processes in cgroup v1's freezer can't even be killed.
    fn thaw(&self) {
        for directory in &self.directories {
            walk(directory, &mut |group| {
                let state = group.join("freezer.state");
                if state.exists() {
                    let _ = fs::write(state, "THAWED");
                }
            });
        }
    }
}

/// The mount points of whole cgroup hierarchies in a list of mounts: proc(5).
fn hierarchies(mounts: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for line in mounts.lines() {
        let Some((mount, filesystem)) = line.split_once(" - ") else {
            continue;
        };
        let fields: Vec<&str> = mount.split(' ').collect();
        let kind = filesystem.split(' ').next().unwrap_or_default();
        if let (Some(&"/"), Some(point)) = (fields.get(3), fields.get(4))
            && matches!(kind, "cgroup" | "cgroup2")
            && point.starts_with("/sys/fs/cgroup")
        {
            found.push(PathBuf::from(point));
        }
    }
    found
}

fn make(directory: &Path) -> std::io::Result<()> {
    match fs::create_dir(directory) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    // A new cpuset has no CPUs and accepts no process.
    for file in ["cpuset.cpus", "cpuset.mems"] {
        let own = directory.join(file);
        let Some(above) = directory.parent().map(|parent| parent.join(file)) else {
            continue;
        };
        let is_v1 = !directory.join("cgroup.controllers").exists();
        if is_v1 && own.exists() && fs::read_to_string(&own)?.trim().is_empty() {
            fs::write(&own, fs::read_to_string(above)?.trim())?;
        }
    }
    Ok(())
}

/// Calls `visit` with each descendant of a cgroup, then with the cgroup.
fn walk(directory: &Path, visit: &mut impl FnMut(&Path)) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            walk(&entry.path(), visit);
        }
    }
    if directory.exists() {
        visit(directory);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hierarchies_are_found_among_other_mounts() {
        let mounts = "\
            28 27 0:5 / /dev rw - devtmpfs devtmpfs rw\n\
            31 30 0:26 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n\
            32 31 0:27 / /sys/fs/cgroup/cpu rw,relatime shared:3 - cgroup cgroup rw,cpu\n\
            33 31 0:28 /docker/1 /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n\
            34 31 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
        let expected = ["/sys/fs/cgroup/cpu", "/sys/fs/cgroup/unified"];
        assert_eq!(hierarchies(mounts), expected.map(PathBuf::from));
    }
}
