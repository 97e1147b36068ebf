//! Google's application default credentials: where to find them, and how to build them.

use crate::config::GoogleLogin;
use crate::error::sentence;
use google_cloud_auth::build_errors::Error;
use google_cloud_auth::credentials::{
    Credentials, external_account, impersonated, mds, service_account, user_account,
};
use hakube_provider::{ErrorKind, ProviderError, Result};
use serde_json::Value;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The file in gcloud's directory that `gcloud auth application-default login` writes.
const WELL_KNOWN: &str = "application_default_credentials.json";

/// The timeout for the metadata server's first response. The server is on the same host.
const METADATA: Duration = Duration::from_secs(5);

const LOGIN: &str = "run `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS to a key file";

/// How to build credentials, repeatedly if needed. Its `Display` shows no secrets.
pub(super) struct Recipe {
    ingredient: Ingredient,
    impersonate: Option<String>,
}

enum Ingredient {
    /// A file's content.
    File { path: PathBuf, content: Value },
    /// The metadata server.
    Metadata(Option<String>),
}

/// Builds credentials from the first source that has any.
///
/// # Errors
/// [`ErrorKind::Denied`] if no source has credentials, or if the first one's are unusable.
pub(super) async fn find(login: &GoogleLogin) -> Result<(Recipe, Credentials)> {
    let mut tried = Vec::new();
    if let Some(path) = &login.file {
        let content = read(path).map_err(|error| {
            denied(format!("could not read it: {error}"), path)
                .with_hint("correct or unset GOOGLE_APPLICATION_CREDENTIALS, which names this file")
        })?;
        return made(login, path, &content);
    }
    tried.push("GOOGLE_APPLICATION_CREDENTIALS isn't set".to_owned());
    match &login.gcloud {
        None => tried.push("no home directory with gcloud's files exists".to_owned()),
        Some(directory) => {
            let path = directory.join(WELL_KNOWN);
            match read(&path) {
                Ok(content) => return made(login, &path, &content),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    tried.push(format!("{} doesn't exist", path.display()));
                }
                Err(error) => return Err(denied(format!("could not read it: {error}"), &path)),
            }
        }
    }
    let recipe = Recipe {
        ingredient: Ingredient::Metadata(login.metadata.clone()),
        impersonate: login.impersonate.clone(),
    };
    match from_metadata(&recipe).await {
        Ok(credentials) => Ok((recipe, credentials)),
        Err(why) => {
            tried.push(format!("{recipe} {why}"));
            let message = format!("none found; tried in this order: {}", tried.join("; "));
            Err(
                ProviderError::new(ErrorKind::Denied, "find", "Google's credentials", message)
                    .with_hint(LOGIN),
            )
        }
    }
}

/// Credentials from the metadata server, once it has issued a token. Only Compute Engine has such a
/// server. Without this check, the first API call would fail without mentioning the other sources.
async fn from_metadata(recipe: &Recipe) -> std::result::Result<Credentials, String> {
    let credentials = recipe.build().map_err(|error| sentence(&error))?;
    let headers = tokio::time::timeout(METADATA, credentials.headers(http::Extensions::new()));
    match headers.await {
        Ok(Ok(_)) => Ok(credentials),
        Ok(Err(error)) => Err(format!("gave no token: {}", sentence(&error))),
        Err(_) => Err(format!("didn't respond within {} s", METADATA.as_secs())),
    }
}

fn made(login: &GoogleLogin, path: &Path, content: &str) -> Result<(Recipe, Credentials)> {
    let content = serde_json::from_str(content)
        .map_err(|error| denied(format!("it isn't JSON: {error}"), path).with_hint(LOGIN))?;
    let recipe = Recipe {
        ingredient: Ingredient::File {
            path: path.to_owned(),
            content,
        },
        impersonate: login.impersonate.clone(),
    };
    let credentials = recipe
        .build()
        .map_err(|error| denied(sentence(&error), path).with_hint(LOGIN))?;
    Ok((recipe, credentials))
}

fn denied(message: String, path: &Path) -> ProviderError {
    let what = format!("credentials file {}", path.display());
    ProviderError::new(ErrorKind::Denied, "use", what, message)
}

fn read(path: &Path) -> io::Result<String> {
    hakube_input::read_text(path, hakube_input::SMALL)
}

impl Recipe {
    /// Builds new credentials without a cached token.
    pub(super) fn build(&self) -> std::result::Result<Credentials, Error> {
        let source = match &self.ingredient {
            Ingredient::File { content, .. } => of_file(content.clone())?,
            Ingredient::Metadata(None) => mds::Builder::default().build()?,
            Ingredient::Metadata(Some(url)) => {
                mds::Builder::default().with_endpoint(url).build()?
            }
        };
        match &self.impersonate {
            None => Ok(source),
            Some(account) => impersonated::Builder::from_source_credentials(source)
                .with_target_principal(account)
                .build(),
        }
    }
}

/// Builds credentials of the kind that the file's `type` names.
fn of_file(content: Value) -> std::result::Result<Credentials, Error> {
    match content["type"].as_str() {
        Some("service_account") => service_account::Builder::new(content).build(),
        Some("impersonated_service_account") => impersonated::Builder::new(content).build(),
        Some("external_account") => external_account::Builder::new(content).build(),
        // For any other kind, this reports what is missing.
        _ => user_account::Builder::new(content).build(),
    }
}

impl fmt::Display for Recipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(account) = &self.impersonate {
            write!(f, "{account}, impersonated with ")?;
        }
        match &self.ingredient {
            Ingredient::File { path, content } => {
                let kind = content["type"].as_str().unwrap_or("unknown type");
                write!(f, "the credentials in {} ({kind}", path.display())?;
                if let Some(account) = content["client_email"].as_str() {
                    write!(f, ", {account}")?;
                }
                f.write_str(")")
            }
            Ingredient::Metadata(None) => f.write_str("Compute Engine's metadata server"),
            Ingredient::Metadata(Some(url)) => write!(f, "the metadata server at {url}"),
        }
    }
}

impl fmt::Debug for Recipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
