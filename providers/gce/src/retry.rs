//! What is retried within one call, and for how long.

use crate::auth::Login;
use crate::config::Patience;
use crate::error::Fault;
use google_cloud_gax::error::Error;
use google_cloud_gax::exponential_backoff::{ExponentialBackoff, ExponentialBackoffBuilder};
use google_cloud_gax::retry_policy::{Aip194Strict, RetryPolicy, RetryPolicyExt};
use google_cloud_gax::retry_result::RetryResult;
use google_cloud_gax::retry_state::RetryState;
use std::time::Duration;

/// The time limit of one call, retries included.
const CALL: Duration = Duration::from_secs(60);

/// The time limit of one `operations.wait`, retries included.
const WAIT: Duration = Duration::from_secs(150);

/// The policy of a call. It ends no later than the timeout of the whole operation.
pub(crate) fn policy(login: Login, patience: Patience) -> impl RetryPolicy + 'static {
    limited(Silence::AskAgain, CALL.min(patience.operation), login)
}

/// The policy of `operations.wait`. A timeout is a valid result there: the operation isn't done.
pub(crate) fn wait_policy(login: Login, patience: Patience) -> impl RetryPolicy + 'static {
    limited(Silence::TellCaller, WAIT.min(patience.operation), login)
}

fn limited(silence: Silence, limit: Duration, login: Login) -> impl RetryPolicy + 'static {
    let policy = Policy { silence };
    Renewing { policy, login }
        .with_attempt_limit(8)
        .with_time_limit(limit)
}

/// The number of attempts to connect to an endpoint that refuses connections.
const CONNECTS: u32 = 3;

/// The number of attempts that may return a garbled response.
const GARBLED: u32 = 3;

/// The number of tokens to try.
const TOKENS: u32 = 2;

/// The pause between attempts: from 200 ms to 10 s, with jitter.
pub(crate) fn backoff() -> ExponentialBackoff {
    ExponentialBackoffBuilder::new()
        .with_initial_delay(Duration::from_millis(200))
        .with_maximum_delay(Duration::from_secs(10))
        .clamp()
}

/// AIP-194, extended for Compute Engine. It reports an exceeded rate limit with 403
/// `rateLimitExceeded` as well as 429, and its front ends return transient 500, 502 and 504.
#[derive(Debug)]
struct Policy {
    silence: Silence,
}

/// Adds one retry with a new token, in case a token is refused before it expires.
#[derive(Debug)]
struct Renewing {
    policy: Policy,
    login: Login,
}

impl RetryPolicy for Renewing {
    fn on_error(&self, state: &RetryState, error: Error) -> RetryResult {
        // A refused call has had no effect, so it can always be retried.
        if error.http_status_code() == Some(401) && state.attempt_count < TOKENS {
            self.login.refused();
            return RetryResult::Continue(error);
        }
        self.policy.on_error(state, error)
    }
}

/// What to do when an attempt times out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Silence {
    AskAgain,
    TellCaller,
}

impl RetryPolicy for Policy {
    fn on_error(&self, state: &RetryState, error: Error) -> RetryResult {
        if error.is_connect() && state.attempt_count >= CONNECTS {
            return RetryResult::Exhausted(error);
        }
        // AIP-194 gives up, because the server may have acted. That's fine here: it recognizes a
        // repeated request.
        if error.is_timeout() {
            return match self.silence {
                Silence::AskAgain if state.idempotent => RetryResult::Continue(error),
                _ => RetryResult::Exhausted(error),
            };
        }
        // A truncated response may be complete next time; a proxy's page stays.
        if error.is_deserialization() && state.idempotent {
            return match state.attempt_count {
                count if count < GARBLED => RetryResult::Continue(error),
                _ => RetryResult::Exhausted(error),
            };
        }
        let fault = Fault::from(&error);
        let front_end = matches!(fault.status, Some(500 | 502 | 504));
        if fault.is_rate_limit() || (front_end && state.idempotent) {
            return RetryResult::Continue(error);
        }
        Aip194Strict.on_error(state, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::tests::answer;

    const POLICY: Policy = Policy {
        silence: Silence::AskAgain,
    };

    #[test]
    fn only_transient_failures_are_retried() {
        for (status, reason, idempotent, again) in [
            (403, "rateLimitExceeded", false, true),
            (403, "RATE_LIMIT_EXCEEDED", false, true),
            (429, "", false, true),
            (503, "backendError", true, true),
            (503, "backendError", false, false),
            (500, "internalError", true, true),
            (500, "internalError", false, false),
            (403, "quotaExceeded", true, false),
            (403, "forbidden", true, false),
            (404, "notFound", true, false),
            (409, "alreadyExists", true, false),
            (501, "notImplemented", true, false),
        ] {
            let state = RetryState::new(idempotent);
            let decision = POLICY.on_error(&state, answer(status, reason, "words"));
            assert_eq!(
                decision.is_continue(),
                again,
                "{status} {reason} idempotent={idempotent}"
            );
        }
    }

    #[test]
    fn a_timeout_is_retried_if_that_is_safe() {
        let silence = || Error::timeout(std::io::Error::other("no answer"));
        let on_error =
            |policy: &Policy, idempotent| policy.on_error(&RetryState::new(idempotent), silence());
        assert!(on_error(&POLICY, true).is_continue());
        assert!(on_error(&POLICY, false).is_exhausted());
        let wait = Policy {
            silence: Silence::TellCaller,
        };
        assert!(on_error(&wait, true).is_exhausted());
    }

    #[test]
    fn a_garbled_response_is_retried() {
        let garbled = || Error::deser("expected value at line 1 column 1");
        let on_error = |idempotent| POLICY.on_error(&RetryState::new(idempotent), garbled());
        assert!(on_error(true).is_continue());
        assert!(on_error(false).is_permanent());
    }

    #[test]
    fn a_refused_connection_is_tried_three_times() {
        let refused = || Error::connect(std::io::Error::other("connection refused"));
        let state = RetryState::new(false);
        let second = state.clone().set_attempt_count(2_u32);
        assert!(POLICY.on_error(&second, refused()).is_continue());
        let third = state.set_attempt_count(3_u32);
        assert!(POLICY.on_error(&third, refused()).is_exhausted());
    }
}
