//! Moves the endpoint, and measures its downtime.

use super::Execution;
use crate::gap::GapMeter;
use crate::wait;
use hakube_error::Result;
use hakube_model::{Backend, Endpoint, ReplicaIntent};
use hakube_output::Event;
use hakube_provider::{EndpointSpec, EndpointTarget};
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError};

impl Execution<'_> {
    /// Points the endpoint at `target`, and measures the downtime.
    pub(super) async fn point_endpoint(
        &self,
        spec: &EndpointSpec,
        target: &EndpointTarget,
    ) -> Result<()> {
        self.watch_endpoint().await?;
        let moved = self.means.provider.point_endpoint(spec, target).await;
        let answers = match &moved {
            Ok(()) => self.answers().await,
            Err(_) => Ok(()),
        };
        self.tell_gap().await;
        moved?;
        answers
    }

    /// Waits until the endpoint responds with a certificate of the cluster's CA, and reports the downtime.
    pub(super) async fn await_endpoint(&self) -> Result<()> {
        let answers = match self.intent.spec.endpoint {
            Endpoint::External(at) => self.external_answers(at).await,
            Endpoint::Provider | Endpoint::Machines => self.answers().await,
        };
        self.tell_gap().await;
        answers
    }

    /// Shows the backends that the operator's balancer needs before it waits for them.
    async fn external_answers(&self, endpoint: SocketAddr) -> Result<()> {
        let backends = self.backends().await;
        let words: Vec<String> = backends.iter().map(ToString::to_string).collect();
        let event = Event::Backends { endpoint, backends };
        self.reporter.event(&event);
        self.answers().await.map_err(|error| {
            error.hint(format!(
                "configure your balancer at {endpoint} to forward TCP to {}",
                words.join(", ")
            ))
        })
    }

    async fn backends(&self) -> Vec<Backend> {
        let mut backends = Vec::new();
        for ReplicaIntent { name, .. } in &self.intent.replicas {
            let Some(machine) = self.directory.machine(name) else {
                continue;
            };
            let port = self.intent.spec.api.port;
            let (Some(address), Ok(door)) = (
                machine.internal_address,
                self.means.channel.reach(&machine, port).await,
            ) else {
                continue;
            };
            backends.push(Backend {
                name: name.clone(),
                at: SocketAddr::new(address, port),
                ready: self.means.kubernetes.probe(&door).await.ready,
            });
        }
        backends
    }

    async fn answers(&self) -> Result<()> {
        let endpoint = self.endpoint()?;
        let what = format!("the endpoint https://{endpoint}/readyz");
        wait::until(&what, self.means.timeout, self.means.pace, async || {
            let ready = self.means.kubernetes.is_ready(endpoint).await;
            ready
                .then_some(())
                .ok_or_else(|| "it doesn't return 200".to_owned())
        })
        .await
    }

    /// Starts to measure downtime, if the endpoint responds now.
    pub(super) async fn watch_endpoint(&self) -> Result<()> {
        let endpoint = self.endpoint()?;
        let kubernetes = &self.means.kubernetes;
        let mut meter = self.meter.lock().await;
        if meter.is_none() && kubernetes.is_ready(endpoint).await {
            *meter = Some(GapMeter::start(Arc::clone(kubernetes), endpoint));
        }
        Ok(())
    }

    async fn tell_gap(&self) {
        let Some(meter) = self.meter.lock().await.take() else {
            return;
        };
        let gap = meter.finish().await;
        let mut longest = self.gap.lock().unwrap_or_else(PoisonError::into_inner);
        *longest = Some(longest.unwrap_or_default().max(gap));
        let milliseconds = u64::try_from(gap.as_millis()).unwrap_or(u64::MAX);
        self.reporter.event(&Event::EndpointGap { milliseconds });
    }
}
