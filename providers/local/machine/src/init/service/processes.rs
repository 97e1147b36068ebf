//! A service's processes: spawning, waiting, terminating.

use std::{collections::BTreeSet, time::Duration};

use rustix::process::{Signal, getpid};
use tokio::time::{Instant, sleep, sleep_until};

use super::activation::Activation;
use crate::{
    init::{
        exit::Outcome,
        spawn::{Process, SpawnError, spawn},
    },
    processes,
    unit::Command,
};

impl Activation {
    /// Runs a command that must finish before the service continues.
    pub(super) async fn run_to_end(&self, command: &Command, deadline: Option<Instant>) -> Outcome {
        let mut process = match self.spawn(command, None) {
            Ok(process) => process,
            Err(error) => return self.not_spawned(&error, command.ignore_failure),
        };
        let outcome = tokio::select! {
            biased;
            exit = process.ended() => {
                let outcome = Outcome::of(exit, &self.service);
                if outcome != Outcome::Success {
                    self.say(format!("Control process exited, {exit}"));
                }
                outcome
            }
            () = self.stop.cancelled() => self.terminate(&mut process).await,
            () = until(deadline) => {
                self.say("start operation timed out. Terminating.");
                self.terminate(&mut process).await;
                return Outcome::Timeout;
            }
        };
        if command.ignore_failure {
            Outcome::Success
        } else {
            outcome
        }
    }

    /// Runs `ExecStop=` while the main process, if there is one, still runs.
    pub(super) async fn exec_stop(&self, main: Option<&Process>) {
        let pid = main.map(|main| main.pid.as_raw_pid().to_string());
        let extra = pid.as_deref().map(|pid| ("MAINPID", pid));
        for command in &self.service.exec_stop {
            self.run_to_end_of_stop(command, extra).await;
        }
    }

    async fn run_to_end_of_stop(&self, command: &Command, extra: Option<(&str, &str)>) {
        match self.spawn_unrecorded(command, extra) {
            Ok(mut process) => {
                tokio::select! {
                    _ = process.ended() => {}
                    () = until(self.stop_deadline()) => process.signal_group(Signal::KILL),
                }
            }
            Err(error) => self.say(error.to_string()),
        }
    }

    /// Stops with `KillSignal=`, then after `TimeoutStopSec=` with SIGKILL.
    pub(super) async fn terminate(&self, process: &mut Process) -> Outcome {
        process.signal_group(self.service.kill_signal);
        tokio::select! {
            biased;
            exit = process.ended() => {
                let outcome = Outcome::of(exit, &self.service);
                // A oneshot terminated by the signal that it was sent has stopped as told.
                if outcome == Outcome::Signal { Outcome::Success } else { outcome }
            }
            () = until(self.stop_deadline()) => {
                self.say(format!("State 'stop-sigterm' timed out. Killing process {}.", process.pid));
                process.signal_group(Signal::KILL);
                process.ended().await;
                Outcome::Timeout
            }
        }
    }

    /// Kills leftover processes of the service, as KillMode=control-group does.
    pub(super) async fn end_stragglers(&self) {
        let mark = format!("INVOCATION_ID={}", self.invocation.borrow());
        let deadline = self.stop_deadline();
        let mut pause = Duration::from_millis(1);
        let mut told = BTreeSet::new();
        loop {
            let mut left = processes::descendants(getpid());
            left.retain(|process| {
                self.groups.borrow().contains(&process.group)
                    || processes::has_variable(process.pid, &mark)
            });
            if left.is_empty() {
                return;
            }
            let late = deadline.is_some_and(|deadline| Instant::now() >= deadline);
            for process in &left {
                if late || told.insert(process.pid.as_raw_pid()) {
                    let signal = if late {
                        Signal::KILL
                    } else {
                        self.service.kill_signal
                    };
                    self.say(format!(
                        "Killing process {} with signal {signal:?}.",
                        process.pid
                    ));
                    // It exits meanwhile, or the next round finds it again.
                    let _ = processes::signal(process, signal);
                }
            }
            sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(50));
        }
    }

    pub(super) fn spawn(
        &self,
        command: &Command,
        extra: Option<(&str, &str)>,
    ) -> Result<Process, SpawnError> {
        let process = self.spawn_unrecorded(command, extra)?;
        self.entry
            .update(|status| status.pid = process.pid.as_raw_pid().try_into().ok());
        Ok(process)
    }

    /// Spawns a process that isn't shown as the unit's main process.
    fn spawn_unrecorded(
        &self,
        command: &Command,
        extra: Option<(&str, &str)>,
    ) -> Result<Process, SpawnError> {
        let invocation = self.invocation.borrow().clone();
        let mut variables = vec![("INVOCATION_ID", invocation.as_str())];
        variables.extend(extra);
        let process = spawn(
            &self.machine,
            &self.entry,
            &self.service,
            command,
            &variables,
        )?;
        self.groups.borrow_mut().insert(process.pid.as_raw_pid());
        Ok(process)
    }

    pub(super) fn not_spawned(&self, error: &SpawnError, ignore: bool) -> Outcome {
        self.say(error.to_string());
        let outcome = error.exit().map_or(Outcome::Resources, |exit| {
            self.say(format!("Main process exited, {exit}"));
            Outcome::ExitCode
        });
        if ignore { Outcome::Success } else { outcome }
    }

    fn stop_deadline(&self) -> Option<Instant> {
        self.service
            .timeout_stop
            .map(|timeout| Instant::now() + timeout)
    }
}

/// Resolves at the deadline, if there is one; otherwise never.
pub(super) async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
