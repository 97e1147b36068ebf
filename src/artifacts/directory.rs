//! A directory laid out as a mirror: what is in it, by its own lists.

use super::images::{self, Archive};
use super::list::{Entry, Kind};
use super::sums::is_sum;
use crate::error::{Error, Result};
use std::collections::BTreeMap;
use std::fs::{File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// The list of all files' sums, in sha256sum's format.
pub const SUMS: &str = "SHA256SUMS";
/// The list of what the files are, where they came from, and how long they are.
pub const INVENTORY: &str = "artifacts.json";

/// Web servers run as users of their own, and this is no secret.
const FILE_MODE: u32 = 0o644;
const DIRECTORY_MODE: u32 = 0o755;

/// SHA-256 sums by path.
pub type Sums = BTreeMap<String, String>;

/// The directory, held for writing.
pub struct Directory {
    root: PathBuf,
    sums: Sums,
    entries: BTreeMap<String, Entry>,
    /// Locked as long as it is open.
    _lock: File,
}

impl Directory {
    /// Makes it, where it isn't there yet.
    ///
    /// # Errors
    /// It can't be made or read; another command is writing there.
    pub fn open(root: &Path) -> Result<Self> {
        make_directory(root)?;
        let broken = |error: io::Error| {
            Error::bad_input(format!("could not use {}", root.display())).because(error)
        };
        let lock = File::open(root).map_err(broken)?;
        lock.try_lock().map_err(|error| match error {
            std::fs::TryLockError::WouldBlock => Error::refused(format!(
                "another hakube is fetching into {}",
                root.display()
            ))
            .hint("wait until it is done, then run this again"),
            std::fs::TryLockError::Error(error) => broken(error),
        })?;
        let entries = inventory(root)?.into_iter();
        Ok(Self {
            sums: sums(root)?.unwrap_or_default(),
            entries: entries.map(|entry| (entry.path.clone(), entry)).collect(),
            root: root.to_owned(),
            _lock: lock,
        })
    }

    /// Where a file of it is, or goes.
    pub fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// The same, in a directory that is there.
    ///
    /// # Errors
    /// The file's directory can't be made.
    pub fn place(&self, path: &str) -> Result<PathBuf> {
        let path = self.path(path);
        if let Some(parent) = path.parent() {
            make_directory(parent)?;
        }
        Ok(path)
    }

    /// The sum that a file of it had when it was last recorded.
    pub fn sum(&self, path: &str) -> Option<&str> {
        self.sums.get(path).map(String::as_str)
    }

    /// Whether it is known where a file of it came from.
    pub fn has_entry(&self, path: &str) -> bool {
        self.entries.contains_key(path)
    }

    /// Takes a file into the lists.
    ///
    /// # Errors
    /// It can't be read.
    pub fn record(&mut self, mut entry: Entry, sha256: String) -> Result<()> {
        let path = self.path(&entry.path);
        let metadata = path.metadata().map_err(|error| unread(&path, &error))?;
        entry.size = Some(metadata.len());
        entry.sha256 = Some(sha256.clone());
        self.sums.insert(entry.path.clone(), sha256);
        self.entries.insert(entry.path.clone(), entry);
        Ok(())
    }

    /// Writes the lists: sums of programs beside them as their publishers have them (`sums_paths`), `images.json`,
    /// and at last the list of all sums. Files that are gone are taken off them, and returned.
    ///
    /// # Errors
    /// They can't be written.
    pub fn write_lists(&mut self, sums_paths: &[String]) -> Result<Vec<String>> {
        let is_gone = |path: &String| !self.root.join(path).exists();
        let gone: Vec<String> = self
            .sums
            .keys()
            .filter(|path| is_gone(path))
            .cloned()
            .collect();
        for path in &gone {
            self.sums.remove(path);
            self.entries.remove(path);
        }
        for path in sums_paths {
            let list = self.sums_beside(path);
            self.write(path, &list)?;
        }
        let list = self.image_list()?;
        self.write(
            &format!("{}/{}", images::DIRECTORY, images::LIST),
            &json(&list)?,
        )?;
        let inventory: Vec<&Entry> = self.entries.values().collect();
        let inventory = json(&inventory)?;
        self.write(INVENTORY, &inventory)?;
        let text: String = self
            .sums
            .iter()
            .map(|(path, sum)| format!("{sum}  {path}\n"))
            .collect();
        replace(&self.root.join(SUMS), &text)?;
        Ok(gone)
    }

    /// A publisher's list of sums: of one file, whose name and a suffix is the list's, or of all files beside it.
    fn sums_beside(&self, list: &str) -> String {
        let (directory, _) = list.rsplit_once('/').unwrap_or(("", list));
        let programs = self
            .entries
            .values()
            .filter(|entry| entry.kind == Kind::Program);
        let mut lines = String::new();
        for Entry { path, sha256, .. } in programs {
            let Some((beside, name)) = path.rsplit_once('/') else {
                continue;
            };
            let Some(sum) = sha256 else { continue };
            if list
                .strip_prefix(path)
                .is_some_and(|rest| rest.starts_with('.'))
            {
                return format!("{sum}  {name}\n");
            }
            if beside == directory {
                lines.push_str(&format!("{sum}  {name}\n"));
            }
        }
        lines
    }

    /// The archives that are there: those of the list as it was, and those that were recorded.
    fn image_list(&self) -> Result<Vec<Archive>> {
        let path = self.root.join(images::DIRECTORY).join(images::LIST);
        let mut archives = match read_if_there(&path)? {
            Some(text) => images::parse(&path.display().to_string(), &text)?,
            None => Vec::new(),
        };
        for entry in self.entries.values() {
            let Some(archive) = archive(entry) else {
                continue;
            };
            archives.retain(|other| (&other.name, &other.arch) != (&archive.name, &archive.arch));
            archives.push(archive);
        }
        archives.retain(|archive| {
            self.root
                .join(images::DIRECTORY)
                .join(&archive.file)
                .exists()
        });
        archives.sort_by(|one, other| one.file.cmp(&other.file));
        Ok(archives)
    }

    /// A file of hakube's own, which is in the list of sums as all others are.
    fn write(&mut self, path: &str, text: &str) -> Result<()> {
        use sha2::Digest as _;
        replace(&self.place(path)?, text)?;
        let sum = format!("{:x}", sha2::Sha256::digest(text));
        self.sums.insert(path.to_owned(), sum);
        Ok(())
    }
}

fn archive(entry: &Entry) -> Option<Archive> {
    let Entry {
        name,
        version,
        arch,
        ..
    } = entry;
    let file = entry
        .path
        .strip_prefix(images::DIRECTORY)?
        .strip_prefix('/')?;
    let sha256 = entry.sha256.clone()?;
    (entry.kind == Kind::Image).then(|| Archive {
        name: if version.is_empty() {
            name.clone()
        } else {
            format!("{name}:{version}")
        },
        file: file.to_owned(),
        sha256,
        arch: arch.clone(),
    })
}

/// The list of sums; `None` where there isn't one.
///
/// # Errors
/// It can't be read, or isn't one; it names a file outside.
pub fn sums(root: &Path) -> Result<Option<Sums>> {
    let file = root.join(SUMS);
    let Some(text) = read_if_there(&file)? else {
        return Ok(None);
    };
    let lines = text.lines().zip(1..).filter(|(line, _)| !line.is_empty());
    let sums = lines.map(|(line, number)| {
        let broken = |why: &str| {
            Error::bad_input(format!("{} line {number}: {why}", file.display())).hint(format!(
                "fetch into it again: hakube artifacts fetch --directory {}",
                root.display()
            ))
        };
        let parsed = line.split_once(' ').filter(|(sum, _)| is_sum(sum));
        let (sum, path) = parsed.ok_or_else(|| broken("it isn't a SHA-256 and a name"))?;
        let path = path.trim_start_matches([' ', '*']);
        let path = path.strip_prefix("./").unwrap_or(path);
        if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(broken("its name isn't a path in this directory"));
        }
        Ok((path.to_owned(), sum.to_ascii_lowercase()))
    });
    sums.collect::<Result<Sums>>().map(Some)
}

