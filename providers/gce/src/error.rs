//! Maps Compute Engine's failures to [`hakube_provider`]'s.
//!
//! A failure arrives as an HTTP response, as an operation's error, or as a missing response. All
//! three become a [`Fault`], whose meaning is decided in one place. Reasons have two spellings
//! (`quotaExceeded`, `QUOTA_EXCEEDED`). Both are normalized to the second.

use google_cloud_compute_v1::errors::OperationError;
use google_cloud_gax::error::Error;
use google_cloud_gax::error::rpc::StatusDetails;
use hakube_provider::{ErrorKind, Failure};
use std::borrow::Cow;
use std::time::Duration;

/// A failure from Compute Engine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Fault {
    /// The HTTP status of the response or the operation; `None` without a response.
    pub(crate) status: Option<u16>,
    /// The first reason, in `UPPER_SNAKE`.
    pub(crate) reason: Option<String>,
    pub(crate) message: String,
    /// The requested pause.
    pub(crate) retry_after: Option<Duration>,
    /// Why there is no valid response.
    pub(crate) unanswered: Option<Unanswered>,
}

/// Why there is no valid response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unanswered {
    /// No connection, a broken connection, or a timeout.
    Network,
    /// A truncated response, or one that isn't Compute Engine's.
    Garbled,
    /// No credentials for the request.
    Credentials {
        /// Whether a retry may succeed.
        transient: bool,
    },
}

impl Fault {
    /// Whether the rate limit was exceeded.
    pub(crate) fn is_rate_limit(&self) -> bool {
        self.status == Some(429)
            || self.reason.as_deref().is_some_and(|reason| {
                matches!(reason, "RATE_LIMIT_EXCEEDED" | "USER_RATE_LIMIT_EXCEEDED")
            })
    }

    /// Whether the resource doesn't exist.
    pub(crate) fn is_not_found(&self) -> bool {
        self.status == Some(404)
    }

    /// Whether the resource already exists.
    pub(crate) fn is_already_exists(&self) -> bool {
        self.reason
            .as_deref()
            .is_some_and(|reason| matches!(reason, "ALREADY_EXISTS" | "RESOURCE_ALREADY_EXISTS"))
    }

    /// Whether the call's fingerprint is stale: the resource has changed since it was read.
    pub(crate) fn is_stale(&self) -> bool {
        self.status == Some(412) && self.constraint().is_none()
    }

    /// The organization policy constraint that forbids the call. Compute Engine uses the same
    /// status and reason for a stale fingerprint. Only the message differs: `Constraint
    /// constraints/compute.vmExternalIpAccess violated for project 123`.
    /// Source:
    /// <https://cloud.google.com/resource-manager/docs/organization-policy/org-policy-constraints>
    fn constraint(&self) -> Option<&str> {
        let is_condition =
            self.status == Some(412) || self.reason.as_deref() == Some("CONDITION_NOT_MET");
        constraint_in(&self.message).filter(|_| is_condition)
    }

    fn transient(&self) -> ErrorKind {
        ErrorKind::Transient {
            retry_after: self.retry_after,
        }
    }

    fn kind_by_reason(&self) -> Option<ErrorKind> {
        let kind = match self.reason.as_deref()? {
            "ALREADY_EXISTS" | "RESOURCE_ALREADY_EXISTS" => ErrorKind::Conflict,
            "QUOTA_EXCEEDED" | "LIMIT_EXCEEDED" | "CPUS_ALL_REGIONS_EXCEEDED" => ErrorKind::Quota,
            reason if is_capacity(reason) => ErrorKind::NoCapacity,
            "RESOURCE_IN_USE_BY_ANOTHER_RESOURCE"
            | "RESOURCE_NOT_READY"
            // The resource changed since it was read. The next call reads it again.
            | "CONDITION_NOT_MET"
            | "RESOURCE_OPERATION_RATE_EXCEEDED"
            | "OPERATION_CANCELED_BY_USER"
            | "BACKEND_ERROR"
            | "INTERNAL_ERROR"
            | "SERVICE_UNAVAILABLE" => self.transient(),
            "ACCESS_NOT_CONFIGURED"
            | "SERVICE_DISABLED"
            | "BILLING_DISABLED"
            | "FORBIDDEN"
            | "IAM_PERMISSION_DENIED"
            | "PERMISSIONS_ERROR"
            | "INSUFFICIENT_PERMISSIONS"
            | "ACCESS_TOKEN_SCOPE_INSUFFICIENT"
            | "AUTH_ERROR" => ErrorKind::Denied,
            _ => return None,
        };
        Some(kind)
    }

