//! A directory laid out as a mirror, with its lists.

use super::entry::{Entry, Kind};
use super::images::{self, Archive};
use super::sums::is_sum;
use hakube_error::{Error, Result};
use std::collections::BTreeMap;
use std::fs::{File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// The list of all files' checksums, in sha256sum's format.
pub const SUMS: &str = "SHA256SUMS";
/// The list of the files' contents, origins and sizes.
pub const INVENTORY: &str = "artifacts.json";

/// Readable by all: web servers run as their own users, and this is no secret.
const FILE_MODE: u32 = 0o644;
const DIRECTORY_MODE: u32 = 0o755;

/// SHA-256 checksums by path.
pub type Sums = BTreeMap<String, String>;

/// The directory, locked for writing.
pub struct Directory {
    root: PathBuf,
    sums: Sums,
    entries: BTreeMap<String, Entry>,
    /// Locked while it is open.
    _lock: File,
}

impl Directory {
    /// Opens the directory, creating it if necessary.
    ///
    /// # Errors
    /// It can't be created or read, or another command is writing to it.
    pub fn open(root: &Path) -> Result<Self> {
        make_directory(root)?;
        let broken = |error: io::Error| {
            Error::bad_input(format!("could not use {}", root.display())).because(error)
        };
        let lock = File::open(root).map_err(broken)?;
        lock.try_lock().map_err(|error| match error {
            std::fs::TryLockError::WouldBlock => Error::refused(format!(
                "another hakube process is fetching into {}",
                root.display()
            ))
            .hint("wait for it to finish, then retry"),
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

    /// The path of a file in the directory.
    pub fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// The same, after creating the file's directory.
    ///
    /// # Errors
    /// The file's directory can't be created.
    pub fn place(&self, path: &str) -> Result<PathBuf> {
        let path = self.path(path);
        if let Some(parent) = path.parent() {
            make_directory(parent)?;
        }
        Ok(path)
    }

    /// The recorded checksum of a file.
    pub fn sum(&self, path: &str) -> Option<&str> {
        self.sums.get(path).map(String::as_str)
    }

    /// Whether the origin of a file is recorded.
    pub fn has_entry(&self, path: &str) -> bool {
        self.entries.contains_key(path)
    }

    /// Adds a file to the lists.
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

    /// Writes the lists: checksums next to programs, as their publishers have them (`sums_paths`),
    /// `images.json`, and finally the list of all checksums. Missing files are removed from the
    /// lists, and returned.
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

    /// A publisher's list of checksums: of one file, if the list has its name with a suffix, or of
    /// all files next to it.
    fn sums_beside(&self, list: &str) -> String {
        let (directory, _) = list.rsplit_once('/').unwrap_or(("", list));
        let programs = self
            .entries
            .values()
            .filter(|entry| entry.kind == Kind::Program);
        let mut lines = String::new();
        for Entry { path, sha256, .. } in programs {
            let Some((parent, name)) = path.rsplit_once('/') else {
                continue;
            };
            let Some(sum) = sha256 else { continue };
            if list
                .strip_prefix(path)
                .is_some_and(|rest| rest.starts_with('.'))
            {
                return format!("{sum}  {name}\n");
            }
            if parent == directory {
                lines.push_str(&format!("{sum}  {name}\n"));
            }
        }
        lines
    }

    /// The existing archives: those of the earlier list, and those that were recorded.
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

    /// Writes a file of hakube's own, and records its checksum.
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

/// Reads the list of checksums; `None` if there is none.
///
/// # Errors
/// It can't be read or is malformed, or it lists a file outside the directory.
pub fn sums(root: &Path) -> Result<Option<Sums>> {
    let file = root.join(SUMS);
    let Some(text) = read_if_there(&file)? else {
        return Ok(None);
    };
    let lines = text.lines().zip(1..).filter(|(line, _)| !line.is_empty());
    let sums = lines.map(|(line, number)| {
        let broken = |why: &str| {
            Error::bad_input(format!("{} line {number}: {why}", file.display())).hint(format!(
                "to fetch the files again: hakube artifacts fetch --directory {}",
                root.display()
            ))
        };
        let parsed = line.split_once(' ').filter(|(sum, _)| is_sum(sum));
        let (sum, path) = parsed.ok_or_else(|| broken("it isn't a SHA-256 and a name"))?;
        let path = path.trim_start_matches([' ', '*']);
        let path = path.strip_prefix("./").unwrap_or(path);
        if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(broken("its path leads outside this directory"));
        }
        Ok((path.to_owned(), sum.to_ascii_lowercase()))
    });
    sums.collect::<Result<Sums>>().map(Some)
}

/// Reads the recorded origins of the files.
///
/// # Errors
/// The list can't be read or is malformed.
pub fn inventory(root: &Path) -> Result<Vec<Entry>> {
    let file = root.join(INVENTORY);
    match read_if_there(&file)? {
        None => Ok(Vec::new()),
        Some(text) => serde_json::from_str(&text).map_err(|error| {
            Error::bad_input(format!("{} isn't a list of artifacts", file.display()))
                .because(error)
                .hint(format!(
                    "delete it, and run `hakube artifacts fetch --directory {}` to recreate it",
                    root.display()
                ))
        }),
    }
}

fn json(value: &impl serde::Serialize) -> Result<String> {
    hakube_output::document(value, hakube_output::Format::Json)
}

fn read_if_there(file: &Path) -> Result<Option<String>> {
    match std::fs::read_to_string(file) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unread(file, &error)),
    }
}

/// Replaces a small file atomically.
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
                "check free space and permissions: df -h {0}; ls -ld {0}",
                directory.display()
            ))
    })
}

/// Creates the directory and its parents.
fn make_directory(path: &Path) -> Result<()> {
    if path.is_dir() || path.as_os_str().is_empty() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        make_directory(parent)?;
    }
    let made = std::fs::create_dir(path)
        // Unlike hakube's other files, these are not private to their user.
        .and_then(|()| std::fs::set_permissions(path, Permissions::from_mode(DIRECTORY_MODE)));
    made.map_err(|error| {
        Error::bad_input(format!("could not create {}", path.display())).because(error)
    })
}

fn unread(path: &Path, error: &io::Error) -> Error {
    Error::failed(format!("could not read {}", path.display())).because(error)
}
