//! One command, one call of it, one fault.

use hakube_local::client::FaultRule;

use crate::calls::Call;
use crate::fault::{Expected, Fault, faults};
use crate::verdict;
use crate::world::{PATIENT, Stage, World};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Command {
    Up,
    Replicate,
}

impl Command {
    pub fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Up => &["up"],
            Self::Replicate => &["replicate"],
        }
    }

    /// How many replicas there are when it is done.
    pub fn replicas(self) -> usize {
        match self {
            Self::Up => 1,
            Self::Replicate => 2,
        }
    }
}

pub struct Case {
    pub command: Command,
    call: Call,
    fault: Fault,
}

impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let command = self.command.arguments().join(" ");
        write!(f, "{command}: {}: {}", self.call, self.fault.name)
    }
}

/// Each call with each fault.
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

/// Short, for a command that has nothing to wait for but what will never come.
const IMPATIENT: &str = "4s";

impl Case {
    /// Why it failed, if it did; then the world is in disorder.
    pub async fn run(&self, world: &mut World) -> Result<(), String> {
        let before = self.prepare(world).await?;
        world
            .cloud
            .set_faults(&[self.rule()])
            .await
            .map_err(|e| e.to_string())?;
        let timeout = match self.fault.expected {
            Expected::GivenUp { .. } => IMPATIENT,
            _ => PATIENT,
        };
        let outcome = world.hakube(self.command.arguments(), timeout).await;
        let reports = world.cloud.faults().await.map_err(|e| e.to_string())?;
        world
            .cloud
            .clear_faults()
            .await
            .map_err(|e| e.to_string())?;
        if reports[0].acted == 0 {
            return Err(format!("the call wasn't made: {outcome}"));
        }
        let replicas =
            verdict::check(self.command, self.fault.expected, &outcome, world, &before).await?;
        world.stage = Stage::One;
        if replicas > 1 {
            world.must(&["down", "--replica"]).await?;
        }
        Ok(())
    }

    /// Where the command begins; what is there then.
    async fn prepare(&self, world: &mut World) -> Result<verdict::Inventory, String> {
        match self.command {
            Command::Up => {
                // The cloud must run before its rules can be set.
                world.must(&["local", "start"]).await?;
                world.reach(Stage::Empty).await?;
            }
            Command::Replicate => world.reach(Stage::One).await?,
        }
        world.inventory().await
    }

    fn rule(&self) -> FaultRule {
        let Fault { act, times, .. } = &self.fault;
        self.call.rule(act.clone()).times(*times)
    }
}
