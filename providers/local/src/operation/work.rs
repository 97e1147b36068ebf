//! What an operation is to do, as data: it survives the daemon.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::compute::error::ApiError;
use crate::compute::resource::{Target, Type};
use crate::compute::scope::Key;
use crate::faults::Stuck;

/// What a handler asks for, once it has checked and made its change of the state.
#[derive(Debug)]
pub struct Request {
    /// `operationType`: insert, delete, addAccessConfig.
    pub verb: &'static str,
    /// What it works on.
    pub target: Target,
    /// What is left to do.
    pub work: Work,
}

impl Request {
    /// A request of its parts.
    pub fn new(verb: &'static str, target: Target, work: Work) -> Self {
        Self { verb, target, work }
    }
}

/// What is left to do after a request is accepted. Doing any of it twice is as good as once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Work {
    /// Make the target usable; an instance boots.
    Create,
    /// Take the target out of use, then forget it; an instance is shut down.
    Remove,
    /// Nothing but what follows from the change: listeners, health checks.
    Update,
    /// Boot an instance.
    Start,
    /// Shut an instance down.
    Stop,
    /// Cut an instance's power and boot it again.
    Reset,
    /// Begin to listen on an instance's external address.
    AddAccessConfig,
    /// Stop that.
    RemoveAccessConfig,
    /// Remove these instances of a manager, and boot new ones in their places.
    Recreate {
        /// The instances.
        members: Vec<Key>,
    },
    /// Boot a manager's new instances, and remove these.
    Resize {
        /// The instances that go.
        going: Vec<Key>,
    },
}

/// An operation's work, until it is done.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Job {
    /// What it works on.
    pub target: Target,
    /// What it does.
    pub work: Work,
    /// Set when the waiting is over and what was asked for comes into force.
    #[serde(default)]
    pub in_force: bool,
    /// A fault rule's: nothing of the work is done, and the operation ends with this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fails: Option<ApiError>,
    /// A fault rule's: for how long it stays RUNNING. The next daemon has no such rule.
    #[serde(skip)]
    pub stuck: Option<Stuck>,
}

impl Job {
    /// How long Compute Engine takes for this: the median of what was measured.
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
                Work::Create | Work::Remove | Work::Resize { .. } | Work::Recreate { .. },
                Type::InstanceGroupManager,
            ) => 230,
            _ => 30,
        };
        Duration::from_millis(tenths * 100)
    }
}
