//! A command, and the moment at which it is killed.

use super::command::Command;
use crate::calls::{Call, Kind};
use hakube_local_client::{Act, FaultRule, Moment};

/// A command, and the moment at which it is killed.
#[derive(Debug, Clone)]
pub struct Case {
    pub command: Command,
    call: Call,
    instant: Instant,
}

/// A moment relative to a call to the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Instant {
    /// Before: the call isn't carried out.
    Before,
    /// After: the call is carried out, but hakube doesn't get the response.
    After,
    /// After, but hakube continues until it is killed: to its next call, to etcd, to the store.
    Around,
}

impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { call, instant, .. } = self;
        write!(f, "{}: killed {instant:?} {call}", self.command.name())
    }
}

impl Case {
    /// All moments of a command with these calls. A kill after a read equals a kill before the next call.
    pub fn all(command: Command, calls: &[Call]) -> Vec<Self> {
        let cases = calls.iter().flat_map(|call| {
            let instants: &[Instant] = match call.kind {
                Kind::Read => &[Instant::Before],
                _ => &[Instant::Before, Instant::After, Instant::Around],
            };
            instants.iter().map(|instant| Self {
                command,
                call: call.clone(),
                instant: *instant,
            })
        });
        cases.collect()
    }

    /// The fault rule that stops the command at that moment, or reports it.
    pub fn rule(&self) -> FaultRule {
        let act = match self.instant {
            Instant::Before => Act::no_answer(Moment::Before),
            Instant::After => Act::no_answer(Moment::After),
            Instant::Around => Act::delay_ms(0),
        };
        self.call.rule(act).times(1)
    }
}
