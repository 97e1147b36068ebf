//! Credentials: they count the calls made with them, and are renewed when refused.
//!
//! Google's clients request authentication headers exactly once for each request they send, retries and
//! polling included. So the credentials are the one place where the calls of all clients can be counted.
//!
//! Tokens are cached until they expire by this machine's clock. A token that is refused earlier
//! (because the machine was suspended or the token revoked) is discarded and replaced once. So an
//! operation of half an hour doesn't fail in the middle.

mod google;

use crate::config::Auth;
use google::Recipe;
use google_cloud_auth::credentials::{
    CacheableResource, Credentials, CredentialsProvider, EntityTag,
};
use google_cloud_auth::errors::CredentialsError;
use hakube_provider::{ErrorKind, ProviderError, Result};
use http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The credentials for calls.
#[derive(Debug, Clone)]
pub(crate) struct Login(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    source: Source,
    calls: Arc<AtomicU64>,
    refused: AtomicBool,
}

#[derive(Debug)]
enum Source {
    Google {
        recipe: Recipe,
        current: Mutex<Credentials>,
    },
    TokenFile(PathBuf),
}

impl Login {
    /// Creates credentials that count the requests made with them in `calls`.
    pub(crate) async fn new(auth: &Auth, calls: Arc<AtomicU64>) -> Result<Self> {
        let source = match auth {
            Auth::Google(login) => {
                let (recipe, current) = google::find(login).await?;
                let current = Mutex::new(current);
                Source::Google { recipe, current }
            }
            Auth::TokenFile(path) => {
                check_token_file(path)?;
                Source::TokenFile(path.clone())
            }
        };
        Ok(Self(Arc::new(Inner {
            source,
            calls,
            refused: AtomicBool::new(false),
        })))
    }

    /// For Google's clients.
    pub(crate) fn credentials(&self) -> Credentials {
        Credentials::from(self.clone())
    }

    /// The token was refused: the next call gets a new one.
    pub(crate) fn refused(&self) {
        self.0.refused.store(true, Ordering::Relaxed);
    }
}

impl Inner {
    /// The current credentials, rebuilt if the last token was refused.
    fn current(
        &self,
        recipe: &Recipe,
        current: &Mutex<Credentials>,
    ) -> std::result::Result<Credentials, CredentialsError> {
        let mut current = current.lock().unwrap_or_else(PoisonError::into_inner);
        if self.refused.swap(false, Ordering::Relaxed) {
            *current = recipe
                .build()
                .map_err(|error| CredentialsError::new(false, recipe.to_string(), error))?;
        }
        Ok(current.clone())
    }
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
        let message = format!("other users can read it (mode {:04o})", mode & 0o7777);
        return Err(
            denied(what(), message).with_hint(format!("run `chmod 600 {}`", path.display()))
        );
    }
    Ok(())
}

/// The authorization header with the file's token.
fn bearer(path: &Path) -> io::Result<HeaderValue> {
    let token = hakube_input::read_text(path, hakube_input::SMALL)?;
    let token = token.trim();
    if token.is_empty() {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is empty"));
    }
    let mut value = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| {
        io::Error::new(
            io::ErrorKind::InvalidData,
            "it doesn't contain a bearer token",
        )
    })?;
    value.set_sensitive(true);
    Ok(value)
}

impl CredentialsProvider for Login {
    async fn headers(
        &self,
        extensions: http::Extensions,
    ) -> std::result::Result<CacheableResource<HeaderMap>, CredentialsError> {
        self.0.calls.fetch_add(1, Ordering::Relaxed);
        match &self.0.source {
            Source::Google { recipe, current } => {
                let credentials = self.0.current(recipe, current)?;
                let headers = credentials.headers(extensions).await;
                // Names which of several credentials failed.
                headers.map_err(|error| {
                    CredentialsError::new(error.is_transient(), recipe.to_string(), error)
                })
            }
            Source::TokenFile(path) => {
                // A few bytes from the page cache: cheaper than a thread pool.
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
        match &self.0.source {
            Source::Google { recipe, current } => {
                let credentials = self.0.current(recipe, current).ok()?;
                credentials.universe_domain().await
            }
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
    async fn the_token_is_reread_and_each_use_counted() {
        let (dir, auth) = token_file("first\n", 0o600);
        let calls = Arc::new(AtomicU64::new(0));
        let credentials = Login::new(&auth, calls.clone())
            .await
            .unwrap()
            .credentials();
        assert_eq!(header(&credentials).await, "Bearer first");
        fs::write(dir.path().join("token"), "second").unwrap();
        assert_eq!(header(&credentials).await, "Bearer second");
        assert_eq!(calls.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn debug_output_does_not_contain_the_token() {
        let (_dir, auth) = token_file("s3cret", 0o600);
        let login = Login::new(&auth, Arc::default()).await.unwrap();
        let credentials = login.credentials();
        let shown = format!("{login:?} {:?}", header(&credentials).await);
        assert!(!shown.contains("s3cret"), "{shown}");
    }

    #[tokio::test]
    async fn a_token_file_must_exist_and_be_private_and_valid() {
        for (content, mode, words) in [
            ("token", 0o640, "other users can read it"),
            ("\n", 0o600, "it is empty"),
            ("a\u{7}b", 0o600, "contain a bearer token"),
        ] {
            let (_dir, auth) = token_file(content, mode);
            let error = Login::new(&auth, Arc::default()).await.unwrap_err();
            assert_eq!(error.kind, ErrorKind::Denied);
            assert!(error.message.contains(words), "{error}");
        }
        let missing = Auth::TokenFile(PathBuf::from("/nonexistent/token"));
        let error = Login::new(&missing, Arc::default()).await.unwrap_err();
        assert!(error.to_string().contains("/nonexistent/token"), "{error}");
    }
}
