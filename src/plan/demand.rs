//! What a plan asks of the provider, for the preflight.

use super::{Action, Plan};
use hakube_provider::{EndpointTarget, PreflightSpec};

impl Plan {
    /// Everything that the plan will make.
    pub fn demand(&self) -> PreflightSpec {
        let mut demand = PreflightSpec::default();
        for step in &self.steps {
            match &step.action {
                Action::EnsureNetwork(spec) => demand.networks.push(spec.clone()),
                Action::EnsureFirewall(spec) => demand.firewalls.push(spec.clone()),
                Action::ReserveAddress(spec) => demand.addresses.push(spec.clone()),
                Action::EnsureMachine(spec) => demand.machines.push(spec.clone()),
                Action::EnsureNodeGroup(spec) => demand.node_groups.push(spec.clone()),
                Action::EnsureBalancer(spec) => demand.balancers.push(spec.clone()),
                Action::PointEndpoint {
                    endpoint,
                    target: EndpointTarget::Balancer,
                } => demand.rules.push(endpoint.clone()),
                _ => {}
            }
        }
        demand
    }
}
