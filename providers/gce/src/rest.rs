//! Calls that Google's clients can't make: lists that are to be emptied, which those leave out, and services
//! that they aren't for. Errors, retries, credentials and the count of calls are the same.

use crate::auth::Login;
use crate::config::GceConfig;
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
use std::time::Duration;
use tokio::sync::OnceCell;

/// Where Compute Engine is, unless it is told otherwise.
const COMPUTE: &str = "https://compute.googleapis.com";

/// Requests as they are.
pub(crate) struct Rest {
    compute: String,
    attempt: Duration,
    login: Login,
    http: OnceCell<reqwest::Client>,
}

impl Rest {
    /// No connection yet.
    pub(crate) fn new(config: &GceConfig, login: Login) -> Self {
        let compute = config.endpoint.as_deref().unwrap_or(COMPUTE);
        Self {
            compute: compute.trim_end_matches('/').to_owned(),
            attempt: config.patience.attempt,
            login,
            http: OnceCell::new(),
        }
    }

    /// Changes a resource of Compute Engine. The query has a `requestId`: sent twice, it is one change.
    pub(crate) async fn patch(
        &self,
        path: &str,
        query: &[(&str, String)],
        body: &Value,
    ) -> Result<Operation> {
        let url = self.compute(path);
        self.send(Method::PATCH, &url, query, body).await
    }

    /// The whole address of something of Compute Engine's: `projects/P/…`.
    pub(crate) fn compute(&self, path: &str) -> String {
        format!("{}/compute/v1/{path}", self.compute)
    }

    /// Asks a service, at its whole address, something that takes a body.
    pub(crate) async fn post<T: DeserializeOwned>(&self, url: &str, body: &Value) -> Result<T> {
        self.send(Method::POST, url, &[], body).await
    }

    /// Sends a request that does no harm when it is sent again, and reads the answer.
    async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        url: &str,
        query: &[(&str, String)],
        body: &Value,
    ) -> Result<T> {
        let (policy, backoff) = (retry::policy(self.login.clone()), retry::backoff());
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
            let builder = reqwest::Client::builder().timeout(self.attempt);
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
            // Only who shows a tag is told so.
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
