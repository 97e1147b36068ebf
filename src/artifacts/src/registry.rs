//! Pulls images from their registries, as archives that containerd imports. It implements the
//! pulling half of the OCI distribution specification,
//! <https://github.com/opencontainers/distribution-spec>, without logging in: images that need a
//! password must be exported manually.

use super::download::{self, Download, Failure};
use super::tarball;
use hakube_error::{Error, Result};
use hakube_output::Reporter;
use reqwest::header;
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The accepted types of manifests: OCI's and docker's, for one platform and for several.
const MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
                         application/vnd.docker.distribution.manifest.list.v2+json, \
                         application/vnd.docker.distribution.manifest.v2+json";
/// The specification's limit of a manifest's size.
const LONGEST: u64 = 4 << 20;
const PATIENCE: Duration = Duration::from_secs(30);

/// The manifests and blobs of an image in a registry.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    media_type: String,
    digest: String,
    size: u64,
    #[serde(default, skip_serializing)]
    platform: Option<Platform>,
}

#[derive(Debug, Clone, Deserialize)]
struct Platform {
    architecture: String,
    os: String,
}

/// A manifest, for one platform or for several.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    #[serde(default)]
    manifests: Vec<Descriptor>,
    config: Option<Descriptor>,
    #[serde(default)]
    layers: Vec<Descriptor>,
}

/// An anonymous token, by either name.
#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

/// An image's repository.
struct Repository {
    /// `https://registry.k8s.io/v2/coredns/coredns`.
    url: String,
    client: Client,
    /// A client that doesn't follow redirects: the request for a blob's actual location must not
    /// carry the token.
    probe: Client,
    token: Option<String>,
}

/// Pulls an image for an architecture into the archive `archive`. Existing layers are kept, and
/// partial ones resumed.
///
/// # Errors
/// The registry doesn't have the image, or not for the architecture; it requires a password; or a
/// file can't be written.
pub async fn pull(
    image: &str,
    arch: &str,
    archive: &Path,
    reporter: &dyn Reporter,
) -> std::result::Result<(), Failure> {
    let failed = |error: Error| {
        let mut failed = Error::failed(format!("could not pull {image}")).because(&error);
        failed.hints = error.hints;
        Failure::Remote(failed)
    };
    let (mut repository, reference) = Repository::of(image).map_err(failed)?;
    let (descriptor, manifest, content) = repository
        .manifest(&reference, arch)
        .await
        .map_err(failed)?;
    // Next to the archive, so that it is on the same disk, and recognizably not part of the mirror.
    let mut layers = archive.as_os_str().to_owned();
    layers.push(".layers");
    let layers = PathBuf::from(layers);
    std::fs::create_dir_all(&layers).map_err(|error| download::unwritten(&layers, &error))?;
    let mut files: Vec<(String, PathBuf)> = Vec::new();
    let blobs: Vec<&Descriptor> = manifest.config.iter().chain(&manifest.layers).collect();
    let short = image.rsplit('/').next().unwrap_or(image);
    for (blob, number) in blobs.iter().zip(1..) {
        let sum = sum_of(&blob.digest).map_err(failed)?;
        let path = layers.join(format!("{sum}{}", download::PART));
        let url = format!("{}/blobs/{}", repository.url, blob.digest);
        repository.authorize(&url).await.map_err(failed)?;
        let name = format!("{short} ({number} of {})", blobs.len());
        let download = Download {
            name: &name,
            url: &url,
            sha256: sum,
            path: &path,
            mode: 0o600,
            token: repository.token.as_deref(),
        };
        download::file(&download, reporter).await?;
        if !files.iter().any(|(other, _)| other == sum) {
            files.push((sum.to_owned(), path));
        }
    }
    if let Some((_, config)) = files.first() {
        tarball::check_config(config, arch)
            .map_err(|why| failed(Error::failed(format!("it {why}"))))?;
    }
    let index = index(image, arch, &descriptor);
    let written = tarball::write(
        archive,
        &index,
        (sum_of(&descriptor.digest).map_err(failed)?, &content),
        &files,
    )
    .and_then(|()| std::fs::remove_dir_all(&layers));
    written.map_err(|error| download::unwritten(archive, &error))
}

