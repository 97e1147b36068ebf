//! Downloads files to this host, completely and verified.

use futures::StreamExt as _;
use hakube_error::{Error, Result};
use hakube_output::{Event, Reporter};
use sha2::{Digest as _, Sha256};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;

/// A running server accepts a connection within a few round trips.
const CONNECT: Duration = Duration::from_secs(5);
/// The suffix of an incomplete file.
pub(crate) const PART: &str = ".part";
/// The timeout of a download without progress.
const SILENCE: Duration = Duration::from_secs(30);

/// A file to download.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Download<'a> {
    /// Its name in progress messages.
    pub name: &'a str,
    /// Its URL.
    pub url: &'a str,
    /// Its expected SHA-256.
    pub sha256: &'a str,
    /// Where to save it.
    pub path: &'a Path,
    /// Its permissions.
    pub mode: u32,
    /// The value of the Authorization header, if the server requires one.
    pub token: Option<&'a str>,
}

/// Whether anything was downloaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The file already existed with the right checksum.
    WasThere,
    /// It was downloaded.
    Downloaded,
}

/// Why a file can't be downloaded.
#[derive(Debug)]
pub enum Failure {
    /// The server doesn't have it, or the content is wrong.
    Remote(Error),
    /// It can't be written on this host; nor can other files.
    Here(Error),
}

impl Failure {
    fn hint(self, hint: &str) -> Self {
        match self {
            Self::Remote(error) => Self::Remote(error.hint(hint)),
            Self::Here(error) => Self::Here(error.hint(hint)),
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Remote(error) | Failure::Here(error) => error,
        }
    }
}

/// Downloads the program at `url` to `path`, as an executable with this SHA-256.
///
/// # Errors
/// It can't be downloaded, or has another checksum; then `path` doesn't exist.
pub async fn program(url: &str, sha256: &str, path: &Path, reporter: &dyn Reporter) -> Result<()> {
    let download = Download {
        name: url.rsplit('/').next().unwrap_or(url),
        url,
        sha256,
        path,
        mode: 0o755,
        token: None,
    };
    file(&download, reporter).await?;
    Ok(())
}

/// Downloads the file unless it exists with its SHA-256. An interrupted download is resumed if the
/// server supports it.
///
/// # Errors
/// It can't be downloaded, or has another checksum; then it isn't saved.
pub(crate) async fn file(
    download: &Download<'_>,
    reporter: &dyn Reporter,
) -> std::result::Result<Outcome, Failure> {
    let Download {
        url,
        sha256,
        path,
        mode,
        ..
    } = *download;
    if digest(path).await.is_some_and(|found| found == sha256) {
        return Ok(Outcome::WasThere);
    }
    let part = with_suffix(path, PART);
    let goes_on = receive(download, &part, reporter).await?;
    let mut found = digest(&part).await.unwrap_or_default();
    if found != sha256 {
        // A file with a wrong checksum isn't resumed.
        drop(tokio::fs::remove_file(&part).await);
        if goes_on {
            // The partial file may have been of another file.
            receive(download, &part, reporter).await?;
            found = digest(&part).await.unwrap_or_default();
        }
    }
    if found != sha256 {
        drop(tokio::fs::remove_file(&part).await);
        return Err(Failure::Remote(
            Error::failed(format!("{url} has the wrong content"))
                .because(format!(
                    "its SHA-256 is {found}, not {sha256}; the download was deleted"
                ))
                .hint("retry; if it fails again, ask the server's administrator"),
        ));
    }
    use std::os::unix::fs::PermissionsExt as _;
    let permissions = std::fs::Permissions::from_mode(mode);
    let in_place = async {
        tokio::fs::set_permissions(&part, permissions).await?;
        tokio::fs::rename(&part, path).await
    };
    in_place.await.map_err(|error| unwritten(path, &error))?;
    Ok(Outcome::Downloaded)
}

