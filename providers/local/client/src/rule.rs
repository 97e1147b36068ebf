//! Fault rules: which requests, and what happens to them.

use serde::{Deserialize, Serialize};

/// A rule that makes requests fail. Rules apply only to the Compute Engine API, never to the admin API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultRule {
    /// The method; any if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// A regular expression, searched for in the path, which starts with `/compute/v1/` and has no query.
    /// Empty matches any path.
    #[serde(default)]
    pub path: String,
    /// How many matching requests are served normally first.
    #[serde(default)]
    pub skip: u64,
    /// How many requests fail after that; all if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
    /// The effect.
    pub act: Act,
}

impl FaultRule {
    /// A rule for every request with this method and path.
    pub fn on(method: &str, path: impl Into<String>, act: Act) -> Self {
        Self {
            method: Some(method.to_owned()),
            ..Self::on_any(path, act)
        }
    }

    /// A rule for every request with this path.
    pub fn on_any(path: impl Into<String>, act: Act) -> Self {
        Self {
            method: None,
            path: path.into(),
            skip: 0,
            times: None,
            act,
        }
    }

    /// Serves this many matching requests normally first.
    #[must_use]
    pub fn skip(mut self, skip: u64) -> Self {
        self.skip = skip;
        self
    }

    /// Fails at most this many requests.
    #[must_use]
    pub fn times(mut self, times: u64) -> Self {
        self.times = Some(times);
        self
    }
}

/// The effect on a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Act {
    /// An error in Compute Engine's format.
    Refuse {
        /// HTTP status, 400 to 599.
        status: u16,
        /// `rateLimitExceeded`, `quotaExceeded`, …
        reason: String,
        /// The message; a default if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<String>,
        /// The `Retry-After` header, in seconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after: Option<u64>,
        /// Before or after the request is carried out.
        #[serde(default)]
        when: Moment,
    },
    /// The operation that the request starts ends with an error and changes nothing. A request that starts
    /// no operation is served normally.
    OperationError {
        /// `ZONE_RESOURCE_POOL_EXHAUSTED`, `QUOTA_EXCEEDED`, …
        code: String,
        /// The message; a default if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<String>,
    },
    /// The operation that the request starts stays RUNNING.
    OperationStuck {
        /// For this long; until the rules change if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        milliseconds: Option<u64>,
    },
    /// The connection is reset without a response: RST, where a drop has FIN.
    Reset {
        /// Before or after the request was carried out.
        when: Moment,
    },
    /// The request is delayed, then carried out.
    Delay {
        /// How long.
        milliseconds: u64,
    },
    /// The connection is closed without a response.
    Drop {
        /// Before or after the request was carried out.
        when: Moment,
    },
    /// The connection stays open, and no response follows.
    NoAnswer {
        /// Before or after the request was carried out.
        when: Moment,
    },
    /// A literal response, such as a proxy's HTML or truncated JSON. The request isn't carried out.
    Answer {
        /// HTTP status, 200 to 599.
        status: u16,
        /// The `Content-Type` header.
        content_type: String,
        /// The body.
        body: String,
    },
}

/// When a fault happens, relative to the request's execution.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Moment {
    /// Before; the request isn't carried out.
    #[default]
    Before,
    /// After the request was carried out.
    After,
}

impl Act {
    /// An error in Compute Engine's format, instead of carrying the request out.
    pub fn refuse(status: u16, reason: &str) -> Self {
        Self::Refuse {
            status,
            reason: reason.to_owned(),
            message: None,
            retry_after: None,
            when: Moment::Before,
        }
    }

    /// The same after the request was carried out, as if an earlier attempt had succeeded.
    pub fn refuse_after(status: u16, reason: &str) -> Self {
        Self::Refuse {
            status,
            reason: reason.to_owned(),
            message: None,
            retry_after: None,
            when: Moment::After,
        }
    }

    /// An operation that ends with this code.
    pub fn operation_error(code: &str) -> Self {
        Self::OperationError {
            code: code.to_owned(),
            message: None,
        }
    }

    /// An operation that stays RUNNING until the rules change.
    pub fn operation_stuck() -> Self {
        Self::OperationStuck { milliseconds: None }
    }

    /// A slow request.
    pub fn delay_ms(milliseconds: u64) -> Self {
        Self::Delay { milliseconds }
    }

    /// A broken connection.
    pub fn drop(when: Moment) -> Self {
        Self::Drop { when }
    }

    /// A connection that is reset.
    pub fn reset(when: Moment) -> Self {
        Self::Reset { when }
    }

    /// An answer that never comes.
    pub fn no_answer(when: Moment) -> Self {
        Self::NoAnswer { when }
    }

    /// Rejects an act that HTTP can't express.
    ///
    /// # Errors
    /// The field, and what it must be.
    pub fn check(&self) -> Result<(), String> {
        match self {
            Self::Refuse { status, .. } if !(400..=599).contains(status) => Err(format!(
                "act.refuse.status must be from 400 to 599, not {status}"
            )),
            Self::Answer { status, .. } if !(200..=599).contains(status) => Err(format!(
                "act.answer.status must be from 200 to 599, not {status}"
            )),
            Self::Answer { content_type, .. }
                if hyper::header::HeaderValue::from_str(content_type).is_err() =>
            {
                Err("act.answer.content_type is not a valid header value".to_owned())
            }
            _ => Ok(()),
        }
    }
}

/// A rule and its counters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultReport {
    /// The rule.
    pub rule: FaultRule,
    /// Matching requests, including skipped ones.
    pub seen: u64,
    /// Requests that it acted on.
    pub acted: u64,
}

/// A request to the Compute Engine API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoggedRequest {
    /// Numbered from 1 since the daemon started, in order of arrival.
    pub ordinal: u64,
    /// GET, POST, …
    pub method: String,
    /// Without the query.
    pub path: String,
    /// The HTTP status; `None` if there was no response yet, or none at all.
    pub status: Option<u16>,
    /// The index of the fault rule that acted on it.
    pub rule: Option<usize>,
}

/// All rules and their counters, as the admin API returns them.
#[derive(Debug, Serialize, Deserialize)]
pub struct FaultReports {
    /// The rules, in their order.
    pub rules: Vec<FaultReport>,
}

/// A part of the request log, as the admin API returns it.
#[derive(Debug, Serialize, Deserialize)]
pub struct LoggedRequests {
    /// The oldest first.
    pub requests: Vec<LoggedRequest>,
}
