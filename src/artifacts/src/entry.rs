//! An artifact as lists show it.

use serde::{Deserialize, Serialize};

/// An artifact in lists. The fields are a contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The kind of artifact.
    pub kind: Kind,
    /// The program's name, or the image's without its version.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The architecture of its machines.
    pub arch: String,
    /// The file's path in a mirror.
    pub path: String,
    /// Its URL, or `docker://` and an image's name.
    pub source: String,
    /// Its SHA-256, if known.
    #[serde(default)]
    pub sha256: Option<String>,
    /// Its size in bytes, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
}

/// The kind of an artifact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A program, or an archive of programs.
    Program,
    /// An image archive.
    Image,
}
