//! Measures how long the endpoint is down while its address moves.

use hakube_kubernetes::Kubernetes;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Between two probes.
const PACE: Duration = Duration::from_millis(5);
/// A probe that takes longer failed, so that a packet lost in the swap doesn't hide the swap's end.
const PATIENCE: Duration = Duration::from_millis(500);

/// Probes an endpoint until it is stopped.
pub struct GapMeter {
    stop: CancellationToken,
    probes: JoinHandle<Duration>,
}

impl GapMeter {
    /// Starts probing.
    pub fn start(kubernetes: Arc<dyn Kubernetes>, endpoint: SocketAddr) -> Self {
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let probes = tokio::spawn(async move {
            let mut gap = Gap::default();
            while !stopped.is_cancelled() {
                let probe = tokio::time::timeout(PATIENCE, kubernetes.is_ready(endpoint));
                let answered = probe.await.unwrap_or(false);
                gap.record(Instant::now(), answered);
                tokio::time::sleep(PACE).await;
            }
            gap.longest
        });
        Self { stop, probes }
    }

    /// Stops, and returns the longest time between two successes with failures in between.
    pub async fn finish(mut self) -> Duration {
        self.stop.cancel();
        (&mut self.probes).await.unwrap_or_default()
    }
}

/// Stops the probes if the step failed.
impl Drop for GapMeter {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// The longest time between two successes with failures in between.
#[derive(Debug, Default)]
struct Gap {
    last_answer: Option<Instant>,
    failing: bool,
    longest: Duration,
}

impl Gap {
    fn record(&mut self, at: Instant, answered: bool) {
        if !answered {
            self.failing = true;
            return;
        }
        if let (true, Some(last)) = (self.failing, self.last_answer) {
            self.longest = self.longest.max(at.duration_since(last));
        }
        self.failing = false;
        self.last_answer = Some(at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_time_with_a_failure_in_it_is_a_gap() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut gap = Gap::default();
        for (ms, answered) in [
            (0, false),
            (10, true),
            (300, true),
            (310, false),
            (340, false),
            (350, true),
        ] {
            gap.record(at(ms), answered);
        }
        assert_eq!(gap.longest, Duration::from_millis(50));
    }
}
