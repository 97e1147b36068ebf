//! The commands that are killed, in an order that starts and ends without a cluster.

/// A command, named after its result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    Up,
    ReplicateToTwo,
    RemoveToOne,
    ReplicateToThreeAtOnce,
    RemoveToTwo,
    ReplicateToThree,
    Replace,
    Down,
}

impl Command {
    /// A cluster's lifecycle: each command starts from the result of the previous one.
    pub const LIFE: [Self; 8] = [
        Self::Up,
        Self::ReplicateToTwo,
        Self::RemoveToOne,
        Self::ReplicateToThreeAtOnce,
        Self::RemoveToTwo,
        Self::ReplicateToThree,
        Self::Replace,
        Self::Down,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::ReplicateToTwo => "replicate 1-2",
            Self::RemoveToOne => "down --replica 2-1",
            Self::ReplicateToThreeAtOnce => "replicate 1-3",
            Self::RemoveToTwo => "down --replica 3-2",
            Self::ReplicateToThree => "replicate 2-3",
            Self::Replace => "replace",
            Self::Down => "down",
        }
    }

    /// The arguments; `replica` is the one to act on.
    pub fn arguments(self, replica: &str) -> String {
        match self {
            Self::Up => "up".to_owned(),
            Self::ReplicateToTwo | Self::ReplicateToThree => "replicate".to_owned(),
            Self::ReplicateToThreeAtOnce => "replicate --count 2".to_owned(),
            Self::RemoveToOne | Self::RemoveToTwo => format!("down --replica {replica}"),
            Self::Replace => format!("replace {replica}"),
            Self::Down => "down --yes".to_owned(),
        }
    }

    /// The number of replicas afterwards.
    pub fn replicas(self) -> usize {
        match self {
            Self::Down => 0,
            Self::Up | Self::RemoveToOne => 1,
            Self::ReplicateToTwo | Self::RemoveToTwo => 2,
            Self::ReplicateToThreeAtOnce | Self::ReplicateToThree | Self::Replace => 3,
        }
    }
}
