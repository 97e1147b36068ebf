//! SHA-256 checksums of downloads: which source is trusted, and lists in sha256sum's format.

use hakube_error::{Error, Result};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);
/// A list of checksums is a few kilobytes; anything longer isn't one.
const LONGEST: u64 = 1 << 20;

/// Without the operator's own list, checksums from a server without TLS could be forged.
///
/// # Errors
/// There is no such list, and `url` isn't https.
pub fn check_trusted(url: &str, sums: Option<&Path>) -> Result<()> {
    if sums.is_some() || url.starts_with("https://") {
        return Ok(());
    }
    Err(Error::bad_input(format!(
        "the checksums that {url} publishes can't be trusted without TLS"
    ))
    .hint("provide the checksums: --sha256sums FILE, in sha256sum's format"))
}

/// The checksum of the file at `url`, from the operator's own list, or otherwise from the server's
/// list at `list`.
///
/// # Errors
/// The list can't be fetched, or doesn't have the file.
pub async fn of(url: &str, list: &str, own: Option<&Path>) -> Result<String> {
    let (source, text) = match own {
        Some(file) => (file.display().to_string(), read(file)?),
        None => (list.to_owned(), fetch(list).await?),
    };
    known(&source, &text, url)
}

/// The checksum of the file at `url`, from the list `text` at `source`.
///
/// # Errors
/// It has no checksum of the file, or several.
pub fn known(source: &str, text: &str, url: &str) -> Result<String> {
    find(text, url).map_err(|problem| {
        Error::bad_input(format!("the SHA-256 of {url} is unknown"))
            .because(format!("{source} {problem}"))
            .hint("add the line that `sha256sum` prints for it, or use another version or mirror")
    })
}

/// Finds the checksum of the file at `url` in a list of `SUM  NAME`, in which NAME is the end of
/// the URL, or in a file that contains only a checksum.
pub(crate) fn find(text: &str, url: &str) -> std::result::Result<String, &'static str> {
    let mut found = BTreeSet::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let Some(sum) = words.next() else { continue };
        let is_it = words.next().is_none_or(|name| {
            // sha256sum marks binary mode with an asterisk.
            let name = name.trim_start_matches(['*', '.', '/']);
            url.ends_with(&format!("/{name}"))
        });
        if is_it && is_sum(sum) {
            found.insert(sum.to_ascii_lowercase());
        }
    }
    let mut found = found.into_iter();
    match (found.next(), found.next()) {
        (Some(sum), None) => Ok(sum),
        (None, _) => Err("has no checksum of it"),
        (Some(_), Some(_)) => Err("has several checksums of it: names must include the version"),
    }
}

/// Whether a word is a SHA-256 in hexadecimal digits.
pub(crate) fn is_sum(word: &str) -> bool {
    word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Reads the operator's own list.
///
/// # Errors
/// It can't be read.
pub fn read(file: &Path) -> Result<String> {
    hakube_input::read_text(file, hakube_input::SMALL).map_err(|error| {
        Error::bad_input(format!(
            "could not read {} (from HAKUBE_SHA256SUMS or --sha256sums)",
            file.display()
        ))
        .because(error)
    })
}

/// Fetches a small text from a server.
///
/// # Errors
/// It can't be fetched, or is too long.
pub async fn fetch(url: &str) -> Result<String> {
    match fetch_if_there(url).await? {
        Some(text) => Ok(text),
        None => Err(unlearnt(url, "HTTP 404: not found")),
    }
}

/// The same; `None` if the server responds that it doesn't exist.
///
/// # Errors
/// It can't be fetched, or is too long.
pub(crate) async fn fetch_if_there(url: &str) -> Result<Option<String>> {
    let failed = |error: reqwest::Error| unlearnt(url, super::download::reason(error));
    let client = reqwest::Client::builder()
        .timeout(PATIENCE)
        .build()
        .map_err(failed)?;
    let answer = client.get(url).send().await.map_err(failed)?;
    if answer.status() == reqwest::StatusCode::NOT_FOUND {
        return Ok(None);
    }
    let answer = answer.error_for_status().map_err(failed)?;
    if answer
        .content_length()
        .is_some_and(|length| length > LONGEST)
    {
        return Err(Error::failed(format!("{url} isn't a list of checksums"))
            .because(format!("it is longer than {LONGEST} bytes")));
    }
    answer.text().await.map(Some).map_err(failed)
}

fn unlearnt(url: &str, why: impl std::fmt::Display) -> Error {
    Error::failed("could not get the checksum of a download")
        .because(format!("{url}: {why}"))
        .hint(
            "in a closed network, set a mirror (--mirror URL) or a file with the checksums (--sha256sums FILE)",
        )
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    const ONE: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    const OTHER: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    const API: &str = "https://m/v1.36.0/bin/linux/amd64/kube-apiserver";

    #[test]
    fn a_checksum_is_found_by_the_end_of_the_url_or_alone() {
        let list =
            format!("{OTHER}  v1.35.0/bin/linux/amd64/kube-apiserver\n{ONE} *./kube-apiserver\n");
        for text in [&list, &format!("{ONE}\n"), &ONE.to_uppercase()] {
            assert_eq!(find(text, API).unwrap(), ONE, "{text}");
        }
    }

    #[test]
    fn none_or_several_checksums_are_an_error() {
        let several = format!("{ONE}  kube-apiserver\n{OTHER}  amd64/kube-apiserver\n");
        assert!(find(&several, API).unwrap_err().contains("several"));
        for none in [
            "",
            "<html>Not found</html>",
            "abc  kube-apiserver",
            &format!("{ONE}  apiserver"),
            &format!("{ONE}  kube-apiserver.sha256"),
        ] {
            assert_eq!(
                find(none, API).unwrap_err(),
                "has no checksum of it",
                "{none}"
            );
        }
    }

    #[test]
    fn checksums_without_tls_are_not_trusted() {
        let error = check_trusted("http://mirror", None).unwrap_err();
        assert!(error.to_string().contains("can't be trusted without TLS"));
        assert!(check_trusted("http://mirror", Some("/sums".as_ref())).is_ok());
        assert!(check_trusted("https://mirror", None).is_ok());
    }
}
