//! Programs that machines download: where they are, and which sum they have.
//!
//! The sum is asked for once, here, on the operator's own host, and becomes part of the intent. Whoever
//! changes a mirror afterwards changes nothing of what later replicas run: they refuse it.

use crate::error::{Error, Result};
use crate::machine::{Artifact, ImageArchive, Program};
use semver::Version;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

/// The architecture of the machines. Kubernetes and etcd name it as Go does.
const ARCHITECTURE: &str = "amd64";
const PATIENCE: Duration = Duration::from_secs(30);
/// A list of sums is a few kilobytes; what is longer is something else.
const LONGEST: u64 = 1 << 20;

/// One version's files, at a publisher's or on a mirror of it.
pub struct Release<'a> {
    url: String,
    version: &'a Version,
    sums: Option<&'a Path>,
}

impl<'a> Release<'a> {
    /// `sums` is the operator's own list, if there is one.
    ///
    /// # Errors
    /// Without one, sums from a server without TLS would be anybody's.
    pub fn new(url: String, version: &'a Version, sums: Option<&'a Path>) -> Result<Self> {
        check_trusted(&url, sums)?;
        Ok(Self { url, version, sums })
    }

    /// etcd, from the archive that its authors publish.
    /// Source of the names: <https://github.com/etcd-io/etcd/releases>
    ///
    /// # Errors
    /// Its sum can't be had.
    pub async fn etcd(&self) -> Result<Program> {
        let stem = format!("etcd-v{}-linux-{ARCHITECTURE}", self.version);
        let directory = format!("{}/v{}", self.url, self.version);
        let list = format!("{directory}/SHA256SUMS");
        self.artifact(
            format!("{directory}/{stem}.tar.gz"),
            &list,
            Some(format!("{stem}/etcd")),
        )
        .await
    }

    /// One of Kubernetes' programs.
    /// Source of the names: <https://kubernetes.io/releases/download/#binaries>
    ///
    /// # Errors
    /// Its sum can't be had.
    pub async fn kubernetes(&self, name: &str) -> Result<Program> {
        let url = format!(
            "{}/v{}/bin/linux/{ARCHITECTURE}/{name}",
            self.url, self.version
        );
        let list = format!("{url}.sha256");
        self.artifact(url, &list, None).await
    }

    /// containerd, its shim and `ctr`, from the archive that its authors publish.
    /// Source of the names: <https://github.com/containerd/containerd/releases>
    ///
    /// # Errors
    /// Its sum can't be had.
    pub async fn containerd(&self) -> Result<Program> {
        let Self { url, version, .. } = self;
        let url = format!("{url}/v{version}/containerd-{version}-linux-{ARCHITECTURE}.tar.gz");
        let list = format!("{url}.sha256sum");
        self.artifact(url, &list, Some("bin/".to_owned())).await
    }

    /// runc, as its authors publish it.
    /// Source of the names: <https://github.com/opencontainers/runc/releases>
    ///
    /// # Errors
    /// Its sum can't be had.
    pub async fn runc(&self) -> Result<Program> {
        let directory = format!("{}/v{}", self.url, self.version);
        let list = format!("{directory}/runc.sha256sum");
        let url = format!("{directory}/runc.{ARCHITECTURE}");
        self.artifact(url, &list, None).await
    }

    /// The CNI plugins, from the archive that their authors publish.
    /// Source of the names: <https://github.com/containernetworking/plugins/releases>
    ///
    /// # Errors
    /// Its sum can't be had.
    pub async fn cni_plugins(&self) -> Result<Program> {
        let Self { url, version, .. } = self;
        let url = format!("{url}/v{version}/cni-plugins-linux-{ARCHITECTURE}-v{version}.tgz");
        let list = format!("{url}.sha256");
        self.artifact(url, &list, Some("./".to_owned())).await
    }

    async fn artifact(&self, url: String, list: &str, member: Option<String>) -> Result<Program> {
        let (source, text) = match self.sums {
            Some(file) => (file.display().to_string(), read(file)?),
            None => (list.to_owned(), fetch(list).await?),
        };
        let sha256 = known_sum(&source, &text, &url)?;
        Ok(Program::Artifact(Artifact {
            url,
            sha256,
            member,
        }))
    }
}

/// The image archives that `images.json` of a directory lists. Their sums are those of the operator's own list, if
/// there is one.
///
/// # Errors
/// The list can't be had, or isn't one; a sum isn't known.
pub async fn image_archives(directory: &str, sums: Option<&Path>) -> Result<Vec<ImageArchive>> {
    check_trusted(directory, sums)?;
    let url = format!("{directory}/images.json");
    let list: Vec<Listed> = serde_json::from_str(&fetch(&url).await?).map_err(|error| {
        Error::bad_input(format!("{url} is no list of image archives")).because(error)
    })?;
    let sums = match sums {
        Some(file) => Some((file, read(file)?)),
        None => None,
    };
    let list = list
        .into_iter()
        .filter(|listed| listed.arch == ARCHITECTURE);
    list.map(|listed| {
        let url = format!("{directory}/{}", listed.file);
        let sha256 = match &sums {
            Some((file, text)) => known_sum(&file.display().to_string(), text, &url)?,
            None => listed.sha256,
        };
        Ok(ImageArchive {
            image: listed.name,
            url,
            sha256,
        })
    })
    .collect()
}

