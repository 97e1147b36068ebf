//! Where a store is.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Where a store is. Displayed as its URL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Location {
    /// `file:///…`: files below a directory.
    Directory(PathBuf),
    /// `memory://`: gone when the process ends.
    Memory,
    /// `s3://…`, `gs://…`.
    Bucket(Bucket),
}

/// A place in a bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bucket {
    /// Whose.
    pub service: Service,
    /// The bucket's name.
    pub name: String,
    /// The path in it, without slashes at its ends; empty is the bucket itself.
    pub prefix: String,
}

/// A protocol that buckets are spoken to in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Service {
    /// Amazon S3, and what is compatible with its conditional writes.
    S3,
    /// Google Cloud Storage.
    Gcs,
}

impl Location {
    /// Reads a URL. The path of a `file://` one is taken as it is, without escapes; it may begin with a
    /// `~`, which is the caller's to resolve.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(url: &str) -> Result<Self, &'static str> {
        let Some((scheme, rest)) = url.split_once("://") else {
            return Err("it isn't a URL");
        };
        match scheme {
            "file" if rest.starts_with(['/', '~']) => Ok(Self::Directory(rest.into())),
            "file" => Err("its path isn't absolute: a third slash is missing"),
            "memory" if rest.is_empty() => Ok(Self::Memory),
            "memory" => Err("memory has no places in it"),
            "s3" => bucket(Service::S3, rest).map(Self::Bucket),
            "gs" => bucket(Service::Gcs, rest).map(Self::Bucket),
            _ => Err("there is no such kind of store"),
        }
    }
}

fn bucket(service: Service, rest: &str) -> Result<Bucket, &'static str> {
    let (name, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let prefix = prefix.trim_matches('/');
    if name.is_empty() {
        return Err("it names no bucket");
    }
    if name.contains(['?', '#', '@', ':']) || prefix.contains(['?', '#']) {
        return Err("there is more in it than a bucket and a path");
    }
    if prefix.split('/').any(|part| matches!(part, "." | "..")) || prefix.contains("//") {
        return Err("its path has parts without a name");
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_as_they_are_shown() {
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
    fn what_is_no_store_is_refused_with_a_reason() {
        for (url, problem) in [
            ("/var/lib", "isn't a URL"),
            ("file://var/lib", "third slash"),
            ("memory://here", "no places"),
            ("s3:///prefix", "no bucket"),
            ("s3://key:secret@team", "more in it"),
            ("gs://team/../other", "without a name"),
            ("gs://team/a//b", "without a name"),
            ("http://team", "no such kind"),
        ] {
            let error = Location::parse(url).unwrap_err();
            assert!(error.contains(problem), "{url}: {error}");
        }
    }
}
