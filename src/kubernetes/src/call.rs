//! Calls about objects, and why they fail.

use hakube_error::Error;
use std::time::Duration;

/// The timeout of calls about objects.
const CALL: Duration = Duration::from_secs(10);

/// Why a call failed.
#[derive(Debug, Clone)]
pub(super) enum Problem {
    /// The object, kind or namespace doesn't exist.
    Missing(String),
    /// It is forbidden or invalid.
    Refused(String),
    /// The error may be transient.
    Passing(String),
}

impl Problem {
    /// The API server's message.
    pub(super) fn why(&self) -> &str {
        match self {
            Self::Missing(why) | Self::Refused(why) | Self::Passing(why) => why,
        }
    }

    /// Converts it into the error of an action.
    pub(super) fn into_error(self, what: String) -> Error {
        let error = Error::failed(what).because(self.why());
        match self {
            Self::Passing(_) => error.transient(),
            Self::Missing(_) | Self::Refused(_) => error,
        }
    }
}

impl From<kube::Error> for Problem {
    fn from(error: kube::Error) -> Self {
        let kube::Error::Api(status) = &error else {
            return Self::Passing(error.to_string());
        };
        let why = status.message.clone();
        match status.code {
            404 => Self::Missing(why),
            403 if why.contains("being terminated") => Self::Passing(why),
            400 | 401 | 403 | 405 | 406 | 413 | 415 | 422 => Self::Refused(why),
            _ => Self::Passing(why),
        }
    }
}

/// A call's result, with a timeout.
pub(super) async fn call<T>(call: impl Future<Output = kube::Result<T>>) -> Result<T, Problem> {
    match tokio::time::timeout(CALL, call).await {
        Ok(answer) => answer.map_err(Problem::from),
        Err(_) => Err(Problem::Passing(format!(
            "the API server didn't respond within {} s",
            CALL.as_secs()
        ))),
    }
}

/// A call's result, with a timeout. The client's own timeouts don't cover a TLS handshake with a
/// paused process.
pub(super) async fn in_time<T>(call: impl Future<Output = kube::Result<T>>) -> Result<T, String> {
    match tokio::time::timeout(CALL, call).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err(format!(
            "the API server didn't respond within {} s",
            CALL.as_secs()
        )),
    }
}
