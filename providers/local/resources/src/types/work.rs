//! The work of an operation, as data: it survives the daemon.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::base::{ApiError, Key, Resource, Target, Type};

/// The result of a handler, after it has validated its change and applied it to the state.
#[derive(Debug)]
pub struct Request {
    /// `operationType`: insert, delete, addAccessConfig.
    pub verb: &'static str,
    /// The resource that it changes.
    pub target: Target,
    /// The remaining work.
    pub work: Work,
}

impl Request {
    /// A change that only listeners and health checks follow.
    pub fn update<R: Resource>(verb: &'static str, key: &Key) -> Self {
        Self::new(verb, Target::of::<R>(key), Work::Update)
    }

    /// Creates a request.
    pub fn new(verb: &'static str, target: Target, work: Work) -> Self {
        Self { verb, target, work }
    }
}

/// The work that remains after a request is accepted. All of it is idempotent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Work {
    /// Make the target usable; an instance boots.
    Create,
    /// Take the target out of use, then delete it; an instance is shut down.
    Remove,
    /// Update only listeners and health checks.
    Update,
    /// Boot an instance.
    Start,
    /// Shut an instance down.
    Stop,
    /// Cut an instance's power and boot it again.
    Reset,
    /// Start listening on an instance's external address.
    AddAccessConfig,
    /// Stop listening on it.
    RemoveAccessConfig,
    /// Remove these instances of a manager, and boot replacements.
    Recreate {
        /// The instances.
        members: Vec<Key>,
    },
    /// Cut the power of these instances of a manager, and boot them again.
    Restart {
        /// The instances.
        members: Vec<Key>,
    },
    /// Boot a manager's new instances, and remove these.
    Resize {
        /// The instances to remove.
        going: Vec<Key>,
    },
}

impl Work {
    /// Whether it deletes something.
    pub const fn removes(&self) -> bool {
        matches!(
            self,
            Self::Remove | Self::Resize { .. } | Self::Recreate { .. }
        )
    }
}

/// An operation's work, until it is done.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Job {
    /// The resource that it changes.
    pub target: Target,
    /// The work.
    pub work: Work,
    /// Set when the delay is over and the change takes effect.
    #[serde(default)]
    pub in_force: bool,
    /// Set by a fault rule: none of the work is done, and the operation ends with this error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fails: Option<ApiError>,
    /// Set by a fault rule: how long it stays RUNNING. The rule doesn't survive a restart of the daemon.
    #[serde(skip)]
    pub stuck: Option<Stuck>,
}

impl Job {
    /// Compute Engine's measured median duration.
    pub fn median(&self) -> Duration {
        let tenths = match (&self.work, self.target.kind) {
            (Work::AddAccessConfig | Work::RemoveAccessConfig, _) => 11,
            (Work::Start | Work::Stop, _) => 120,
            (Work::Create | Work::Remove, Type::Network) => 250,
            (Work::Create | Work::Remove, Type::Subnetwork) => 120,
            (Work::Create | Work::Remove | Work::Update, Type::Firewall) => 80,
            (Work::Create | Work::Remove, Type::Instance) => 120,
            (Work::Create | Work::Remove, Type::ForwardingRule) => 60,
            (
                Work::Create
                | Work::Remove
                | Work::Resize { .. }
                | Work::Recreate { .. }
                | Work::Restart { .. },
                Type::InstanceGroupManager,
            ) => 230,
            _ => 30,
        };
        Duration::from_millis(tenths * 100)
    }
}

/// How long an operation stays RUNNING.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stuck {
    /// For this long.
    For(Duration),
    /// Until the rules change; this is the count of changes so far.
    Until(u64),
}
