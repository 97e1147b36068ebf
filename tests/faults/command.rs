//! The commands that are tested with faults, and their initial states.

/// A command, named after its result. Each starts from a state that an earlier one may end in, so
/// transitions are cheap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Command {
    Up,
    /// In the zone of the first replica.
    ReplicateToTwoInOneZone,
    ReplicateToTwo,
    ReplicateToThree,
    RemoveToTwo,
    RemoveToOne,
    Replace,
    Down,
}

impl Command {
    /// All of them, in an order in which each starts where another ends.
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

    /// The arguments; `replica` is the one to act on.
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

    /// The number of replicas before the command.
    pub fn before(self) -> usize {
        match self {
            Self::Up => 0,
            Self::ReplicateToTwoInOneZone | Self::ReplicateToTwo => 1,
            Self::ReplicateToThree | Self::RemoveToOne | Self::Replace | Self::Down => 2,
            Self::RemoveToTwo => 3,
        }
    }

    /// The number of replicas after the command.
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

    /// Whether it is rolled back automatically on failure.
    pub fn rolls_back(self) -> bool {
        matches!(
            self,
            Self::ReplicateToTwoInOneZone | Self::ReplicateToTwo | Self::ReplicateToThree
        )
    }
}

/// The zones of the first, the second and the third replica.
const ZONES: [&str; 3] = ["europe-west1-b", "europe-west1-c", "europe-west1-d"];