/// Returns whether an existing partial file was resumed.
async fn receive(
    download: &Download<'_>,
    part: &Path,
    reporter: &dyn Reporter,
) -> std::result::Result<bool, Failure> {
    let url = download.url;
    let failed = |error: reqwest::Error| {
        Failure::Remote(Error::failed(format!("could not download {url}")).because(reason(error)))
    };
    let client = reqwest::Client::builder()
        .connect_timeout(CONNECT)
        .read_timeout(SILENCE)
        .build()
        .map_err(failed)?;
    let have = part.metadata().map_or(0, |metadata| metadata.len());
    let mut request = client.get(url);
    if let Some(token) = download.token {
        request = request.bearer_auth(token);
    }
    if have > 0 {
        request = request.header(reqwest::header::RANGE, format!("bytes={have}-"));
    }
    let answer = request.send().await.map_err(failed)?;
    if have > 0 && answer.status() == reqwest::StatusCode::RANGE_NOT_SATISFIABLE {
        // It was complete, but not yet renamed.
        return Ok(true);
    }
    let goes_on = answer.status() == reqwest::StatusCode::PARTIAL_CONTENT;
    let answer = answer.error_for_status().map_err(|error| {
        failed(error).hint(
            "check that the server has that file; for your own mirror, see docs/closed-networks.md",
        )
    })?;
    let mut file = tokio::fs::OpenOptions::new()
        .create(true)
        .append(goes_on)
        .write(true)
        .truncate(!goes_on)
        .open(part)
        .await
        .map_err(|error| unwritten(part, &error))?;
    let name = download.name.to_owned();
    let mut done = if goes_on { have } else { 0 };
    let of = answer.content_length().map(|left| done + left);
    let mut bytes = answer.bytes_stream();
    while let Some(block) = bytes.next().await {
        let block = block.map_err(failed)?;
        file.write_all(&block)
            .await
            .map_err(|error| unwritten(part, &error))?;
        done += block.len() as u64;
        reporter.event(&Event::Download {
            file: name.clone(),
            done,
            of,
        });
    }
    let kept = async {
        // Otherwise an error of writing the last block would go unnoticed.
        file.flush().await?;
        file.sync_all().await
    };
    kept.await.map_err(|error| unwritten(part, &error))?;
    Ok(goes_on)
}

/// The cause of a failed request, without its URL. reqwest's message omits the most helpful part:
/// the innermost cause.
pub(crate) fn reason(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut innermost: &dyn std::error::Error = &error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    let (outer, inner) = (error.to_string(), innermost.to_string());
    if outer == inner {
        outer
    } else {
        format!("{outer}: {inner}")
    }
}

