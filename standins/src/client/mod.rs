//! A client of the API server, for the components that need one: JSON in, JSON out.

mod kubeconfig;

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use reqwest::{Method, StatusCode, header};
use serde_json::Value;
use thiserror::Error;

pub use self::kubeconfig::Kubeconfig;
use crate::error::{Result, StartError};
use crate::tls;

/// client-go's for leader election: half of the renew deadline. Nothing else here can wait longer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The API server didn't do it.
#[derive(Debug, Error)]
pub enum ClientError {
    /// It answered with a failure.
    #[error("{message} ({code})")]
    Refused {
        /// HTTP status.
        code: StatusCode,
        /// `Status.message`.
        message: String,
    },
    /// It didn't answer.
    #[error("{}", causes(.0))]
    Unreachable(#[from] reqwest::Error),
}

impl ClientError {
    /// The object isn't there.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if *code == StatusCode::NOT_FOUND)
    }

    /// It doesn't know who asks.
    fn is_unauthorized(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if *code == StatusCode::UNAUTHORIZED)
    }

    /// Somebody else was there before: the name is taken, or the version has moved on.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if *code == StatusCode::CONFLICT)
    }
}

/// reqwest's message names the URL; the reason is at the end of the chain.
fn causes(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

/// A connection to the server that a kubeconfig names.
#[derive(Clone)]
pub struct ApiClient {
    http: Arc<RwLock<reqwest::Client>>,
    server: String,
    flag: String,
    path: PathBuf,
}

impl ApiClient {
    /// Of the current context of the kubeconfig at `path`, which `flag` named.
    pub fn from_kubeconfig(flag: &str, path: &Path) -> Result<Self> {
        let (http, server) = Self::read(flag, path)?;
        Ok(Self {
            http: Arc::new(RwLock::new(http)),
            server,
            flag: flag.to_owned(),
            path: path.to_owned(),
        })
    }

    fn read(flag: &str, path: &Path) -> Result<(reqwest::Client, String)> {
        let content = |reason: String| StartError::Content {
            flag: flag.to_owned(),
            path: path.to_owned(),
            reason,
        };
        let text = std::fs::read_to_string(path).map_err(|source| StartError::File {
            flag: flag.to_owned(),
            path: path.to_owned(),
            source,
        })?;
        let access = Kubeconfig::parse(&text)
            .and_then(|config| config.access(path))
            .map_err(content)?;
        let roots = tls::roots(&access.ca).map_err(content)?;
        let identity = match &access.certificate {
            Some((chain, key)) => Some((
                tls::certificates(chain).map_err(content)?,
                tls::private_key(key).map_err(content)?,
            )),
            None => None,
        };
        let mut headers = header::HeaderMap::new();
        if let Some(token) = &access.token {
            let mut value = header::HeaderValue::from_str(&format!("Bearer {token}"))
                .map_err(|_| content("its token can't be sent in a header".to_owned()))?;
            value.set_sensitive(true);
            headers.insert(header::AUTHORIZATION, value);
        }
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls::client(roots, identity)?)
            .default_headers(headers)
            .timeout(TIMEOUT)
            // A control plane's own traffic has no business with the environment's proxy.
            .no_proxy()
            .build()
            .map_err(|error| StartError::Tls(error.to_string()))?;
        Ok((http, access.server.trim_end_matches('/').to_owned()))
    }

    fn http(&self) -> reqwest::Client {
        self.http
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// `https://…`, for logs.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// Reads an object or a list.
    pub async fn get(&self, path: &str) -> Result<Value, ClientError> {
        self.send(Method::GET, path, None).await
    }

    /// Creates an object in the collection at `path`.
    pub async fn create(&self, path: &str, object: &Value) -> Result<Value, ClientError> {
        self.send(Method::POST, path, Some(("application/json", object)))
            .await
    }

    /// Replaces the object at `path`, if it is still at the version that `object` says.
    pub async fn replace(&self, path: &str, object: &Value) -> Result<Value, ClientError> {
        self.send(Method::PUT, path, Some(("application/json", object)))
            .await
    }

    /// Merges into the object at `path`.
    pub async fn patch(&self, path: &str, patch: &Value) -> Result<Value, ClientError> {
        self.send(
            Method::PATCH,
            path,
            Some(("application/strategic-merge-patch+json", patch)),
        )
        .await
    }

    /// Who isn't known any more may have been given another certificate: it is read, and shown once.
    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<(&str, &Value)>,
    ) -> Result<Value, ClientError> {
        let refused = match self.send_once(method.clone(), path, body).await {
            Err(error) if error.is_unauthorized() => error,
            answer => return answer,
        };
        match Self::read(&self.flag, &self.path) {
            Ok((http, _)) => {
                *self.http.write().unwrap_or_else(PoisonError::into_inner) = http;
                self.send_once(method, path, body).await
            }
            Err(error) => {
                tracing::warn!(%error, "goes on with the credentials that it has");
                Err(refused)
            }
        }
    }

    async fn send_once(
        &self,
        method: Method,
        path: &str,
        body: Option<(&str, &Value)>,
    ) -> Result<Value, ClientError> {
        let mut request = self
            .http()
            .request(method, format!("{}{path}", self.server));
        if let Some((media_type, body)) = body {
            request = request
                .header(header::CONTENT_TYPE, media_type)
                .body(body.to_string());
        }
        let response = request
            .header(header::ACCEPT, "application/json")
            .send()
            .await?;
        let code = response.status();
        if code.is_success() {
            return Ok(response.json().await?);
        }
        // Balancers and proxies answer with something else than a Status.
        let status: Value = response.json().await.unwrap_or_default();
        let message = status["message"]
            .as_str()
            .unwrap_or("no reason given")
            .to_owned();
        Err(ClientError::Refused { code, message })
    }
}
