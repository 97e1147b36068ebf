//! Quorum arithmetic.

use super::{MemberRole, MemberView};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The number of etcd's voters, and of healthy ones. Learners don't count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quorum {
    /// Members that vote.
    pub voters: usize,
    /// Voters that respond and have a leader.
    pub healthy: usize,
}

impl Quorum {
    /// The votes that a write needs: more than half.
    pub fn needed(self) -> usize {
        if self.voters == 0 {
            0
        } else {
            self.voters / 2 + 1
        }
    }

    /// Whether etcd accepts writes.
    pub fn holds(self) -> bool {
        self.healthy >= self.needed()
    }

    /// How many more voters may fail before writes stop.
    pub fn survives(self) -> usize {
        self.healthy.saturating_sub(self.needed())
    }

    /// With one more healthy voter.
    #[must_use]
    pub fn plus_voter(self) -> Self {
        Self {
            voters: self.voters + 1,
            healthy: self.healthy + 1,
        }
    }

    /// Without this member. A learner has no vote.
    #[must_use]
    pub fn without(self, member: &MemberView) -> Self {
        let votes = usize::from(member.role != MemberRole::Learner);
        let healthy = votes * usize::from(member.healthy);
        Self {
            voters: self.voters.saturating_sub(votes),
            healthy: self.healthy.saturating_sub(healthy),
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
    fn removing_the_dead_voter_keeps_quorum_and_removing_a_healthy_one_loses_it() {
        let one_dead = Quorum {
            voters: 3,
            healthy: 2,
        };
        let without = |role, healthy| {
            let member = MemberView {
                id: 1,
                name: "a".to_owned(),
                role,
                started: true,
                healthy,
                peer_urls: Vec::new(),
                version: None,
                database: None,
            };
            one_dead.without(&member)
        };
        assert!(!without(MemberRole::Voter, true).holds());
        assert!(without(MemberRole::Voter, false).holds());
        assert_eq!(without(MemberRole::Learner, true), one_dead);
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
