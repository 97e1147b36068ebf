//! Google's application default credentials: where they are looked for, and what is made of them.

use crate::config::GoogleLogin;
use crate::error::sentence;
use google_cloud_auth::build_errors::Error;
use google_cloud_auth::credentials::{
    Credentials, external_account, impersonated, mds, service_account, user_account,
};
use hakube_provider::{ErrorKind, ProviderError, Result};
use serde_json::Value;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The file in gcloud's directory that `gcloud auth application-default login` writes.
const WELL_KNOWN: &str = "application_default_credentials.json";

/// How long the metadata server may take for its first answer. It is on the same host.
const METADATA: Duration = Duration::from_secs(5);

const LOGIN: &str = "run `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS to a key file";

/// What credentials are made of, again if need be. Displayed without anything secret.
pub(super) struct Recipe {
    ingredient: Ingredient,
    impersonate: Option<String>,
}

enum Ingredient {
    /// What a file says.
    File { path: PathBuf, content: Value },
    /// The metadata server.
    Metadata(Option<String>),
}

/// The first of the places that has credentials, and what they make.
///
/// # Errors
/// [`ErrorKind::Denied`]: none has any, or the first that has some has none that can be used.
pub(super) async fn find(login: &GoogleLogin) -> Result<(Recipe, Credentials)> {
    let mut tried = Vec::new();
    if let Some(path) = &login.file {
        let content = read(path).map_err(|error| {
            denied(format!("could not read it: {error}"), path)
                .with_hint("GOOGLE_APPLICATION_CREDENTIALS names it: correct or unset that")
        })?;
        return made(login, path, &content);
    }
    tried.push("GOOGLE_APPLICATION_CREDENTIALS isn't set".to_owned());
    match &login.gcloud {
        None => tried.push("there is no home directory with gcloud's files".to_owned()),
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
            let message = format!("there are none; tried, in this order: {}", tried.join("; "));
            Err(
                ProviderError::new(ErrorKind::Denied, "find", "Google's credentials", message)
                    .with_hint(LOGIN),
            )
        }
    }
}

/// Credentials of the metadata server, once it has given a token: elsewhere than on Compute Engine there is
/// no such server, and the first call would find out without a word about what else was tried.
async fn from_metadata(recipe: &Recipe) -> std::result::Result<Credentials, String> {
    let credentials = recipe.build().map_err(|error| sentence(&error))?;
    let asked = tokio::time::timeout(METADATA, credentials.headers(http::Extensions::new()));
    match asked.await {
        Ok(Ok(_)) => Ok(credentials),
        Ok(Err(error)) => Err(format!("gave no token: {}", sentence(&error))),
        Err(_) => Err(format!("didn't answer within {} s", METADATA.as_secs())),
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
    fs::read_to_string(path)
}

impl Recipe {
    /// New credentials, which have no token yet.
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

/// The kind of credentials that the file's `type` says.
fn of_file(content: Value) -> std::result::Result<Credentials, Error> {
    match content["type"].as_str() {
        Some("service_account") => service_account::Builder::new(content).build(),
        Some("impersonated_service_account") => impersonated::Builder::new(content).build(),
        Some("external_account") => external_account::Builder::new(content).build(),
        // Whatever else it is, this says what it lacks.
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
