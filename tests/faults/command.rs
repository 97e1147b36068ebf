//! The commands that meet faults, and where each begins.

/// A command, by what becomes of the cluster. Each begins where one before it may have ended, so that
/// going from one to the next is cheap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Command {
    Up,
    /// In the zone of the first.
    ReplicateToTwoInOneZone,
    ReplicateToTwo,
    ReplicateToThree,
    RemoveToTwo,
    RemoveToOne,
    Replace,
    Down,
}

impl Command {
    /// Each of them, in an order in which one begins where another ends.
    pub const ALL: [Self; 8] = [
        Self::Up,
        Self::ReplicateToTwoInOneZone,
        Self::ReplicateToTwo,
        Self::ReplicateToThree,
        Self::RemoveToTwo,
        Self::RemoveToOne,
        Self::Replace,
        Self::Down,
    ];

    /// What to call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::ReplicateToTwoInOneZone => "replicate 1-2 in one zone",
            Self::ReplicateToTwo => "replicate 1-2",
            Self::ReplicateToThree => "replicate 2-3",
            Self::RemoveToTwo => "down --replica 3-2",
            Self::RemoveToOne => "down --replica 2-1",
            Self::Replace => "replace",
            Self::Down => "down",
        }
    }

    /// The arguments, where this is the replica whose turn it is.
    pub fn arguments(self, replica: &str) -> Vec<&str> {
        match self {
            Self::Up => vec!["up", "--zone", ZONES[0]],
            Self::ReplicateToTwoInOneZone => vec!["replicate", "--zone", ZONES[0]],
            Self::ReplicateToTwo => vec!["replicate", "--zone", ZONES[1]],
            Self::ReplicateToThree => vec!["replicate", "--zone", ZONES[2]],
            Self::RemoveToTwo | Self::RemoveToOne => vec!["down", "--replica", replica],
            Self::Replace => vec!["replace", replica],
            Self::Down => vec!["down", "--yes"],
        }
    }

    /// How many replicas there are when it begins.
    pub fn before(self) -> usize {
        match self {
            Self::Up => 0,
            Self::ReplicateToTwoInOneZone | Self::ReplicateToTwo => 1,
            Self::ReplicateToThree | Self::RemoveToOne | Self::Replace | Self::Down => 2,
            Self::RemoveToTwo => 3,
        }
    }

    /// How many there are when it is done.
    pub fn after(self) -> usize {
        match self {
            Self::Down => 0,
            Self::Up | Self::RemoveToOne => 1,
            Self::ReplicateToTwoInOneZone
            | Self::ReplicateToTwo
            | Self::RemoveToTwo
            | Self::Replace => 2,
            Self::ReplicateToThree => 3,
        }
    }

    /// Whether it goes back to where it began by itself when it can't be done.
    pub fn turns_back(self) -> bool {
        matches!(
            self,
            Self::ReplicateToTwoInOneZone | Self::ReplicateToTwo | Self::ReplicateToThree
        )
    }
}

/// Where the first, the second and the third replica are.
const ZONES: [&str; 3] = ["europe-west1-b", "europe-west1-c", "europe-west1-d"];
