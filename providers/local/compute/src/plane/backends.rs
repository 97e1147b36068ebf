//! The backends of a forwarding rule: the instances of a backend service or of a target pool, and their
//! health check.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use hakube_local_net as net;
use hakube_local_resources::types::health_check::{Protocol, Timing};
use hakube_local_resources::types::instance::{Instance, Status};
use hakube_local_resources::types::{
    BackendService, ForwardingRule, HealthCheck, HttpHealthCheck, TargetPool,
};
use hakube_local_resources::{Key, Resource as _, State, Target};

/// The backends of a rule.
pub struct Backends<'a> {
    /// The service or the pool.
    pub of: Target,
    /// The running instances.
    pub running: Vec<Backend<'a>>,
    /// The health check; without one, all count as healthy.
    pub check: Option<Check>,
}

/// A backend.
pub struct Backend<'a> {
    pub key: Key,
    pub instance: &'a Instance,
    pub internal: Ipv4Addr,
}

/// A health check of any type.
pub struct Check {
    pub port: u16,
    protocol: net::Protocol,
    path: String,
    host: String,
    timing: Timing,
}

impl<'a> Backends<'a> {
    /// The backends of a rule; `None` if the rule's target doesn't exist.
    pub fn of(state: &'a State, rule: &ForwardingRule) -> Option<Self> {
        let of = rule.destination()?;
        let (running, check) = if of.kind == TargetPool::TYPE {
            let pool = &state.target_pools.get(&of.key)?.resource;
            let check = pool.health_check(state).and_then(Check::legacy);
            (running(pool.members(state)), check)
        } else {
            let service: &BackendService = &state.backend_services.get(&of.key)?.resource;
            // A backend service always has one.
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
            protocol: match check.protocol {
                Protocol::Tcp => net::Protocol::Tcp,
                Protocol::Http => net::Protocol::Http,
                Protocol::Https => net::Protocol::Https,
            },
            path: target.request_path.unwrap_or_default(),
            host: target.host,
            timing: check.timing.clone(),
        })
    }

    fn legacy(check: &HttpHealthCheck) -> Option<Self> {
        let question = &check.question;
        Some(Self {
            port: question.port?,
            protocol: net::Protocol::Http,
            path: question.request_path.clone(),
            host: question.host.clone(),
            timing: question.timing.clone(),
        })
    }

    /// The probe of one backend.
    pub fn probe(&self, internal: Ipv4Addr, admitted: bool) -> net::Probe {
        net::Probe {
            address: SocketAddrV4::new(internal, self.port),
            protocol: self.protocol,
            path: self.path.clone(),
            host: self.host.clone(),
            interval: Duration::from_secs(self.timing.check_interval_sec.into()),
            timeout: Duration::from_secs(self.timing.timeout_sec.into()),
            healthy_after: self.timing.healthy_threshold,
            unhealthy_after: self.timing.unhealthy_threshold,
            admitted,
            source: None,
        }
    }
}