/// What the files are, as far as it was recorded.
///
/// # Errors
/// The list can't be read, or isn't one.
pub fn inventory(root: &Path) -> Result<Vec<Entry>> {
    let file = root.join(INVENTORY);
    match read_if_there(&file)? {
        None => Ok(Vec::new()),
        Some(text) => serde_json::from_str(&text).map_err(|error| {
            Error::bad_input(format!("{} is no list of artifacts", file.display()))
                .because(error)
                .hint(format!("remove it, and run `hakube artifacts fetch --directory {}`: it is written again", root.display()))
        }),
    }
}

fn json(value: &impl serde::Serialize) -> Result<String> {
    crate::output::document(value, crate::output::Format::Json)
}

fn read_if_there(file: &Path) -> Result<Option<String>> {
    match std::fs::read_to_string(file) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unread(file, &error)),
    }
}

/// A small file, whole or as it was.
fn replace(path: &Path, text: &str) -> Result<()> {
    let directory = path.parent().unwrap_or(path);
    let written = (|| {
        let mut file = tempfile::NamedTempFile::new_in(directory)?;
        file.write_all(text.as_bytes())?;
        file.as_file()
            .set_permissions(Permissions::from_mode(FILE_MODE))?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    })();
    written.map_err(|error: io::Error| {
        Error::failed(format!("could not write {}", path.display()))
            .because(error)
            .hint(format!(
                "see what keeps it from being written: df -h {0}; ls -ld {0}",
                directory.display()
            ))
    })
}

/// The directory and those that it is in, as far as they aren't there.
fn make_directory(path: &Path) -> Result<()> {
    if path.is_dir() || path.as_os_str().is_empty() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        make_directory(parent)?;
    }
    let made = std::fs::create_dir(path)
        // Not what hakube's other files have, which are their user's only.
        .and_then(|()| std::fs::set_permissions(path, Permissions::from_mode(DIRECTORY_MODE)));
    made.map_err(|error| {
        Error::bad_input(format!("could not make {}", path.display())).because(error)
    })
}

fn unread(path: &Path, error: &io::Error) -> Error {
    Error::failed(format!("could not read {}", path.display())).because(error)
}
