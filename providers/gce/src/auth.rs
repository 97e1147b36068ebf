//! Credentials, and the count of calls made with them.
//!
//! Google's clients ask for the headers of authentication exactly once for each request that they put on
//! the wire, retries and polling included. That makes the credentials the one place where all calls of all
//! clients can be counted.

use crate::config::Auth;
use google_cloud_auth::credentials::{
    Builder, CacheableResource, Credentials, CredentialsProvider, EntityTag,
};
use google_cloud_auth::errors::CredentialsError;
use hakube_provider::{ErrorKind, ProviderError, Result};
use http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const LOGIN: &str = "run `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS to a key file";

/// Credentials that count the requests made with them into `calls`.
pub(crate) fn credentials(auth: &Auth, calls: Arc<AtomicU64>) -> Result<Credentials> {
    let source = match auth {
        Auth::ApplicationDefault => {
            let found = Builder::default().build().map_err(|error| {
                denied("application default credentials", error.to_string()).with_hint(LOGIN)
            })?;
            Source::Google(found)
        }
        Auth::TokenFile(path) => {
            check_token_file(path)?;
            Source::TokenFile(path.clone())
        }
    };
    Ok(Credentials::from(Counted { source, calls }))
}

fn denied(what: impl Into<String>, message: impl Into<String>) -> ProviderError {
    ProviderError::new(ErrorKind::Denied, "read", what, message)
}

fn check_token_file(path: &Path) -> Result<()> {
    let what = || format!("token file {}", path.display());
    bearer(path).map_err(|error| denied(what(), error.to_string()))?;
    let mode = fs::metadata(path)
        .map_err(|error| denied(what(), error.to_string()))?
        .permissions()
        .mode();
    if mode & 0o077 != 0 {
        let message = format!("others may read it (mode {:04o})", mode & 0o7777);
        return Err(
            denied(what(), message).with_hint(format!("run `chmod 600 {}`", path.display()))
        );
    }
    Ok(())
}

/// The header that the file's token makes.
fn bearer(path: &Path) -> io::Result<HeaderValue> {
    let token = fs::read_to_string(path)?;
    let token = token.trim();
    if token.is_empty() {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is empty"));
    }
    let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it holds no bearer token"))?;
    value.set_sensitive(true);
    Ok(value)
}

#[derive(Debug)]
enum Source {
    Google(Credentials),
    TokenFile(PathBuf),
}

#[derive(Debug)]
struct Counted {
    source: Source,
    calls: Arc<AtomicU64>,
}

impl CredentialsProvider for Counted {
    async fn headers(
        &self,
        extensions: http::Extensions,
    ) -> std::result::Result<CacheableResource<HeaderMap>, CredentialsError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        match &self.source {
            Source::Google(credentials) => credentials.headers(extensions).await,
            Source::TokenFile(path) => {
                // A few bytes from the page cache: cheaper than a trip to a thread pool.
                let value = bearer(path).map_err(|error| {
                    CredentialsError::new(false, format!("token file {}", path.display()), error)
                })?;
                Ok(CacheableResource::New {
                    entity_tag: EntityTag::new(),
                    data: HeaderMap::from_iter([(AUTHORIZATION, value)]),
                })
            }
        }
    }

    async fn universe_domain(&self) -> Option<String> {
        match &self.source {
            Source::Google(credentials) => credentials.universe_domain().await,
            Source::TokenFile(_) => None,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    fn token_file(content: &str, mode: u32) -> (tempfile::TempDir, Auth) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        (dir, Auth::TokenFile(path))
    }

    async fn header(credentials: &Credentials) -> HeaderValue {
        match credentials.headers(http::Extensions::new()).await.unwrap() {
            CacheableResource::New { data, .. } => data[AUTHORIZATION].clone(),
            CacheableResource::NotModified => panic!("no tag was given"),
        }
    }

    #[tokio::test]
    async fn the_token_is_read_anew_and_each_use_counted() {
        let (dir, auth) = token_file("first\n", 0o600);
        let calls = Arc::new(AtomicU64::new(0));
        let credentials = credentials(&auth, calls.clone()).unwrap();
        assert_eq!(header(&credentials).await, "Bearer first");
        fs::write(dir.path().join("token"), "second").unwrap();
        assert_eq!(header(&credentials).await, "Bearer second");
        assert_eq!(calls.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn the_token_shows_in_no_debug_output() {
        let (_dir, auth) = token_file("s3cret", 0o600);
        let credentials = credentials(&auth, Arc::default()).unwrap();
        let shown = format!("{:?} {:?}", credentials, header(&credentials).await);
        assert!(!shown.contains("s3cret"), "{shown}");
    }

    #[test]
    fn a_token_file_must_exist_be_private_and_not_empty() {
        for (content, mode, words) in [
            ("token", 0o640, "others may read it"),
            ("\n", 0o600, "it is empty"),
            ("a\u{7}b", 0o600, "no bearer token"),
        ] {
            let (_dir, auth) = token_file(content, mode);
            let error = credentials(&auth, Arc::default()).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Denied);
            assert!(error.message.contains(words), "{error}");
        }
        let missing = Auth::TokenFile(PathBuf::from("/nonexistent/token"));
        let error = credentials(&missing, Arc::default()).unwrap_err();
        assert!(error.to_string().contains("/nonexistent/token"), "{error}");
    }
}