    fn kind_by_status(&self) -> ErrorKind {
        match (self.status, self.unanswered) {
            (Some(400 | 404), _) => ErrorKind::Invalid,
            (Some(401 | 403), _) => ErrorKind::Denied,
            (Some(409 | 412), _) => ErrorKind::Conflict,
            (Some(501), _) => ErrorKind::Fatal,
            (Some(408 | 500..=599), _) => self.transient(),
            (
                _,
                Some(
                    Unanswered::Network
                    | Unanswered::Garbled
                    | Unanswered::Credentials { transient: true },
                ),
            ) => self.transient(),
            (_, Some(Unanswered::Credentials { transient: false })) => ErrorKind::Denied,
            _ => ErrorKind::Fatal,
        }
    }
}

impl Failure for Fault {
    fn kind(&self) -> ErrorKind {
        if self.is_rate_limit() {
            return self.transient();
        }
        // An address stays in use for a moment after its release.
        if self.message.contains("IP address is in-use") {
            return self.transient();
        }
        if self.constraint().is_some() {
            return ErrorKind::Denied;
        }
        self.kind_by_reason()
            .unwrap_or_else(|| self.kind_by_status())
    }

    fn words(&self) -> String {
        match (&self.reason, self.status) {
            (Some(reason), _) => format!("{} ({reason})", self.message),
            (None, Some(status)) => format!("{} (HTTP {status})", self.message),
            (None, None) => self.message.clone(),
        }
    }

    fn hint(&self) -> Option<Cow<'static, str>> {
        match self.constraint() {
            Some(constraint) => Some(Cow::Owned(policy_hint(constraint))),
            None => self.usual_hint().map(Cow::Borrowed),
        }
    }
}

/// The organization policy constraint that a message names.
pub(crate) fn constraint_in(message: &str) -> Option<&str> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/');
    message
        .split(|c| !is_name(c))
        .filter_map(|word| {
            let custom = word.strip_prefix("customConstraints/");
            custom.or_else(|| word.strip_prefix("constraints/"))
        })
        .map(|name| name.trim_end_matches('.'))
        .find(|name| !name.is_empty())
}

/// The hint for an organization policy.
fn policy_hint(constraint: &str) -> String {
    let otherwise = format!(
        "ask the organization's administrators; to see the policy, run `gcloud org-policies describe {constraint} \
         --effective --project PROJECT`"
    );
    if constraint == "compute.vmExternalIpAccess" {
        return format!(
            "set KUBE_GCE_PRIVATE_CLUSTER=true for a cluster without external addresses; or {otherwise}"
        );
    }
    otherwise
}

impl Fault {
    /// The hint for failures other than an organization policy.
    fn usual_hint(&self) -> Option<&'static str> {
        if self.unanswered == Some(Unanswered::Garbled) {
            return Some(
                "check that the endpoint is Compute Engine's, and that no proxy responds in its place",
            );
        }
        let hint = match self.kind() {
            ErrorKind::Quota => {
                "request more at https://console.cloud.google.com/iam-admin/quotas, or use fewer or smaller machines"
            }
            ErrorKind::NoCapacity => {
                "use another zone of the region or another machine type, or retry later"
            }
            ErrorKind::Denied => match self.reason.as_deref() {
                Some("ACCESS_NOT_CONFIGURED" | "SERVICE_DISABLED") => {
                    "run `gcloud services enable compute.googleapis.com`, then wait a minute or two"
                }
                Some("BILLING_DISABLED") => {
                    "link the project to a billing account: https://console.cloud.google.com/billing/projects"
                }
                _ if self.status == Some(403) => {
                    "the account needs roles/compute.admin in the project, and roles/iam.serviceAccountUser on the machines' service account"
                }
                _ => {
                    "run `gcloud auth application-default login`, or check that the token file is the right one"
                }
            },
            _ => return None,
        };
        Some(hint)
    }
}

