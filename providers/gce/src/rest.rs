//! Calls that Google's clients can't make: to empty a list, which they omit, and to services they
//! don't cover. Errors, retries, credentials and call counting are the same.

use crate::auth::Login;
use crate::config::{GceConfig, Patience};
use crate::retry;
use google_cloud_auth::credentials::{CacheableResource, CredentialsProvider as _};
use google_cloud_compute_v1::model::Operation;
use google_cloud_gax::Result;
use google_cloud_gax::backoff_policy::BackoffPolicy as _;
use google_cloud_gax::error::Error;
use google_cloud_gax::error::rpc::Status;
use google_cloud_gax::retry_policy::RetryPolicy as _;
use google_cloud_gax::retry_result::RetryResult;
use google_cloud_gax::retry_state::RetryState;
use http::{HeaderMap, Method};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::OnceCell;

/// Compute Engine's default endpoint.
const COMPUTE: &str = "https://compute.googleapis.com";

/// Sends plain REST requests.
pub(crate) struct Rest {
    compute: String,
    patience: Patience,
    login: Login,
    http: OnceCell<reqwest::Client>,
}

impl Rest {
    /// Creates it without a connection.
    pub(crate) fn new(config: &GceConfig, login: Login) -> Self {
        let compute = config.endpoint.as_deref().unwrap_or(COMPUTE);
        Self {
            compute: compute.trim_end_matches('/').to_owned(),
            patience: config.patience,
            login,
            http: OnceCell::new(),
        }
    }

    /// Changes a Compute Engine resource. The query contains a `requestId`, so a repetition is the
    /// same change.
    pub(crate) async fn patch(
        &self,
        path: &str,
        query: &[(&str, String)],
        body: &Value,
    ) -> Result<Operation> {
        let url = self.compute(path);
        self.send(Method::PATCH, &url, query, body).await
    }

    /// The full URL of a Compute Engine path: `projects/P/…`.
    pub(crate) fn compute(&self, path: &str) -> String {
        format!("{}/compute/v1/{path}", self.compute)
    }

    /// Makes a POST request to a service at its full URL.
    pub(crate) async fn post<T: DeserializeOwned>(&self, url: &str, body: &Value) -> Result<T> {
        self.send(Method::POST, url, &[], body).await
    }

    /// Sends an idempotent request with retries, and parses the response.
    async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        url: &str,
        query: &[(&str, String)],
        body: &Value,
    ) -> Result<T> {
        let (policy, backoff) = (
            retry::policy(self.login.clone(), self.patience),
            retry::backoff(),
        );
        let mut state = RetryState::new(true);
        loop {
            state.attempt_count += 1;
            let error = match self.once(method.clone(), url, query, body).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            match policy.on_error(&state, error) {
                RetryResult::Continue(_) => tokio::time::sleep(backoff.on_failure(&state)).await,
                RetryResult::Permanent(error) | RetryResult::Exhausted(error) => return Err(error),
            }
        }
    }

    async fn once<T: DeserializeOwned>(
        &self,
        method: Method,
        url: &str,
        query: &[(&str, String)],
        body: &Value,
    ) -> Result<T> {
        let http = self.http.get_or_try_init(|| async {
            let builder = reqwest::Client::builder().timeout(self.patience.of_attempt());
            builder.build().map_err(Error::connect)
        });
        let request = http.await?.request(method, url).query(query).json(body);
        let request = request.headers(self.credentials().await?);
        let answer = request.send().await.map_err(unanswered)?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let is_success = answer.status().is_success();
        let content = answer.bytes().await.map_err(unanswered)?;
        if is_success {
            return serde_json::from_slice(&content).map_err(Error::deser);
        }
        Err(match Status::try_from(&content) {
            Ok(words) => Error::service_with_http_metadata(words, Some(status), Some(headers)),
            Err(_) => Error::http(status, headers, content),
        })
    }

    async fn credentials(&self) -> Result<HeaderMap> {
        let headers = self.login.headers(http::Extensions::new()).await;
        match headers.map_err(Error::authentication)? {
            CacheableResource::New { data, .. } => Ok(data),
            // Only possible for a request with a cache tag.
            CacheableResource::NotModified => Ok(HeaderMap::new()),
        }
    }
}

fn unanswered(error: reqwest::Error) -> Error {
    if error.is_timeout() {
        Error::timeout(error)
    } else if error.is_connect() {
        Error::connect(error)
    } else {
        Error::io(error)
    }
}
