//! The endpoint's address moves, and what that cost its clients.

use super::Execution;
use crate::error::Result;
use crate::kubernetes::socket;
use crate::output::Event;
use crate::run::gap::GapMeter;
use crate::run::wait;
use hakube_provider::{EndpointSpec, EndpointTarget};
use std::sync::{Arc, PoisonError};

impl Execution<'_> {
    /// The swap, with a prober on the endpoint from before it until after it.
    pub(super) async fn point_endpoint(
        &self,
        spec: &EndpointSpec,
        target: &EndpointTarget,
    ) -> Result<()> {
        let endpoint = socket(self.endpoint_address()?, spec.port);
        let kubernetes = &self.means.kubernetes;
        let meter = kubernetes
            .is_ready(endpoint)
            .await
            .then(|| GapMeter::start(Arc::clone(kubernetes), endpoint));
        let moved = self.means.provider.point_endpoint(spec, target).await;
        let answers = match &moved {
            Ok(()) => self.await_endpoint().await,
            Err(_) => Ok(()),
        };
        if let Some(meter) = meter {
            let gap = meter.finish().await;
            let mut longest = self.gap.lock().unwrap_or_else(PoisonError::into_inner);
            *longest = Some(longest.unwrap_or_default().max(gap));
            let milliseconds = u64::try_from(gap.as_millis()).unwrap_or(u64::MAX);
            self.reporter.event(&Event::EndpointGap { milliseconds });
        }
        moved?;
        answers
    }

    /// Clients get an answer that the cluster's CA vouches for.
    pub(super) async fn await_endpoint(&self) -> Result<()> {
        let endpoint = socket(self.endpoint_address()?, self.intent.spec.api.port);
        let what = format!("the endpoint https://{endpoint}/readyz");
        wait::until(&what, self.means.timeout, self.means.pace, async || {
            let ready = self.means.kubernetes.is_ready(endpoint).await;
            ready
                .then_some(())
                .ok_or_else(|| "it doesn't answer 200".to_owned())
        })
        .await
    }
}