fn is_capacity(reason: &str) -> bool {
    reason.starts_with("ZONE_RESOURCE_POOL_EXHAUSTED")
        || reason.starts_with("REGION_RESOURCE_POOL_EXHAUSTED")
        || reason.starts_with("RESOURCE_POOL_EXHAUSTED")
        || reason == "STOCKOUT"
}

/// Normalizes `quotaExceeded` to `QUOTA_EXCEEDED`.
fn upper_snake(reason: &str) -> String {
    if !reason.chars().any(|c| c.is_ascii_lowercase()) {
        return reason.to_owned();
    }
    let mut upper = String::with_capacity(reason.len() + 4);
    for (index, c) in reason.chars().enumerate() {
        if c.is_ascii_uppercase() && index > 0 {
            upper.push('_');
        }
        upper.push(c.to_ascii_uppercase());
    }
    upper
}

impl From<&Error> for Fault {
    fn from(error: &Error) -> Self {
        let error = most_specific(error);
        let status = error.status();
        let reason = status.and_then(|status| {
            status.details.iter().find_map(|detail| match detail {
                StatusDetails::ErrorInfo(info) if !info.reason.is_empty() => {
                    Some(upper_snake(&info.reason))
                }
                _ => None,
            })
        });
        let message = match (status, error.http_payload()) {
            (Some(status), _) if !status.message.is_empty() => status.message.clone(),
            (None, Some(payload)) if !payload.is_empty() => {
                String::from_utf8_lossy(payload).chars().take(300).collect()
            }
            _ => sentence(error),
        };
        let retry_after = error
            .http_headers()
            .and_then(|headers| headers.get(http::header::RETRY_AFTER)?.to_str().ok())
            .and_then(|seconds| seconds.parse().ok())
            .map(Duration::from_secs);
        let unanswered = if error.is_authentication() {
            Some(Unanswered::Credentials {
                transient: error.is_transient_and_before_rpc(),
            })
        } else if error.is_deserialization() {
            Some(Unanswered::Garbled)
        } else if error.is_io() || error.is_connect() || error.is_timeout() || error.is_exhausted()
        {
            Some(Unanswered::Network)
        } else {
            None
        };
        Self {
            status: error.http_status_code(),
            reason,
            message,
            retry_after,
            unanswered,
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::from(&error)
    }
}

impl From<OperationError> for Fault {
    fn from(error: OperationError) -> Self {
        let OperationError::Generic(error) = error else {
            return Self {
                message: error.to_string(),
                ..Self::default()
            };
        };
        let errors = error.details.map(|details| details.errors);
        let errors = errors.unwrap_or_default();
        let messages: Vec<&str> = errors
            .iter()
            .filter_map(|error| error.message.as_deref())
            .collect();
        let message = if messages.is_empty() {
            error
                .message
                .unwrap_or_else(|| "the operation failed without a message".to_owned())
        } else {
            messages.join("; ")
        };
        Self {
            status: error.status_code.and_then(|code| u16::try_from(code).ok()),
            reason: errors
                .iter()
                .find_map(|error| error.code.as_deref())
                .map(upper_snake),
            message,
            ..Self::default()
        }
    }
}

/// The most specific error: a retry loop that gave up wraps the last response. For failed
/// credentials, the outermost error names them.
fn most_specific(error: &Error) -> &Error {
    let mut best = error;
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source.filter(|_| !best.is_authentication()) {
        if let Some(inner) = cause.downcast_ref::<Error>() {
            best = inner;
        }
        source = cause.source();
    }
    best
}

/// An error and its causes, on one line.
pub(crate) fn sentence(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_words = cause.to_string();
        if !words.contains(&cause_words) {
            words.push_str(": ");
            words.push_str(&cause_words);
        }
        source = cause.source();
    }
    words
}

#[cfg(test)]
pub(crate) mod tests;