/// An entry of `images.json`.
#[derive(Deserialize)]
struct Listed {
    name: String,
    file: String,
    sha256: String,
    arch: String,
}

/// Without a list of the operator's own, sums from a server without TLS would be anybody's.
fn check_trusted(url: &str, sums: Option<&Path>) -> Result<()> {
    if sums.is_some() || url.starts_with("https://") {
        return Ok(());
    }
    Err(Error::bad_input(format!(
        "whether what {url} says of its own files is true can't be known without TLS"
    ))
    .hint("name a file with their sums: --sha256sums FILE, in sha256sum's format"))
}

fn known_sum(source: &str, text: &str, url: &str) -> Result<String> {
    sum(text, url).map_err(|problem| {
        Error::bad_input(format!("the SHA-256 of {url} isn't known"))
            .because(format!("{source} {problem}"))
            .hint(
                "add the line that `sha256sum` prints for it, or choose another version or mirror",
            )
    })
}

/// The sum of the file at `url` by a list of `SUM  NAME`, in which NAME is the end of the URL, or by a
/// file that holds nothing but a sum.
fn sum(text: &str, url: &str) -> std::result::Result<String, &'static str> {
    let mut found = BTreeSet::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let Some(sum) = words.next() else { continue };
        let is_it = words.next().is_none_or(|name| {
            // sha256sum marks binary mode with an asterisk.
            let name = name.trim_start_matches(['*', '.', '/']);
            url.ends_with(&format!("/{name}"))
        });
        let is_sum = sum.len() == 64 && sum.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_it && is_sum {
            found.insert(sum.to_ascii_lowercase());
        }
    }
    let mut found = found.into_iter();
    match (found.next(), found.next()) {
        (Some(sum), None) => Ok(sum),
        (None, _) => Err("has no sum of it"),
        (Some(_), Some(_)) => Err("has several sums of it: names must say which version"),
    }
}

fn read(file: &Path) -> Result<String> {
    std::fs::read_to_string(file).map_err(|error| {
        Error::bad_input(format!(
            "could not read {} (from HAKUBE_SHA256SUMS or --sha256sums)",
            file.display()
        ))
        .because(error)
    })
}

async fn fetch(url: &str) -> Result<String> {
    let failed = |error: reqwest::Error| {
        Error::failed("could not learn which sum a download has")
            .because(format!("{url}: {}", error.without_url()))
            .hint(
                "in a closed network, name a mirror (--kubernetes-releases URL, --etcd-releases URL) or a \
                 file with the sums (--sha256sums FILE)",
            )
    };
    let client = reqwest::Client::builder()
        .timeout(PATIENCE)
        .build()
        .map_err(failed)?;
    let answer = client
        .get(url)
        .send()
        .await
        .and_then(reqwest::Response::error_for_status)
        .map_err(failed)?;
    if answer
        .content_length()
        .is_some_and(|length| length > LONGEST)
    {
        return Err(Error::failed(format!("{url} is no list of sums"))
            .because(format!("it is longer than {LONGEST} bytes")));
    }
    answer.text().await.map_err(failed)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    const ONE: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    const OTHER: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    const API: &str = "https://m/v1.36.0/bin/linux/amd64/kube-apiserver";

    #[test]
    fn a_sum_is_found_by_the_end_of_the_url_or_alone() {
        let list =
            format!("{OTHER}  v1.35.0/bin/linux/amd64/kube-apiserver\n{ONE} *./kube-apiserver\n");
        for text in [&list, &format!("{ONE}\n"), &ONE.to_uppercase()] {
            assert_eq!(sum(text, API).unwrap(), ONE, "{text}");
        }
    }

    #[test]
    fn what_names_none_or_several_is_an_error() {
        let several = format!("{ONE}  kube-apiserver\n{OTHER}  amd64/kube-apiserver\n");
        assert!(sum(&several, API).unwrap_err().contains("several"));
        for none in [
            "",
            "<html>Not found</html>",
            "abc  kube-apiserver",
            &format!("{ONE}  apiserver"),
            &format!("{ONE}  kube-apiserver.sha256"),
        ] {
            assert_eq!(sum(none, API).unwrap_err(), "has no sum of it", "{none}");
        }
    }

    #[test]
    fn a_server_without_tls_is_not_asked_for_sums() {
        let version = Version::new(1, 36, 0);
        let error = Release::new("http://mirror".to_owned(), &version, None)
            .err()
            .unwrap();
        assert!(error.to_string().contains("can't be known without TLS"));
        assert!(Release::new("http://mirror".to_owned(), &version, Some("/sums".as_ref())).is_ok());
    }
}