/// The file's SHA-256 in hexadecimal digits; `None` if it can't be read.
pub(crate) async fn digest(path: &Path) -> Option<String> {
    let path = path.to_owned();
    let sum = tokio::task::spawn_blocking(move || {
        let mut file = std::fs::File::open(path)?;
        let mut sum = Sha256::new();
        std::io::copy(&mut file, &mut sum)?;
        Ok::<_, std::io::Error>(format!("{:x}", sum.finalize()))
    });
    sum.await.ok()?.ok()
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// The error of writing a file, with a hint.
pub(crate) fn unwritten(path: &Path, error: &std::io::Error) -> Failure {
    use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    let directory = path.parent().unwrap_or(path).display();
    let hint = match error.kind() {
        StorageFull | QuotaExceeded | FileTooLarge => {
            format!("free some space (df -h {directory}), then retry: the download resumes")
        }
        _ => format!("check the permissions: ls -ld {directory}"),
    };
    let why = Error::failed(format!("could not write {}", path.display())).because(error);
    Failure::Here(why.hint(hint))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::http::{HeaderMap, StatusCode};
    use std::sync::Mutex;

    #[derive(Default)]
    struct Told(Mutex<Vec<(u64, Option<u64>)>>);

    impl Reporter for Told {
        fn event(&self, event: &Event) {
            if let Event::Download { done, of, .. } = event {
                self.0.lock().unwrap().push((*done, *of));
            }
        }
    }

    const CONTENT: &str = "#!/bin/sh\necho hello\n";

    fn sum(text: &str) -> String {
        format!("{:x}", Sha256::digest(text))
    }

    /// Serves the content, or the rest of it.
    async fn server() -> String {
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/kubelet", listener.local_addr().unwrap());
        let app = Router::new().fallback(async |headers: HeaderMap| match headers.get("range") {
            None => (StatusCode::OK, CONTENT.to_owned()),
            Some(range) => {
                let from = range.to_str().unwrap();
                let from = from.trim_start_matches("bytes=").trim_end_matches('-');
                let from: usize = from.parse().unwrap();
                if from >= CONTENT.len() {
                    return (StatusCode::RANGE_NOT_SATISFIABLE, String::new());
                }
                (StatusCode::PARTIAL_CONTENT, CONTENT[from..].to_owned())
            }
        });
        tokio::spawn(async move { axum::serve(listener, app).await });
        url
    }

    #[tokio::test]
    async fn a_program_is_complete_executable_and_downloaded_once() {
        let url = server().await;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("kubelet");
        let told = Told::default();
        program(&url, &sum(CONTENT), &path, &told).await.unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), CONTENT);
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o755);
        let all = CONTENT.len() as u64;
        assert_eq!(told.0.lock().unwrap().last(), Some(&(all, Some(all))));
        // The server may be down by now.
        program("http://127.0.0.1:1/", &sum(CONTENT), &path, &told)
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn an_interrupted_download_is_resumed_and_verified_as_a_whole() {
        let url = server().await;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("kubelet");
        std::fs::write(with_suffix(&path, ".part"), &CONTENT[..7]).unwrap();
        let told = Told::default();
        program(&url, &sum(CONTENT), &path, &told).await.unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), CONTENT);
    }

    #[tokio::test]
    async fn a_partial_file_that_is_complete_or_wrong_is_handled() {
        let url = server().await;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("kubelet");
        for part in [
            CONTENT,
            "#!/bin/sh\necho bye",
            "something longer than it should be",
        ] {
            std::fs::write(with_suffix(&path, PART), part).unwrap();
            program(&url, &sum(CONTENT), &path, &Told::default())
                .await
                .unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), CONTENT, "{part}");
            std::fs::remove_file(&path).unwrap();
        }
    }

    #[tokio::test]
    async fn a_full_disk_is_reported_with_a_hint_and_nothing_is_installed() {
        let url = server().await;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("kubelet");
        std::os::unix::fs::symlink("/dev/full", with_suffix(&path, ".part")).unwrap();
        let error = program(&url, &sum(CONTENT), &path, &Told::default())
            .await
            .unwrap_err();
        let words = error.to_string();
        assert!(
            words.contains("could not write") && words.contains("kubelet.part"),
            "{words}"
        );
        assert!(
            error.causes[0].contains("No space left on device"),
            "{error:?}"
        );
        assert!(error.hints[0].contains("free some space"), "{error:?}");
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_missing_file_of_a_mirror_is_reported_with_the_response() {
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/kubelet", listener.local_addr().unwrap());
        let app = Router::new().fallback(async || StatusCode::NOT_FOUND);
        tokio::spawn(async move { axum::serve(listener, app).await });
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("kubelet");
        let error = program(&url, &sum(CONTENT), &path, &Told::default())
            .await
            .unwrap_err();
        assert!(error.to_string().contains(&url), "{error:?}");
        assert!(error.causes[0].contains("404"), "{error:?}");
        assert!(
            error.hints[0].contains("docs/closed-networks.md"),
            "{error:?}"
        );
        assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn a_file_with_the_wrong_checksum_is_not_installed_or_resumed() {
        let url = server().await;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("kubelet");
        let wrong = sum("something else");
        let error = program(&url, &wrong, &path, &Told::default())
            .await
            .unwrap_err();
        assert!(error.to_string().contains("has the wrong content"));
        assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 0);
    }
}