impl Repository {
    /// Parses an image into its repository and its tag or digest.
    fn of(image: &str) -> Result<(Self, String)> {
        let unknown = || {
            Error::bad_input(format!(
                "{image} isn't of the form REGISTRY/REPOSITORY:VERSION"
            ))
        };
        let (host, path) = image.split_once('/').ok_or_else(unknown)?;
        let (path, reference) = path
            .split_once('@')
            .or_else(|| path.rsplit_once(':'))
            .ok_or_else(unknown)?;
        // Docker Hub's API has another host name.
        let host = if host == "docker.io" {
            "registry-1.docker.io"
        } else {
            host
        };
        let name = host.split(':').next().unwrap_or(host);
        let is_loopback = name == "localhost"
            || name
                .parse::<Ipv4Addr>()
                .is_ok_and(|address| address.is_loopback());
        // Plain HTTP for loopback, as in all container tools.
        let scheme = if is_loopback { "http" } else { "https" };
        let client = || Client::builder().timeout(PATIENCE);
        let probe = client().redirect(reqwest::redirect::Policy::none());
        Ok((
            Self {
                url: format!("{scheme}://{host}/v2/{path}"),
                client: client().build().map_err(unasked)?,
                probe: probe.build().map_err(unasked)?,
                token: None,
            },
            reference.to_owned(),
        ))
    }

    /// The manifest for an architecture, raw and parsed.
    async fn manifest(
        &mut self,
        reference: &str,
        arch: &str,
    ) -> Result<(Descriptor, Manifest, Vec<u8>)> {
        let (descriptor, manifest, content) = self.one(reference).await?;
        if manifest.manifests.is_empty() {
            return Ok((descriptor, manifest, content));
        }
        let is_it = |entry: &&Descriptor| {
            let platform = entry.platform.as_ref();
            platform.is_some_and(|platform| platform.os == "linux" && platform.architecture == arch)
        };
        let wanted = manifest.manifests.iter().find(is_it).ok_or_else(|| {
            Error::failed(format!(
                "{}:{reference} isn't available for linux/{arch}",
                self.url
            ))
        })?;
        let (descriptor, manifest, content) = self.one(&wanted.digest).await?;
        if descriptor.digest != wanted.digest {
            return Err(Error::failed(format!(
                "{} has the digest {}, not {}",
                self.url, descriptor.digest, wanted.digest
            )));
        }
        Ok((descriptor, manifest, content))
    }

    async fn one(&mut self, reference: &str) -> Result<(Descriptor, Manifest, Vec<u8>)> {
        let url = format!("{}/manifests/{reference}", self.url);
        self.authorize(&url).await?;
        let answer = self.ask(self.client.get(&url)).await?;
        let answer = answer.error_for_status().map_err(unasked)?;
        if answer
            .content_length()
            .is_some_and(|length| length > LONGEST)
        {
            return Err(Error::failed(format!(
                "{url} exceeds the size limit of manifests"
            )));
        }
        let content_type = answer.headers().get(header::CONTENT_TYPE);
        let media_type = content_type.and_then(|media_type| media_type.to_str().ok());
        let media_type = media_type.unwrap_or_default().to_owned();
        let content = answer.bytes().await.map_err(unasked)?.to_vec();
        let manifest = serde_json::from_slice(&content)
            .map_err(|error| Error::failed(format!("{url} isn't a manifest")).because(error))?;
        let descriptor = Descriptor {
            media_type,
            digest: format!("sha256:{:x}", Sha256::digest(&content)),
            size: content.len() as u64,
            platform: None,
        };
        Ok((descriptor, manifest, content))
    }

