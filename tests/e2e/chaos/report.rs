//! The report of a chaos run.

use super::writers::Book;
use crate::counts;
use std::collections::BTreeMap;
use std::time::Duration;

/// A client's log of writes, and the data at the end.
pub struct Client {
    pub name: &'static str,
    pub book: Book,
    /// The revision of every readable name.
    pub there: BTreeMap<String, i64>,
}

impl Client {
    /// Acknowledged writes that are missing or changed.
    fn lost(&self) -> Vec<&str> {
        let acknowledged = self.book.acknowledged.iter();
        acknowledged
            .filter(|(name, revision)| self.there.get(*name) != Some(revision))
            .map(|(name, _)| name.as_str())
            .collect()
    }
}

pub struct Report {
    pub seed: u64,
    pub lasted: Duration,
    pub rounds: usize,
    /// Counts by kind of fault.
    pub disturbances: BTreeMap<String, usize>,
    pub clients: [Client; 2],
}

impl Report {
    pub fn lost(&self) -> Vec<&str> {
        self.clients.iter().flat_map(Client::lost).collect()
    }

    /// Adds the number of faults to the summary of the test run.
    pub fn count(&self, name: &str) {
        let all = self.disturbances.values().sum();
        let name = format!("{name}: disturbances, and acknowledged writes lost");
        counts::tell(&name, all, self.lost().len(), Some(self.seed));
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            seed,
            lasted,
            rounds,
            ..
        } = self;
        let seconds = lasted.as_secs();
        writeln!(
            f,
            "chaos: {seconds} s, {rounds} rounds, HAKUBE_TEST_SEED={seed}"
        )?;
        for (what, times) in &self.disturbances {
            writeln!(f, "  {times:>4}  {what}")?;
        }
        for client in &self.clients {
            let Book {
                attempts,
                acknowledged,
                longest_gap,
            } = &client.book;
            let share = 100.0 * acknowledged.len() as f64 / *attempts as f64;
            writeln!(
                f,
                "  writes {}: {} of {attempts} acknowledged ({share:.2} %), longest gap {:.1} s, {} lost",
                client.name,
                acknowledged.len(),
                longest_gap.as_secs_f64(),
                client.lost().len(),
            )?;
        }
        Ok(())
    }
}
