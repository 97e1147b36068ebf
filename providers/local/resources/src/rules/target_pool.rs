//! Target pools: lists of instances of a region, for forwarding rules.

use crate::base::{ApiError, Key, Target, link};
use crate::rules::managed::{Managed, Seen};
use crate::state::State;
use crate::types::{ForwardingRule, HttpHealthCheck, Instance, TargetPool};

/// Why a second health check is refused.
pub const MOST_CHECKS: &str = "At most one health check may be specified for a target pool.";

impl TargetPool {
    /// Its existing instances.
    pub fn members<'a>(&'a self, state: &'a State) -> impl Iterator<Item = (Key, &'a Instance)> {
        self.instances.iter().filter_map(|member| {
            let key = link::key_of(member)?;
            let instance = &state.instances.get(&key)?.resource;
            Some((key, instance))
        })
    }

    /// Its health check. Without one, all its instances count as healthy.
    pub fn health_check<'a>(&self, state: &'a State) -> Option<&'a HttpHealthCheck> {
        let check = link::key_of(self.health_checks.first()?)?;
        Some(&state.http_health_checks.get(&check)?.resource)
    }
}

impl Managed for TargetPool {
    fn prepare(&mut self, state: &mut State, key: &Key) -> Result<(), ApiError> {
        if self
            .backup_pool
            .as_deref()
            .is_some_and(|pool| !pool.is_empty())
        {
            return Err(ApiError::not_emulated("backup pools of target pools"));
        }
        if self.session_affinity != "NONE" {
            return Err(ApiError::not_emulated(format_args!(
                "target pools with the session affinity {}",
                self.session_affinity
            )));
        }
        if self.health_checks.len() > 1 {
            let count = self.health_checks.len();
            return Err(ApiError::invalid(
                "resource.healthChecks",
                count,
                MOST_CHECKS,
            ));
        }
        for check in &mut self.health_checks {
            *check = usable_check(state, "resource.healthChecks[0]", check)?;
        }
        for (index, member) in self.instances.iter_mut().enumerate() {
            let field = format!("resource.instances[{index}]");
            *member = possible_member(state, key, &field, member)?;
        }
        Ok(())
    }

    fn user(&self, state: &State, key: &Key) -> Option<String> {
        let own = Some(Target::of::<Self>(key));
        state.path_where::<ForwardingRule>(|rule| rule.destination() == own)
    }
}

/// The URL of a check, after validation.
pub fn usable_check(state: &State, field: &str, text: &str) -> Result<String, ApiError> {
    let check = link::parse::<HttpHealthCheck>(field, text)?;
    state.ready::<HttpHealthCheck>(&check)?;
    Ok(state.link_of::<HttpHealthCheck>(&check))
}

/// The URL of an instance, after validation.
pub fn possible_member(
    state: &State,
    pool: &Key,
    field: &str,
    text: &str,
) -> Result<String, ApiError> {
    let member = link::parse::<Instance>(field, text)?;
    if member.scope.region() != pool.scope.region() {
        let why = "The instance must be in the region of the target pool.";
        return Err(ApiError::invalid(field, text, why));
    }
    Ok(state.link_of::<Instance>(&member))
}

impl Seen for TargetPool {}
