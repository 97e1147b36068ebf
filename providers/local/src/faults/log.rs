//! The log of requests.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// The oldest requests are forgotten beyond this many.
const KEPT: usize = 4096;

/// A request to the Compute Engine API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoggedRequest {
    /// Counts from 1 since the daemon started, in the order of arrival.
    pub ordinal: u64,
    /// GET, POST, …
    pub method: String,
    /// Without the query.
    pub path: String,
    /// The HTTP status; none when there was no answer, or there is none yet.
    pub status: Option<u16>,
    /// The index of the fault rule that acted on it.
    pub rule: Option<usize>,
}

/// The last requests.
#[derive(Default)]
pub struct RequestLog {
    entries: VecDeque<LoggedRequest>,
    last: u64,
}

impl RequestLog {
    /// Notes a request and numbers it.
    pub(super) fn arrived(&mut self, method: &str, path: &str, rule: Option<usize>) -> u64 {
        if self.entries.len() == KEPT {
            self.entries.pop_front();
        }
        self.last += 1;
        self.entries.push_back(LoggedRequest {
            ordinal: self.last,
            method: method.to_owned(),
            path: path.to_owned(),
            status: None,
            rule,
        });
        self.last
    }

    /// Notes how a request was answered, unless it is forgotten.
    pub(super) fn answered(&mut self, ordinal: u64, status: u16) {
        let index = self
            .entries
            .binary_search_by_key(&ordinal, |entry| entry.ordinal);
        if let Some(entry) = index.ok().and_then(|index| self.entries.get_mut(index)) {
            entry.status = Some(status);
        }
    }

    /// What came after a request.
    pub(super) fn after(&self, ordinal: u64) -> Vec<LoggedRequest> {
        let first = self
            .entries
            .partition_point(|entry| entry.ordinal <= ordinal);
        self.entries.iter().skip(first).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_are_forgotten_and_the_numbers_go_on() {
        let mut log = RequestLog::default();
        for _ in 0..=KEPT {
            log.arrived("GET", "/", None);
        }
        log.answered(1, 200);
        log.answered(2, 404);
        let all = log.after(0);
        assert_eq!(all.len(), KEPT);
        assert_eq!((all[0].ordinal, all[0].status), (2, Some(404)));
        let last = log.after(KEPT as u64);
        assert_eq!((last.len(), last[0].ordinal), (1, KEPT as u64 + 1));
    }
}
