//! The arithmetic that keeps a cluster alive.

use serde::{Deserialize, Serialize};
use std::fmt;

/// How many voters etcd has, and how many of them are healthy. Learners don't count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quorum {
    /// Members that vote.
    pub voters: usize,
    /// Voters that answer and follow the leader.
    pub healthy: usize,
}

impl Quorum {
    /// The votes that every write needs: more than half.
    pub fn needed(self) -> usize {
        if self.voters == 0 {
            0
        } else {
            self.voters / 2 + 1
        }
    }

    /// Whether writes can be committed.
    pub fn holds(self) -> bool {
        self.healthy >= self.needed()
    }

    /// How many more voters may fail with writes still being committed.
    pub fn survives(self) -> usize {
        self.healthy.saturating_sub(self.needed())
    }

    /// With one more voter, healthy.
    #[must_use]
    pub fn plus_voter(self) -> Self {
        Self {
            voters: self.voters + 1,
            healthy: self.healthy + 1,
        }
    }

    /// With one voter less.
    #[must_use]
    pub fn minus_voter(self, healthy: bool) -> Self {
        Self {
            voters: self.voters.saturating_sub(1),
            healthy: self.healthy.saturating_sub(usize::from(healthy)),
        }
    }
}

impl fmt::Display for Quorum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} of {} voters healthy, {} needed",
            self.healthy,
            self.voters,
            self.needed()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_half_is_needed_and_the_rest_may_fail() {
        let table = [
            (1, 1, 0),
            (2, 2, 0),
            (3, 2, 1),
            (4, 3, 1),
            (5, 3, 2),
            (7, 4, 3),
        ];
        for (voters, needed, survives) in table {
            let quorum = Quorum {
                voters,
                healthy: voters,
            };
            assert_eq!(
                (quorum.needed(), quorum.survives()),
                (needed, survives),
                "{voters} voters"
            );
        }
    }

    #[test]
    fn removing_a_healthy_voter_beside_a_dead_one_loses_quorum_and_removing_the_dead_one_does_not()
    {
        let one_dead = Quorum {
            voters: 3,
            healthy: 2,
        };
        assert!(!one_dead.minus_voter(true).holds());
        assert!(one_dead.minus_voter(false).holds());
    }

    #[test]
    fn two_voters_survive_nothing() {
        let two = Quorum {
            voters: 1,
            healthy: 1,
        }
        .plus_voter();
        assert_eq!(two.survives(), 0);
        assert!(
            !Quorum {
                voters: 2,
                healthy: 1
            }
            .holds()
        );
    }
}
