//! Locations of state stores.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A store's location. Displayed as its URL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Location {
    /// `file:///…`: files below a directory.
    Directory(PathBuf),
    /// `memory://`: lost when the process exits.
    Memory,
    /// `s3://…`, `gs://…`.
    Bucket(Bucket),
}

/// A path in a bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bucket {
    /// The service.
    pub service: Service,
    /// The bucket's name.
    pub name: String,
    /// The path in it, without leading and trailing slashes; may be empty.
    pub prefix: String,
}

/// A protocol of buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Service {
    /// Amazon S3, and services that support its conditional writes.
    S3,
    /// Google Cloud Storage.
    Gcs,
}

impl Location {
    /// Parses a URL. The path of a `file://` URL is taken literally, without escapes. It may begin
    /// with `~`, which the caller resolves.
    ///
    /// # Errors
    /// The problem with the URL.
    pub fn parse(url: &str) -> Result<Self, &'static str> {
        let Some((scheme, rest)) = url.split_once("://") else {
            return Err("it isn't a URL");
        };
        match scheme {
            "file" if rest.starts_with(['/', '~']) => Ok(Self::Directory(rest.into())),
            "file" => Err("its path isn't absolute: it needs a third slash"),
            "memory" if rest.is_empty() => Ok(Self::Memory),
            "memory" => Err("memory:// takes no path"),
            "s3" => bucket(Service::S3, rest).map(Self::Bucket),
            "gs" => bucket(Service::Gcs, rest).map(Self::Bucket),
            _ => Err("it isn't a supported kind of store"),
        }
    }
}

fn bucket(service: Service, rest: &str) -> Result<Bucket, &'static str> {
    let (name, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let prefix = prefix.trim_matches('/');
    if name.is_empty() {
        return Err("it has no bucket");
    }
    if name.contains(['?', '#', '@', ':']) || prefix.contains(['?', '#']) {
        return Err("it has more than a bucket and a path");
    }
    if prefix.split('/').any(|part| matches!(part, "." | "..")) || prefix.contains("//") {
        return Err("its path has empty or relative parts");
    }
    Ok(Bucket {
        service,
        name: name.to_owned(),
        prefix: prefix.to_owned(),
    })
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bucket = match self {
            Self::Directory(path) => return write!(f, "file://{}", path.display()),
            Self::Memory => return f.write_str("memory://"),
            Self::Bucket(bucket) => bucket,
        };
        let scheme = match bucket.service {
            Service::S3 => "s3",
            Service::Gcs => "gs",
        };
        write!(f, "{scheme}://{}", bucket.name)?;
        if !bucket.prefix.is_empty() {
            write!(f, "/{}", bucket.prefix)?;
        }
        Ok(())
    }
}

/// To whom secrets are encrypted, and what opens them. The default encrypts nothing.
///
/// It has no secret itself: files are read when they are needed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealKeys {
    /// Public keys, `age1…`: each of them can decrypt new secrets.
    pub recipients: Vec<String>,
    /// Files of private keys, `AGE-SECRET-KEY-…`, tried in order.
    pub identities: Vec<PathBuf>,
    /// A file of passphrases, one a line. Without recipients, secrets are encrypted to the first;
    /// the others decrypt what was written before they were replaced.
    pub passphrases: Option<PathBuf>,
}

impl SealKeys {
    /// Whether new secrets are encrypted.
    pub fn is_set(&self) -> bool {
        !self.recipients.is_empty() || self.passphrases.is_some()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn urls_round_trip() {
        for url in [
            "file:///var/lib/a b",
            "memory://",
            "s3://team",
            "gs://team/k8s/prod",
        ] {
            assert_eq!(Location::parse(url).unwrap().to_string(), url);
        }
        let bare = Location::parse("s3://team/k8s").unwrap();
        assert_eq!(Location::parse("s3://team/k8s/"), Ok(bare));
    }

    #[test]
    fn invalid_urls_are_refused_with_a_reason() {
        for (url, problem) in [
            ("/var/lib", "isn't a URL"),
            ("file://var/lib", "third slash"),
            ("memory://here", "takes no path"),
            ("s3:///prefix", "no bucket"),
            ("s3://key:secret@team", "has more than"),
            ("gs://team/../other", "empty or relative"),
            ("gs://team/a//b", "empty or relative"),
            ("http://team", "isn't a supported kind"),
        ] {
            let error = Location::parse(url).unwrap_err();
            assert!(error.contains(problem), "{url}: {error}");
        }
    }
}
