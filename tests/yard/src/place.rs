//! A yard's records. Other processes find the yard by them, and its leftovers if its owner was killed.
//!
//! Below `/run/hakube-yard/ID`:
//!
//! | file | holds |
//! |---|---|
//! | `owner` | the process that opened it: id and start time |
//! | `lock` | nothing; the owner holds its lock |
//! | `name`, `data`, `image` | its name, its data directory, its hosts' root file system |
//! | `holder` | the process that keeps its network namespace alive |
//! | `hosts/NAME/` | `number`, `launcher` (the process that boots it), `boot` (the script), `unplugged` |
//!
//! `/run/hakube-yard/lock` is held by a process that creates, finds or removes such a directory.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use crate::cgroup::Groups;
use crate::error::{Error, Result, While};
use crate::process::Process;

const RUN: &str = "/run/hakube-yard";
/// A process ends right after SIGKILL, unless the disk is slow.
const END: Duration = Duration::from_secs(20);

/// A yard's records.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub id: String,
    pub name: String,
    pub run: PathBuf,
    pub data: PathBuf,
    pub groups: Groups,
}

impl Place {
    /// Creates the records of a new yard. The caller owns it while it holds the returned lock.
    pub fn make(name: &str, parent: &Path) -> Result<(Self, File)> {
        let id = format!("hakube-yard-{name}-{}", std::process::id());
        let run = Path::new(RUN).join(&id);
        let _all = lock_all()?;
        if run.exists() {
            let what = format!("this process already has a yard {name}");
            return Err(Error::Asked(what));
        }
        let data = parent.join(&id);
        let groups = Groups::of(&id)?;
        private(&run)?;
        let lock =
            File::create(run.join("lock")).while_(|| format!("creating {}/lock", run.display()))?;
        lock.try_lock()
            .while_(|| format!("locking {}", run.display()))?;
        let place = Self {
            id,
            name: name.to_owned(),
            run,
            data,
            groups,
        };
        let own = i32::try_from(std::process::id()).ok().and_then(Process::of);
        place.write("owner", &own.map(|own| own.to_string()).unwrap_or_default())?;
        place.write("name", name)?;
        place.write("data", &place.data.display().to_string())?;
        private(&place.run.join("hosts"))?;
        private(&place.data)?;
        Ok((place, lock))
    }

    fn read(run: &Path) -> Result<Self> {
        let id = run
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let file = |name: &str| fs::read_to_string(run.join(name)).unwrap_or_default();
        Ok(Self {
            name: file("name"),
            run: run.to_owned(),
            data: PathBuf::from(file("data")),
            groups: Groups::of(&id)?,
            id,
        })
    }

    pub fn write(&self, file: &str, content: &str) -> Result<()> {
        let path = self.run.join(file);
        fs::write(&path, content).while_(|| format!("writing {}", path.display()))
    }

    /// A file's content; `None` if it doesn't exist or doesn't parse.
    pub fn get<T: FromStr>(&self, file: &str) -> Option<T> {
        fs::read_to_string(self.run.join(file)).ok()?.parse().ok()
    }

    pub fn owner(&self) -> Option<Process> {
        self.get::<Process>("owner").filter(|owner| owner.lives())
    }

    /// The network namespace's file.
    pub fn network(&self) -> Result<String> {
        let holder = self
            .get::<Process>("holder")
            .filter(|holder| holder.lives());
        let holder =
            holder.ok_or_else(|| Error::Asked(format!("the yard {} is gone", self.name)))?;
        Ok(format!("/proc/{}/ns/net", holder.pid))
    }

    /// Removes everything of this yard. The caller holds its lock.
    pub fn remove(&self) -> Result<()> {
        if self.groups.exist() {
            self.groups.remove(END)?;
        }
        // Only root can write below `RUN`. Still, check that the path looks like this yard's data.
        if self.data.is_absolute() && self.data.ends_with(&self.id) {
            remove(&self.data)?;
        }
        let _all = lock_all()?;
        remove(&self.run)
    }
}

/// The yards that are open in some process.
pub(crate) fn open_yards() -> Result<Vec<Place>> {
    let _all = lock_all()?;
    let all = records()?
        .iter()
        .map(|run| Place::read(run))
        .collect::<Result<Vec<_>>>()?;
    Ok(all
        .into_iter()
        .filter(|place| place.owner().is_some())
        .collect())
}

/// Removes leftovers of yards whose owner has died. Returns their ids.
pub(crate) fn remove_leftovers() -> Result<Vec<String>> {
    let mut dead = Vec::new();
    {
        let _all = lock_all()?;
        for run in records()? {
            let place = Place::read(&run)?;
            // A process that creates a yard holds the global lock until it has the yard's own.
            let lock = match File::open(run.join("lock")) {
                Ok(lock) => Some(lock),
                Err(error) if error.kind() == ErrorKind::NotFound => None,
                Err(error) => {
                    return Err(error).while_(|| format!("opening {}/lock", run.display()));
                }
            };
            // A process that is removing the yard has it locked too.
            let is_free = match lock.as_ref().map(File::try_lock) {
                None | Some(Ok(())) => true,
                Some(Err(TryLockError::WouldBlock)) => false,
                Some(Err(TryLockError::Error(error))) => {
                    return Err(error).while_(|| format!("locking {}", run.display()));
                }
            };
            if is_free && place.owner().is_none() {
                dead.push((place, lock));
            }
        }
    }
    let mut removed = Vec::new();
    for (place, _lock) in dead {
        place.remove()?;
        removed.push(place.id);
    }
    Ok(removed)
}

fn records() -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(RUN).while_(|| format!("reading {RUN}"))?;
    let mut found: Vec<_> = entries
        .filter_map(std::result::Result::ok)
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .collect();
    found.sort();
    Ok(found)
}

/// Waits for the global lock, which is held only briefly.
fn lock_all() -> Result<File> {
    if !Path::new(RUN).is_dir() {
        match DirBuilder::new().mode(0o700).create(RUN) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            made => made.while_(|| format!("creating {RUN}"))?,
        }
    }
    let path = Path::new(RUN).join("lock");
    let file = File::create(&path).while_(|| format!("opening {}", path.display()))?;
    file.lock()
        .while_(|| format!("locking {}", path.display()))?;
    Ok(file)
}

/// Creates a directory that only root can access.
pub(crate) fn private(directory: &Path) -> Result<()> {
    let made = DirBuilder::new().mode(0o700).create(directory);
    made.while_(|| format!("creating {}", directory.display()))
}

fn remove(directory: &Path) -> Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed.while_(|| format!("removing {}", directory.display())),
    }
}
