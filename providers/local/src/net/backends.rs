//! What is behind a forwarding rule: the instances of a backend service or of a target pool, and how their health
//! is told.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use super::desired::Probe;
use crate::compute::backend_service::BackendService;
use crate::compute::forwarding_rule::ForwardingRule;
use crate::compute::health_check::{HealthCheck, Protocol, Timing};
use crate::compute::instance::{Instance, Status};
use crate::compute::legacy_health_check::HttpHealthCheck;
use crate::compute::resource::{Resource as _, Target};
use crate::compute::scope::Key;
use crate::compute::target_pool::TargetPool;
use crate::store::State;

/// The backends of a rule.
pub struct Backends<'a> {
    /// The service or the pool.
    pub of: Target,
    /// Those that run.
    pub running: Vec<Backend<'a>>,
    /// How their health is told; without that, all count as healthy.
    pub check: Option<Check>,
}

/// One of them.
pub struct Backend<'a> {
    pub key: Key,
    pub instance: &'a Instance,
    pub internal: Ipv4Addr,
}

/// A health check of whatever kind.
pub struct Check {
    pub port: u16,
    protocol: Protocol,
    path: String,
    host: String,
    timing: Timing,
}

impl<'a> Backends<'a> {
    /// Those of a rule; none when what it leads to isn't there.
    pub fn of(state: &'a State, rule: &ForwardingRule) -> Option<Self> {
        let of = rule.destination()?;
        let (running, check) = if of.kind == TargetPool::TYPE {
            let pool = &state.target_pools.get(&of.key)?.resource;
            let check = pool.health_check(state).and_then(Check::legacy);
            (running(pool.members(state)), check)
        } else {
            let service: &BackendService = &state.backend_services.get(&of.key)?.resource;
            // It can't be without one.
            let check = Check::of(service.health_check(state)?)?;
            (running(service.members(state)), Some(check))
        };
        Some(Self { of, running, check })
    }
}

fn running<'a>(members: impl Iterator<Item = (Key, &'a Instance)>) -> Vec<Backend<'a>> {
    members
        .filter(|(_, instance)| instance.status == Status::Running)
        .filter_map(|(key, instance)| {
            let internal = instance.internal_ip()?;
            Some(Backend {
                key,
                instance,
                internal,
            })
        })
        .collect()
}

impl Check {
    fn of(check: &HealthCheck) -> Option<Self> {
        let target = check.target();
        Some(Self {
            port: target.port?,
            protocol: check.protocol,
            path: target.request_path.unwrap_or_default(),
            host: target.host,
            timing: check.timing.clone(),
        })
    }

    fn legacy(check: &HttpHealthCheck) -> Option<Self> {
        let question = &check.question;
        Some(Self {
            port: question.port?,
            protocol: Protocol::Http,
            path: question.request_path.clone(),
            host: question.host.clone(),
            timing: question.timing.clone(),
        })
    }

    /// How one backend is asked.
    pub fn probe(&self, internal: Ipv4Addr, admitted: bool) -> Probe {
        Probe {
            address: SocketAddrV4::new(internal, self.port),
            protocol: self.protocol,
            path: self.path.clone(),
            host: self.host.clone(),
            interval: Duration::from_secs(self.timing.check_interval_sec.into()),
            timeout: Duration::from_secs(self.timing.timeout_sec.into()),
            healthy_after: self.timing.healthy_threshold,
            unhealthy_after: self.timing.unhealthy_threshold,
            admitted,
        }
    }
}