    /// Gets an anonymous token, if the registry requires one:
    /// <https://distribution.github.io/distribution/spec/auth/token/>
    async fn authorize(&mut self, url: &str) -> Result<()> {
        let answer = self.ask(self.probe.head(url)).await?;
        if answer.status() != StatusCode::UNAUTHORIZED {
            return Ok(());
        }
        let challenge = answer.headers().get(header::WWW_AUTHENTICATE);
        let challenge = challenge
            .and_then(|challenge| challenge.to_str().ok())
            .unwrap_or_default();
        let refused = || {
            Error::failed(format!(
                "{url} requires a login, which hakube doesn't support"
            ))
        };
        let realm = parameter(challenge, "realm").ok_or_else(refused)?;
        let mut query =
            form_urlencoded::Serializer::for_suffix(format!("{realm}?"), realm.len() + 1);
        for name in ["service", "scope"] {
            if let Some(value) = parameter(challenge, name) {
                query.append_pair(name, value);
            }
        }
        let answer = self
            .client
            .get(query.finish())
            .send()
            .await
            .map_err(unasked)?;
        if matches!(
            answer.status(),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN
        ) {
            return Err(refused());
        }
        let answer = answer.error_for_status().map_err(unasked)?;
        let token: Token = answer.json().await.map_err(unasked)?;
        self.token = token.token.or(token.access_token);
        Ok(())
    }

    async fn ask(&self, request: RequestBuilder) -> Result<Response> {
        let mut request = request.header(header::ACCEPT, MANIFESTS);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        request.send().await.map_err(unasked)
    }
}

/// The archive's index. containerd names the image by the first annotation, other tools by the second.
fn index(image: &str, arch: &str, descriptor: &Descriptor) -> Vec<u8> {
    let mut entry = serde_json::json!(descriptor);
    entry["platform"] = serde_json::json!({"architecture": arch, "os": "linux"});
    entry["annotations"] = serde_json::json!({
        "io.containerd.image.name": image,
        "org.opencontainers.image.ref.name": image.rsplit(':').next(),
    });
    let index = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [entry],
    });
    index.to_string().into_bytes()
}

/// The hexadecimal part of a digest.
fn sum_of(digest: &str) -> Result<&str> {
    let sum = digest.strip_prefix("sha256:");
    sum.filter(|sum| super::sums::is_sum(sum))
        .ok_or_else(|| Error::failed(format!("{digest} isn't a SHA-256")))
}

/// A parameter of `Bearer realm="https://…",service="…"`.
fn parameter<'a>(challenge: &'a str, name: &str) -> Option<&'a str> {
    let parameters = challenge.strip_prefix("Bearer ")?;
    let (_, rest) = parameters.split_once(&format!("{name}=\""))?;
    rest.split('"').next()
}

fn unasked(error: reqwest::Error) -> Error {
    let url = error.url().map(ToString::to_string).unwrap_or_default();
    Error::failed(format!("{url}: {}", download::reason(error)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_requested_from_its_registry() {
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
        let table = [
            (
                "registry.k8s.io/coredns/coredns:v1",
                "https://registry.k8s.io/v2/coredns/coredns",
                "v1",
            ),
            (
                "docker.io/library/nginx:1",
                "https://registry-1.docker.io/v2/library/nginx",
                "1",
            ),
            (
                "127.0.0.1:5000/pause:3",
                "http://127.0.0.1:5000/v2/pause",
                "3",
            ),
            (
                "m.test:5000/k8s/pause:3",
                "https://m.test:5000/v2/k8s/pause",
                "3",
            ),
            (
                "m.test/pause@sha256:00",
                "https://m.test/v2/pause",
                "sha256:00",
            ),
        ];
        for (image, url, reference) in table {
            let (repository, found) = Repository::of(image).unwrap();
            assert_eq!((&*repository.url, &*found), (url, reference), "{image}");
        }
        for image in ["pause", "pause:3", "m.test/pause"] {
            assert!(Repository::of(image).is_err(), "{image}");
        }
    }

    #[test]
    fn a_challenge_has_the_url_of_tokens() {
        let challenge =
            r#"Bearer realm="https://a.test/token",service="s",scope="repository:x:pull""#;
        assert_eq!(parameter(challenge, "realm"), Some("https://a.test/token"));
        assert_eq!(parameter(challenge, "scope"), Some("repository:x:pull"));
        assert_eq!(parameter(r#"Basic realm="a""#, "realm"), None);
    }
}
