//! The provider's configuration.

use hakube_provider::OperationKey;
use std::path::PathBuf;
use std::time::Duration;

/// Compute Engine's location, credentials and timing.
#[derive(Debug, Clone)]
pub struct GceConfig {
    /// The project of all resources, except those in `network_project`.
    pub project: String,
    /// The project of networks, subnetworks and firewall rules. If it isn't `project`, it is the
    /// host project of a Shared VPC: its networks are used, but never created or deleted. Firewall
    /// rules are created there.
    pub network_project: String,
    /// Whether firewall rules are created and inspected. If others manage them, the operator may
    /// not even have permission to read them.
    pub firewalls: bool,
    /// The region of the endpoint's address, the balancer and the subnetwork.
    pub region: String,
    /// Another URL of the API, such as `http://127.64.0.1:8780`; `None` is Google's.
    pub endpoint: Option<String>,
    /// The Cloud Resource Manager to query for missing permissions ([`RESOURCE_MANAGER`]); `None`
    /// skips the check.
    pub resource_manager: Option<String>,
    /// The credentials.
    pub auth: Auth,
    /// How often to poll an unfinished operation.
    pub poll: PollPace,
    /// Timeouts.
    pub patience: Patience,
    /// The caller's operation that the calls belong to.
    pub operation: OperationKey,
}

/// Google's Cloud Resource Manager.
pub const RESOURCE_MANAGER: &str = "https://cloudresourcemanager.googleapis.com";

/// Timeouts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// For one attempt of a call; then the call is retried.
    pub attempt: Duration,
    /// For an operation; then the caller gets an error saying that it still runs.
    pub operation: Duration,
}

impl Patience {
    /// One attempt's timeout: at most the operation's.
    pub(crate) fn of_attempt(self) -> Duration {
        self.attempt.min(self.operation)
    }
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            attempt: Duration::from_secs(30),
            operation: Duration::from_secs(600),
        }
    }
}

/// Credentials.
#[derive(Debug, Clone)]
pub enum Auth {
    /// Google's application default credentials.
    Google(GoogleLogin),
    /// The bearer token in this file, which only its owner may read. It is read for each call, so a
    /// new token takes effect at once.
    TokenFile(PathBuf),
}

/// The sources of Google's application default credentials, in the order of the fields.
///
/// A file may contain a user's login, a service account's key, an impersonated service account or a
/// workload identity. Source of the order: <https://google.aip.dev/auth/4110>.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GoogleLogin {
    /// The file in `$GOOGLE_APPLICATION_CREDENTIALS`. If set, no other source is tried.
    pub file: Option<PathBuf>,
    /// gcloud's directory, where `gcloud auth application-default login` writes its file.
    pub gcloud: Option<PathBuf>,
    /// This machine's metadata server, as a URL; `None` is Compute Engine's.
    pub metadata: Option<String>,
    /// The service account to impersonate.
    pub impersonate: Option<String>,
}

/// How often to poll an unfinished operation.
///
/// `operations.wait` itself blocks for up to two minutes on the server, or for
/// [`Patience::attempt`] if that is shorter. So this is only the pause between those calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PollPace {
    /// The pause after the first response. It doubles after each further one.
    pub first: Duration,
    /// The longest pause.
    pub max: Duration,
}

impl Default for PollPace {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(500),
            max: Duration::from_secs(5),
        }
    }
}

impl PollPace {
    /// The pause after a response, given the number of earlier ones.
    pub(crate) fn pause(&self, earlier: u32) -> Duration {
        let factor = 2_u32.saturating_pow(earlier);
        self.first.saturating_mul(factor).min(self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_maximum() {
        let pace = PollPace::default();
        let millis: Vec<u128> = [0, 1, 2, 3, 4, 40]
            .map(|earlier| pace.pause(earlier).as_millis())
            .to_vec();
        assert_eq!(millis, [500, 1000, 2000, 4000, 5000, 5000]);
    }
}
