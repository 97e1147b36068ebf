//! A command, one of its calls, and a fault.

use hakube_local_client::FaultRule;

use crate::calls::Call;
use crate::command::Command;
use crate::fault::{Expected, Fault, faults};
use crate::verdict::Verdict;
use crate::world::{PATIENT, World};

pub struct Case {
    pub command: Command,
    call: Call,
    fault: Fault,
}

impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let command = self.command.name();
        write!(f, "{command}: {}: {}", self.call, self.fault.name)
    }
}

pub fn all(calls: &[(Command, Call)]) -> Vec<Case> {
    let cases = calls.iter().flat_map(|(command, call)| {
        let faults = faults(call).into_iter();
        faults.map(|fault| Case {
            command: *command,
            call: call.clone(),
            fault,
        })
    });
    cases.collect()
}

/// A short timeout, for commands that wait for something that never happens.
const IMPATIENT: &str = "4s";

impl Case {
    /// Returns the reason of a failure, which leaves the world in an unknown state.
    pub async fn run(&self, world: &mut World) -> Result<(), String> {
        world.reach(self.command.before()).await?;
        let replica = world.last_replica().await?;
        let arguments = self.command.arguments(&replica);
        let before = world.inventory().await?;
        world
            .cloud
            .set_faults(&[self.rule()])
            .await
            .map_err(|e| e.to_string())?;
        let timeout = match self.fault.expected {
            Expected::GivenUp { .. } => IMPATIENT,
            _ => PATIENT,
        };
        let outcome = world.hakube(&arguments, timeout).await;
        let reports = world.cloud.faults().await.map_err(|e| e.to_string())?;
        world
            .cloud
            .clear_faults()
            .await
            .map_err(|e| e.to_string())?;
        if reports[0].acted == 0 {
            return Err(format!("the call wasn't made: {outcome}"));
        }
        let verdict = Verdict {
            command: self.command,
            arguments: &arguments,
            expected: self.fault.expected,
            outcome: &outcome,
            before: &before,
        };
        world.replicas = verdict.check(world).await?;
        if self.command == Command::ReplicateToTwoInOneZone {
            // Other commands start with replicas in two zones.
            world.reach(1).await?;
        }
        Ok(())
    }

    fn rule(&self) -> FaultRule {
        let Fault { act, times, .. } = &self.fault;
        self.call.rule(act.clone()).times(*times)
    }
}
