//! What is retried inside one call, and for how long.

use crate::auth::Login;
use crate::error::Fault;
use google_cloud_gax::error::Error;
use google_cloud_gax::exponential_backoff::{ExponentialBackoff, ExponentialBackoffBuilder};
use google_cloud_gax::retry_policy::{Aip194Strict, RetryPolicy, RetryPolicyExt};
use google_cloud_gax::retry_result::RetryResult;
use google_cloud_gax::retry_state::RetryState;
use std::time::Duration;

/// How long one call may take, its retries included.
const CALL: Duration = Duration::from_secs(60);

/// How long one `operations.wait` may take, its retries included.
const WAIT: Duration = Duration::from_secs(150);

/// The policy for a call.
pub(crate) fn policy(login: Login) -> impl RetryPolicy + 'static {
    limited(Silence::AskAgain, CALL, login)
}

/// The policy for `operations.wait`, to which no answer is as good as one: the operation isn't done.
pub(crate) fn wait_policy(login: Login) -> impl RetryPolicy + 'static {
    limited(Silence::TellCaller, WAIT, login)
}

fn limited(silence: Silence, limit: Duration, login: Login) -> impl RetryPolicy + 'static {
    let policy = Policy { silence };
    Renewing { policy, login }
        .with_attempt_limit(8)
        .with_time_limit(limit)
}

/// How often an endpoint is tried that nobody listens at.
const CONNECTS: u32 = 3;

/// How often an answer may be none.
const GARBLED: u32 = 3;

/// With how many tokens a call is tried.
const TOKENS: u32 = 2;

/// The pause between attempts: from 200 ms to 10 s, with jitter.
pub(crate) fn backoff() -> ExponentialBackoff {
    ExponentialBackoffBuilder::new()
        .with_initial_delay(Duration::from_millis(200))
        .with_maximum_delay(Duration::from_secs(10))
        .clamp()
}

/// AIP-194, and what Compute Engine adds to it: it says 403 `rateLimitExceeded` as well as 429 to a
/// caller who is too fast, and its front ends answer 500, 502 and 504 for a moment of their own.
#[derive(Debug)]
struct Policy {
    silence: Silence,
}

/// The policy, for calls whose token may be refused before its time: once more, with another token.
#[derive(Debug)]
struct Renewing {
    policy: Policy,
    login: Login,
}

impl RetryPolicy for Renewing {
    fn on_error(&self, state: &RetryState, error: Error) -> RetryResult {
        // A refused call did nothing, whatever it was.
        if error.http_status_code() == Some(401) && state.attempt_count < TOKENS {
            self.login.refused();
            return RetryResult::Continue(error);
        }
        self.policy.on_error(state, error)
    }
}

/// What follows when an attempt isn't answered in its time.
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
        // AIP-194 gives such a call up: the server may have acted. It may, and knows the request again.
        if error.is_timeout() {
            return match self.silence {
                Silence::AskAgain if state.idempotent => RetryResult::Continue(error),
                _ => RetryResult::Exhausted(error),
            };
        }
        // Half an answer may be whole the next time; a proxy's page in its place stays.
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
    fn what_passes_is_tried_again_and_what_stays_is_not() {
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
    fn silence_is_asked_again_where_that_is_safe() {
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
    fn an_answer_that_can_not_be_read_is_asked_for_again() {
        let garbled = || Error::deser("expected value at line 1 column 1");
        let on_error = |idempotent| POLICY.on_error(&RetryState::new(idempotent), garbled());
        assert!(on_error(true).is_continue());
        assert!(on_error(false).is_permanent());
    }

    #[test]
    fn where_nobody_listens_three_attempts_are_enough() {
        let refused = || Error::connect(std::io::Error::other("connection refused"));
        let state = RetryState::new(false);
        let second = state.clone().set_attempt_count(2_u32);
        assert!(POLICY.on_error(&second, refused()).is_continue());
        let third = state.set_attempt_count(3_u32);
        assert!(POLICY.on_error(&third, refused()).is_exhausted());
    }
}
