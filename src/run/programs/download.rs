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
/// How long a download may stand still.
const SILENCE: Duration = Duration::from_secs(30);

/// The file at `url` is at `path`, executable, with that SHA-256. One that is there already stays. A download that
/// was interrupted goes on where it stopped, if the server can.
///
/// # Errors
/// It can't be had, or has another sum: then nothing is at `path`.
pub async fn program(url: &str, sha256: &str, path: &Path, reporter: &dyn Reporter) -> Result<()> {
    if digest(path).await.is_some_and(|found| found == sha256) {
        return Ok(());
    }
    let part = beside(path, ".part");
    receive(url, &part, reporter).await?;
    let found = digest(&part).await.unwrap_or_default();
    if found != sha256 {
        // What is wrong once isn't continued.
        drop(tokio::fs::remove_file(&part).await);
        return Err(Error::failed(format!("{url} isn't what it should be"))
            .because(format!(
                "its SHA-256 is {found}, not {sha256}: it isn't installed"
            ))
            .hint("run this again; if it stays so, ask who runs that server"));
    }
    use std::os::unix::fs::PermissionsExt as _;
    let executable = std::fs::Permissions::from_mode(0o755);
    let in_place = async {
        tokio::fs::set_permissions(&part, executable).await?;
        tokio::fs::rename(&part, path).await
    };
    in_place.await.map_err(|error| unwritten(path, &error))
}

async fn receive(url: &str, part: &Path, reporter: &dyn Reporter) -> Result<()> {
    let failed = |error: reqwest::Error| {
        Error::failed(format!("could not download {url}")).because(error.without_url())
    };
    let client = reqwest::Client::builder()
        .connect_timeout(CONNECT)
        .read_timeout(SILENCE)
        .build()
        .map_err(failed)?;
    let have = part.metadata().map_or(0, |metadata| metadata.len());
    let mut request = client.get(url);
    if have > 0 {
        request = request.header(reqwest::header::RANGE, format!("bytes={have}-"));
    }
    let answer = request.send().await.map_err(failed)?;
    let goes_on = answer.status() == reqwest::StatusCode::PARTIAL_CONTENT;
    let answer = answer.error_for_status().map_err(|error| {
        let error = failed(error);
        error.hint(
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
    let name = url.rsplit('/').next().unwrap_or(url).to_owned();
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
    kept.await.map_err(|error| unwritten(part, &error))
}

/// The file's SHA-256 in hexadecimal digits; `None` if it can't be read.
async fn digest(path: &Path) -> Option<String> {
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

fn unwritten(path: &Path, error: &std::io::Error) -> Error {
    let failed = Error::failed(format!("could not write {}", path.display())).because(error);
    if error.kind() != std::io::ErrorKind::StorageFull {
        return failed;
    }
    let directory = path.parent().unwrap_or(path).display();
    failed.hint(format!(
        "make room there, then run this again: df -h {directory}; another directory: HAKUBE_HOME"
    ))
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
                let rest = CONTENT[from.parse::<usize>().unwrap()..].to_owned();
                (StatusCode::PARTIAL_CONTENT, rest)
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
        assert!(error.hints[0].contains("make room there"), "{error:?}");
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
