//! A service from its start to its end, restarts included: the states of systemd.service(5) as one straight
//! line of code.

use std::convert::Infallible;

use tokio::{
    sync::oneshot,
    time::{Instant, sleep},
};

use super::{exit::Outcome, notify::NotifySocket};
use crate::{spec::UnitState, unit::ServiceType};
use processes::until;

mod activation;
mod processes;

pub use activation::Activation;

/// Receives the result of the first start.
pub type Started = oneshot::Sender<Result<(), Outcome>>;

impl Activation {
    /// Runs the service until it is stopped, or has ended and isn't restarted.
    pub async fn run(self, started: Started) {
        let mut started = Some(started);
        loop {
            if !self
                .entry
                .starts
                .borrow_mut()
                .admit(self.service.start_limit, Instant::now().into_std())
            {
                self.say("Start request repeated too quickly.");
                self.entry.start_limit_hit.set(true);
                return self.rest(Outcome::StartLimitHit, started);
            }
            self.invocation
                .replace(uuid::Uuid::new_v4().simple().to_string());
            self.groups.borrow_mut().clear();
            let outcome = self.invoke(&mut started).await;
            self.entry.update(|status| status.pid = None);
            self.end_stragglers().await;
            if self.stop.is_cancelled() || !outcome.restarts(self.service.restart) {
                return self.rest(outcome, started);
            }
            if outcome != Outcome::Success {
                self.say(format!("Failed with result '{outcome}'."));
            }
            announce(&mut started, Err(outcome));
            self.entry.set_state(UnitState::Restarting);
            tokio::select! {
                () = self.stop.cancelled() => return self.rest(Outcome::Success, started),
                () = sleep(self.service.restart_delay) => {}
            }
            let mut restarts = 0;
            self.entry.update(|status| {
                status.restarts += 1;
                restarts = status.restarts;
            });
            self.say(format!(
                "Scheduled restart job, restart counter is at {restarts}."
            ));
        }
    }

    /// Sets the final state. A waiter for the start that has no result yet gets it now.
    fn rest(&self, outcome: Outcome, mut started: Option<Started>) {
        let stopped = self.stop.is_cancelled();
        if outcome == Outcome::Success {
            self.say("Deactivated successfully.");
            announce(&mut started, Ok(()));
        } else {
            self.say(format!("Failed with result '{outcome}'."));
            announce(&mut started, Err(outcome));
        }
        if stopped {
            self.machine
                .console
                .say(format!("Stopped {}.", self.unit.title()));
        }
        self.entry.set_state(if outcome == Outcome::Success {
            UnitState::Inactive
        } else {
            UnitState::Failed
        });
    }

    /// From `ExecStartPre=` to the end of the last process.
    async fn invoke(&self, started: &mut Option<Started>) -> Outcome {
        self.machine
            .console
            .say(format!("Starting {}...", self.unit.title()));
        self.entry.set_state(UnitState::Starting);
        let deadline = self
            .service
            .timeout_start
            .map(|timeout| Instant::now() + timeout);
        for command in &self.service.exec_start_pre {
            let outcome = self.run_to_end(command, deadline).await;
            if outcome != Outcome::Success || self.stop.is_cancelled() {
                return outcome;
            }
        }
        match self.service.kind {
            ServiceType::Oneshot => self.oneshot(deadline, started).await,
            ServiceType::Simple | ServiceType::Notify => self.daemon(deadline, started).await,
        }
    }

    async fn oneshot(&self, deadline: Option<Instant>, started: &mut Option<Started>) -> Outcome {
        for command in &self.service.exec_start {
            let outcome = self.run_to_end(command, deadline).await;
            if outcome != Outcome::Success || self.stop.is_cancelled() {
                return outcome;
            }
        }
        self.machine
            .console
            .say(format!("Finished {}.", self.unit.title()));
        self.remain(started).await
    }

    async fn daemon(&self, deadline: Option<Instant>, started: &mut Option<Started>) -> Outcome {
        let Some(command) = self.service.exec_start.first() else {
            return Outcome::Resources;
        };
        let socket = match self.service.kind {
            ServiceType::Notify => match NotifySocket::bind(&self.machine, &self.unit.name) {
                Ok(socket) => Some(socket),
                Err(error) => {
                    self.say(format!("Failed to make the notification socket: {error}"));
                    return Outcome::Resources;
                }
            },
            _ => None,
        };
        let address = socket
            .as_ref()
            .map(|socket| ("NOTIFY_SOCKET", socket.address.as_str()));
        let mut main = match self.spawn(command, address) {
            Ok(process) => process,
            Err(error) => return self.not_spawned(&error, command.ignore_failure),
        };
        if let Some(socket) = &socket {
            tokio::select! {
                biased;
                Ok(()) = socket.ready() => {}
                exit = main.ended() => {
                    self.say(format!("Main process exited, {exit}"));
                    let outcome = Outcome::of(exit, &self.service);
                    return if outcome == Outcome::Success { Outcome::Protocol } else { outcome };
                }
                () = self.stop.cancelled() => return self.terminate(&mut main).await,
                () = until(deadline) => {
                    self.say("start operation timed out. Terminating.");
                    self.terminate(&mut main).await;
                    return Outcome::Timeout;
                }
            }
        }
        self.machine
            .console
            .say(format!("Started {}.", self.unit.title()));
        self.entry.set_state(UnitState::Running);
        announce(started, Ok(()));
        tokio::select! {
            biased;
            exit = main.ended() => {
                let outcome = Outcome::of(exit, &self.service);
                if outcome != Outcome::Success {
                    self.say(format!("Main process exited, {exit}"));
                    return if command.ignore_failure { Outcome::Success } else { outcome };
                }
                self.entry.update(|status| status.pid = None);
                self.remain(started).await
            }
            never = drain(socket.as_ref()) => match never {},
            () = self.stop.cancelled() => {
                self.stopping();
                self.exec_stop(Some(&main)).await;
                self.terminate(&mut main).await
            }
        }
    }

    /// After a success: inactive, or active without a process (`RemainAfterExit=yes`).
    async fn remain(&self, started: &mut Option<Started>) -> Outcome {
        if self.service.remain_after_exit {
            self.entry.set_state(UnitState::Exited);
            announce(started, Ok(()));
            self.stop.cancelled().await;
            self.stopping();
            self.exec_stop(None).await;
        }
        Outcome::Success
    }

    fn stopping(&self) {
        self.machine
            .console
            .say(format!("Stopping {}...", self.unit.title()));
        self.entry.set_state(UnitState::Stopping);
    }

    fn say(&self, line: impl AsRef<str>) {
        self.machine
            .console
            .say(format!("{}: {}", self.unit.name, line.as_ref()));
    }
}

fn announce(started: &mut Option<Started>, result: Result<(), Outcome>) {
    if let Some(started) = started.take() {
        // The receiver may be gone.
        let _ = started.send(result);
    }
}

/// Never resolves; reads a notify service's messages meanwhile.
async fn drain(socket: Option<&NotifySocket>) -> Infallible {
    match socket {
        Some(socket) => socket.drain().await,
        None => std::future::pending().await,
    }
}
