//! A fault rule, as data: which requests, and what becomes of them.

use serde::{Deserialize, Serialize};

/// Which requests fail, and how. Only the Compute Engine API fails, never the admin API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultRule {
    /// The method; any when it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// A regular expression, looked for anywhere in the path, which starts with `/compute/v1/` and has
    /// no query. Any path when it is empty.
    #[serde(default)]
    pub path: String,
    /// How many requests that match are let through first.
    #[serde(default)]
    pub skip: u64,
    /// How many fail then; all when it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
    /// What becomes of them.
    pub act: Act,
}

impl FaultRule {
    /// Every request with this method and a path like this.
    pub fn on(method: &str, path: impl Into<String>, act: Act) -> Self {
        Self {
            method: Some(method.to_owned()),
            ..Self::on_any(path, act)
        }
    }

    /// Every request with a path like this.
    pub fn on_any(path: impl Into<String>, act: Act) -> Self {
        Self {
            method: None,
            path: path.into(),
            skip: 0,
            times: None,
            act,
        }
    }

    /// Lets so many through first.
    #[must_use]
    pub fn skip(mut self, skip: u64) -> Self {
        self.skip = skip;
        self
    }

    /// Lets no more than so many fail.
    #[must_use]
    pub fn times(mut self, times: u64) -> Self {
        self.times = Some(times);
        self
    }
}

/// What becomes of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Act {
    /// An error in Compute Engine's shape.
    Refuse {
        /// HTTP status, 400 to 599.
        status: u16,
        /// `rateLimitExceeded`, `quotaExceeded`, …
        reason: String,
        /// For people; something plain when it is absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<String>,
        /// The `Retry-After` header, in seconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after: Option<u64>,
        /// Whether the request is carried out all the same: before, nothing happens.
        #[serde(default)]
        when: Moment,
    },
    /// The operation that the request begins ends with an error, and nothing has changed. A request
    /// that begins none is served as ever.
    OperationError {
        /// `ZONE_RESOURCE_POOL_EXHAUSTED`, `QUOTA_EXCEEDED`, …
        code: String,
        /// For people; something plain when it is absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<String>,
    },
    /// The operation that the request begins stays RUNNING.
    OperationStuck {
        /// For so long; until the rules are changed when it is absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        milliseconds: Option<u64>,
    },
    /// The connection is reset, without an answer: RST where a drop has FIN.
    Reset {
        /// Before or after the request was carried out.
        when: Moment,
    },
    /// The request waits, and is carried out then.
    Delay {
        /// How long.
        milliseconds: u64,
    },
    /// The connection ends without an answer.
    Drop {
        /// Before or after the request was carried out.
        when: Moment,
    },
    /// The connection stays open, and no answer comes.
    NoAnswer {
        /// Before or after the request was carried out.
        when: Moment,
    },
    /// An answer word for word: HTML of a proxy, JSON that ends in the middle. The request isn't carried
    /// out.
    Answer {
        /// HTTP status, 200 to 599.
        status: u16,
        /// The `Content-Type` header.
        content_type: String,
        /// What comes instead.
        body: String,
    },
}

/// Around the point at which a request is carried out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Moment {
    /// It isn't.
    #[default]
    Before,
    /// It was.
    After,
}

impl Act {
    /// An error in Compute Engine's shape, instead of carrying the request out.
    pub fn refuse(status: u16, reason: &str) -> Self {
        Self::Refuse {
            status,
            reason: reason.to_owned(),
            message: None,
            retry_after: None,
            when: Moment::Before,
        }
    }

    /// The same after the request was carried out: an earlier attempt of the caller's had come through.
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

    /// Whether HTTP can carry it, and why not.
    pub(super) fn check(&self) -> Result<(), String> {
        match self {
            Self::Refuse { status, .. } if !(400..=599).contains(status) => Err(format!(
                "act.refuse.status must be from 400 to 599, not {status}"
            )),
            Self::Answer { status, .. } if !(200..=599).contains(status) => Err(format!(
                "act.answer.status must be from 200 to 599, not {status}"
            )),
            Self::Answer { content_type, .. }
                if axum::http::HeaderValue::from_str(content_type).is_err() =>
            {
                Err("act.answer.content_type is no header value".to_owned())
            }
            _ => Ok(()),
        }
    }
}

/// A rule and what it did so far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultReport {
    /// The rule.
    pub rule: FaultRule,
    /// Requests that matched, those that were skipped included.
    pub seen: u64,
    /// Requests that it acted on.
    pub acted: u64,
}
