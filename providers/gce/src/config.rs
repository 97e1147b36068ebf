//! What a provider is built from.

use hakube_provider::OperationKey;
use std::path::PathBuf;
use std::time::Duration;

/// Where Compute Engine is, as whom it is called, and how often it is asked whether it is done.
#[derive(Debug, Clone)]
pub struct GceConfig {
    /// The project that everything is made in but what `network_project` says.
    pub project: String,
    /// The project of networks, subnetworks and firewall rules. Another one than `project` is the host of a shared
    /// VPC: its networks are used and neither made nor deleted, and rules are made there.
    pub network_project: String,
    /// Whether firewall rules are made at all, and looked for: where others make them, who runs this may not even be
    /// allowed to look.
    pub firewalls: bool,
    /// The region of the endpoint's address, of the balancer and of the subnetwork.
    pub region: String,
    /// Another address of the API, such as `http://127.64.0.1:8780`; `None` is Google's own.
    pub endpoint: Option<String>,
    /// Where Cloud Resource Manager is asked which permissions lack ([`RESOURCE_MANAGER`]); `None`: it isn't.
    pub resource_manager: Option<String>,
    /// As whom calls are made.
    pub auth: Auth,
    /// How often an unfinished operation is asked about.
    pub poll: PollPace,
    /// How long things may take.
    pub patience: Patience,
    /// Which operation of the caller's the calls are made for.
    pub operation: OperationKey,
}

/// Google's own Cloud Resource Manager.
pub const RESOURCE_MANAGER: &str = "https://cloudresourcemanager.googleapis.com";

/// How long things may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// One attempt of a call may go unanswered for so long; then it is sent again.
    pub attempt: Duration,
    /// An operation may run for so long; then the caller is told that it still runs.
    pub operation: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            attempt: Duration::from_secs(30),
            operation: Duration::from_secs(600),
        }
    }
}

/// As whom calls are made.
#[derive(Debug, Clone)]
pub enum Auth {
    /// Google's application default credentials.
    Google(GoogleLogin),
    /// The bearer token in this file, which only its owner may read. It is read for each call, so that a
    /// new token takes effect at once.
    TokenFile(PathBuf),
}

/// Where Google's application default credentials are looked for, in the order of the fields.
///
/// A file may hold a user's login, a service account's key, an impersonated service account or a workload
/// identity. Source of the order: <https://google.aip.dev/auth/4110>.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GoogleLogin {
    /// The file that `$GOOGLE_APPLICATION_CREDENTIALS` names. If there is one, nothing else is tried.
    pub file: Option<PathBuf>,
    /// gcloud's directory, in which `gcloud auth application-default login` leaves its file.
    pub gcloud: Option<PathBuf>,
    /// The metadata server of the machine that this runs on, as a URL; `None` is Compute Engine's own.
    pub metadata: Option<String>,
    /// The service account that is impersonated with what was found.
    pub impersonate: Option<String>,
}

/// How often an unfinished operation is asked about.
///
/// Asking already blocks for up to two minutes on the server's side (`operations.wait`), or for
/// [`Patience::attempt`] if that is shorter, so this paces only what comes back unfinished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PollPace {
    /// The pause after the first answer; it doubles from there.
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
    /// The pause after an answer, by how many came before it.
    pub(crate) fn pause(&self, answers_before: u32) -> Duration {
        let factor = 2_u32.saturating_pow(answers_before);
        self.first.saturating_mul(factor).min(self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let pace = PollPace::default();
        let millis: Vec<u128> = [0, 1, 2, 3, 4, 40]
            .map(|answers| pace.pause(answers).as_millis())
            .to_vec();
        assert_eq!(millis, [500, 1000, 2000, 4000, 5000, 5000]);
    }
}
