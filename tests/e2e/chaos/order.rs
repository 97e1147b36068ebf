//! An operator's commands during the chaos.

use rand::Rng as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    Replicate,
    Remove(String),
    Replace(String),
    Repair,
}

impl Order {
    /// A random command that keeps the cluster at three or four replicas, which tolerate one failure.
    pub fn random(replicas: &[String], rng: &mut StdRng) -> Self {
        let some = replicas.choose(rng).unwrap().clone();
        match (rng.random_range(0..4), replicas.len()) {
            (0, _) => Self::Repair,
            (1, _) => Self::Replace(some),
            (_, 4..) => Self::Remove(some),
            _ => Self::Replicate,
        }
    }

    pub fn name(&self) -> &'static str {
        match self {
            Self::Replicate => "replicate",
            Self::Remove(_) => "down --replica",
            Self::Replace(_) => "replace",
            Self::Repair => "repair",
        }
    }

    pub fn arguments(&self) -> String {
        match self {
            Self::Replicate | Self::Repair => self.name().to_owned(),
            Self::Remove(name) | Self::Replace(name) => format!("{} {name}", self.name()),
        }
    }
}
