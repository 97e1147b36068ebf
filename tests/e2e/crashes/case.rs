//! One command, and the instant at which it is killed.

use super::command::Command;
use crate::calls::{Call, Kind};
use hakube_local::client::{Act, FaultRule, Moment};

/// One command, and the instant at which it is killed.
#[derive(Debug, Clone)]
pub struct Case {
    pub command: Command,
    call: Call,
    instant: Instant,
}

/// An instant, by a call to the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Instant {
    /// The call isn't carried out.
    Before,
    /// It is, and hakube doesn't learn it.
    After,
    /// It is, and hakube may go on until the signal comes: to its next call, to etcd, to the store.
    Around,
}

impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { call, instant, .. } = self;
        write!(f, "{}: killed {instant:?} {call}", self.command.name())
    }
}

impl Case {
    /// Every instant of a command that makes these calls. To be killed after a read is to be killed
    /// before what follows it.
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

    /// Holds the command at that instant, or tells that it is there.
    pub fn rule(&self) -> FaultRule {
        let act = match self.instant {
            Instant::Before => Act::no_answer(Moment::Before),
            Instant::After => Act::no_answer(Moment::After),
            Instant::Around => Act::delay_ms(0),
        };
        self.call.rule(act).times(1)
    }
}
