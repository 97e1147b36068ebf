//! The request log.

use std::collections::VecDeque;

use hakube_local_client::LoggedRequest;

/// Older requests are dropped beyond this many.
const KEPT: usize = 4096;

/// The last requests.
#[derive(Default)]
pub struct RequestLog {
    entries: VecDeque<LoggedRequest>,
    last: u64,
}

impl RequestLog {
    /// Logs a request and returns its ordinal.
    pub fn arrived(&mut self, method: &str, path: &str, rule: Option<usize>) -> u64 {
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

    /// Records a request's status, if it is still in the log.
    pub fn answered(&mut self, ordinal: u64, status: u16) {
        let index = self
            .entries
            .binary_search_by_key(&ordinal, |entry| entry.ordinal);
        if let Some(entry) = index.ok().and_then(|index| self.entries.get_mut(index)) {
            entry.status = Some(status);
        }
    }

    /// The requests after an ordinal.
    pub fn after(&self, ordinal: u64) -> Vec<LoggedRequest> {
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
