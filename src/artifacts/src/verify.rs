//! Verifies a directory of artifacts against its lists.

use super::beneath::{Refusal, Root};
use super::directory::{self, SUMS};
use super::download::PART;
use hakube_error::{Error, Result};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

/// The result. Its fields are a contract.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The directory.
    pub directory: PathBuf,
    /// Whether no problem was found.
    pub ok: bool,
    /// The number of valid files.
    pub files: usize,
    /// Their total size in bytes.
    pub bytes: u64,
    /// The problems, by path.
    pub findings: Vec<Finding>,
}

/// A problem with a file.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The file's path in the directory.
    pub path: String,
    /// The kind of problem.
    pub problem: Problem,
    /// Its description.
    pub detail: String,
}

/// The kind of problem with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Problem {
    /// It is listed, but doesn't exist.
    Missing,
    /// It exists, but isn't listed.
    Extra,
    /// It is shorter than when it was fetched.
    Truncated,
    /// Its SHA-256 differs from the list's.
    WrongDigest,
    /// It is the partial file of an interrupted download.
    Partial,
    /// It is a link that leads outside the directory.
    Outside,
    /// It can't be read.
    Unreadable,
}

impl Problem {
    /// Its name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Extra => "extra",
            Self::Truncated => "truncated",
            Self::WrongDigest => "wrong digest",
            Self::Partial => "partial",
            Self::Outside => "outside",
            Self::Unreadable => "unreadable",
        }
    }
}

/// Reads every file of the directory, and compares it with the directory's list of checksums.
///
/// # Errors
/// There is no list, or the directory can't be read.
pub fn verify(directory: &Path) -> Result<Report> {
    let root = Root::open(directory).map_err(|error| unread(directory, &error))?;
    let sums = directory::sums(directory)?.ok_or_else(|| no_sums(directory))?;
    let sizes: BTreeMap<String, u64> = directory::inventory(directory)?
        .into_iter()
        .filter_map(|entry| Some((entry.path, entry.size?)))
        .collect();
    let (mut files, mut bytes) = (0, 0);
    let mut findings: BTreeMap<String, Finding> = BTreeMap::new();
    let mut find = |path: &str, problem, detail| {
        let path = path.to_owned();
        let finding = Finding {
            path: path.clone(),
            problem,
            detail,
        };
        findings.insert(path, finding);
    };
    for (path, sum) in &sums {
        match look(&root, path, sum, sizes.get(path).copied()) {
            Ok(size) => {
                files += 1;
                bytes += size;
            }
            Err((problem, detail)) => find(path, problem, detail),
        }
    }
    let mut there = Vec::new();
    walk(directory, "", &mut there)?;
    for path in there {
        if path == SUMS || sums.contains_key(&path) {
            continue;
        }
        if path.ends_with(PART) {
            find(
                &path,
                Problem::Partial,
                "an interrupted download: fetch resumes it".to_owned(),
            );
        } else {
            find(&path, Problem::Extra, format!("not in {SUMS}"));
        }
    }
    Ok(Report {
        directory: directory.to_owned(),
        ok: findings.is_empty(),
        files,
        bytes,
        findings: findings.into_values().collect(),
    })
}

/// Quickly checks that there is a list, and that each of its files exists. Returns their number.
///
/// # Errors
/// There is no list, or a file is missing.
pub fn glance(directory: &Path, root: &Root) -> Result<usize> {
    let sums = directory::sums(directory)?.ok_or_else(|| no_sums(directory))?;
    for path in sums.keys() {
        if root.file(path.as_ref()).is_err() {
            let directory = directory.display();
            return Err(Error::refused(format!(
                "{path} is missing from {directory}, but is in its {SUMS}"
            ))
            .hint(format!(
                "to check all files: hakube artifacts verify --directory {directory}"
            )));
        }
    }
    Ok(sums.len())
}

/// Returns the file's size, if it is valid.
fn look(
    root: &Root,
    path: &str,
    sum: &str,
    size: Option<u64>,
) -> std::result::Result<u64, (Problem, String)> {
    let (file, found) = root.file(path.as_ref()).map_err(|refusal| match refusal {
        Refusal::Absent => (Problem::Missing, "not found".to_owned()),
        Refusal::Outside => (
            Problem::Outside,
            "a link that leads outside the directory".to_owned(),
        ),
        Refusal::Unreadable(error) => (Problem::Unreadable, error.to_string()),
    })?;
    if let Some(size) = size.filter(|size| found < *size) {
        return Err((Problem::Truncated, format!("{found} of {size} bytes")));
    }
    let digest = digest(file).map_err(|error| (Problem::Unreadable, error.to_string()))?;
    if digest != sum {
        return Err((
            Problem::WrongDigest,
            format!("its SHA-256 is {digest}, not {sum}"),
        ));
    }
    Ok(found)
}

fn digest(mut file: File) -> std::io::Result<String> {
    let mut sum = Sha256::new();
    std::io::copy(&mut file, &mut sum)?;
    Ok(format!("{:x}", sum.finalize()))
}

/// The paths of all files below. Links aren't followed.
fn walk(directory: &Path, prefix: &str, found: &mut Vec<String>) -> Result<()> {
    let failed = |error: std::io::Error| unread(directory, &error);
    for entry in std::fs::read_dir(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_type().map_err(failed)?.is_dir() {
            walk(&entry.path(), &format!("{path}/"), found)?;
        } else {
            found.push(path);
        }
    }
    Ok(())
}

fn no_sums(directory: &Path) -> Error {
    let directory = directory.display();
    Error::refused(format!("{directory} has no {SUMS}, so its files can't be verified"))
        .hint(format!("to fill it: hakube artifacts fetch --directory {directory}"))
        .hint(format!(
            "or, if you trust its files: cd {directory} && find . -type f ! -path ./{SUMS} -exec sha256sum {{}} + > {SUMS}"
        ))
}

fn unread(path: &Path, error: &std::io::Error) -> Error {
    Error::bad_input(format!("could not read {}", path.display())).because(error)
}
