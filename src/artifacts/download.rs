//! A file from a server, to this host: whole and verified, or not there.

use crate::error::{Error, Result};
use crate::output::{Event, Reporter};
use futures::StreamExt as _;
use sha2::{Digest as _, Sha256};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;

/// A server that is there takes a connection within a few round trips.
const CONNECT: Duration = Duration::from_secs(5);
/// What the name of a file that isn't whole ends with.
pub const PART: &str = ".part";
/// How long a download may stand still.
const SILENCE: Duration = Duration::from_secs(30);

/// A file that is to be had.
#[derive(Debug, Clone, Copy)]
pub struct Download<'a> {
    /// What people are told is being downloaded.
    pub name: &'a str,
    /// Where it is.
    pub url: &'a str,
    /// The SHA-256 that it must have.
    pub sha256: &'a str,
    /// Where it goes.
    pub path: &'a Path,
    /// Its permissions.
    pub mode: u32,
    /// What the server lets its reader in by, if it wants anything.
    pub token: Option<&'a str>,
}

/// Whether anything had to be downloaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The file was there, with the right sum.
    WasThere,
    /// It is there now.
    Downloaded,
}

/// Why a file can't be had.
#[derive(Debug)]
pub enum Failure {
    /// The server hasn't got it, or not as it should be.
    Remote(Error),
    /// It can't be written here: other files can't be, either.
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

/// The program at `url` is at `path`, executable, with that SHA-256.
///
/// # Errors
/// It can't be had, or has another sum: then nothing is at `path`.
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

/// The file is there with its SHA-256. One that is there already stays. A download that was interrupted goes on where
/// it stopped, if the server can.
///
/// # Errors
/// It can't be had, or has another sum: then it isn't at its path.
pub async fn file(
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
    let part = beside(path, PART);
    let goes_on = receive(download, &part, reporter).await?;
    let mut found = digest(&part).await.unwrap_or_default();
    if found != sha256 {
        // What is wrong once isn't continued.
        drop(tokio::fs::remove_file(&part).await);
        if goes_on {
            // The part may have been of another file.
            receive(download, &part, reporter).await?;
            found = digest(&part).await.unwrap_or_default();
        }
    }
    if found != sha256 {
        drop(tokio::fs::remove_file(&part).await);
        return Err(Failure::Remote(
            Error::failed(format!("{url} isn't what it should be"))
                .because(format!(
                    "its SHA-256 is {found}, not {sha256}: it isn't kept"
                ))
                .hint("run this again; if it stays so, ask who runs that server"),
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

/// Whether the part that was there already was continued.
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
        // It was complete, but for its name.
        return Ok(true);
    }
    let goes_on = answer.status() == reqwest::StatusCode::PARTIAL_CONTENT;
    let answer = answer.error_for_status().map_err(|error| {
        failed(error).hint(
            "see that the server has that file; for a mirror of your own: docs/closed-networks.md",
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
        // Without it, nobody is told that the last block wasn't written.
        file.flush().await?;
        file.sync_all().await
    };
    kept.await.map_err(|error| unwritten(part, &error))?;
    Ok(goes_on)
}

/// Why a request failed, without its URL. reqwest's own words leave out the one thing that helps: the innermost cause.
pub fn reason(error: reqwest::Error) -> String {
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
pub async fn digest(path: &Path) -> Option<String> {
    let path = path.to_owned();
    let sum = tokio::task::spawn_blocking(move || {
        let mut file = std::fs::File::open(path)?;
        let mut sum = Sha256::new();
        std::io::copy(&mut file, &mut sum)?;
        Ok::<_, std::io::Error>(format!("{:x}", sum.finalize()))
    });
    sum.await.ok()?.ok()
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Why a file can't be written, and what to do.
pub fn unwritten(path: &Path, error: &std::io::Error) -> Failure {
    use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    let directory = path.parent().unwrap_or(path).display();
    let hint = match error.kind() {
        StorageFull | QuotaExceeded | FileTooLarge => {
            format!(
                "make room (df -h {directory}), then run this again: it goes on where it stopped"
            )
        }
        _ => format!("see who may write there: ls -ld {directory}"),
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
    async fn a_program_is_whole_executable_and_downloaded_once() {
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
        // The server may be gone by now.
        program("http://127.0.0.1:1/", &sum(CONTENT), &path, &told)
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn an_interrupted_download_goes_on_and_its_sum_is_that_of_the_whole() {
        let url = server().await;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("kubelet");
        std::fs::write(beside(&path, ".part"), &CONTENT[..7]).unwrap();
        let told = Told::default();
        program(&url, &sum(CONTENT), &path, &told).await.unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), CONTENT);
    }

    #[tokio::test]
    async fn a_part_that_is_complete_or_of_another_file_is_no_obstacle() {
        let url = server().await;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("kubelet");
        for part in [
            CONTENT,
            "#!/bin/sh\necho bye",
            "something longer than it should be",
        ] {
            std::fs::write(beside(&path, PART), part).unwrap();
            program(&url, &sum(CONTENT), &path, &Told::default())
                .await
                .unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), CONTENT, "{part}");
            std::fs::remove_file(&path).unwrap();
        }
    }

    #[tokio::test]
    async fn a_disk_that_is_full_is_named_with_what_to_do_and_nothing_is_installed() {
        let url = server().await;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("kubelet");
        std::os::unix::fs::symlink("/dev/full", beside(&path, ".part")).unwrap();
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
        assert!(error.hints[0].contains("make room"), "{error:?}");
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_file_that_a_mirror_does_not_have_is_named_with_the_answer() {
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
    async fn a_file_with_another_sum_is_not_installed_and_not_continued() {
        let url = server().await;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("kubelet");
        let wrong = sum("something else");
        let error = program(&url, &wrong, &path, &Told::default())
            .await
            .unwrap_err();
        assert!(error.to_string().contains("isn't what it should be"));
        assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 0);
    }
}
