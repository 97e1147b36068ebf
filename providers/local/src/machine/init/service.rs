//! A service from its start to its end, restarts included: the states of systemd.service(5) as one
//! straight line of code.

use std::{cell::RefCell, collections::BTreeSet, rc::Rc, time::Duration};

use rustix::process::{Pid, Signal, getpid};
use tokio::{
    sync::oneshot,
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    exit::Outcome,
    machine::Machine,
    notify::NotifySocket,
    spawn::{Process, SpawnError, spawn},
    units::Entry,
};
use crate::machine::{
    UnitState, processes,
    unit::{Command, Service, ServiceType, Unit},
};

/// Told once how the first start went.
pub type Started = oneshot::Sender<Result<(), Outcome>>;

/// One service that was told to start.
pub struct Activation {
    machine: Rc<Machine>,
    entry: Rc<Entry>,
    unit: Rc<Unit>,
    service: Service,
    stop: CancellationToken,
    /// `INVOCATION_ID`, by which processes that have left their group are found.
    invocation: RefCell<String>,
    /// The process groups of this invocation.
    groups: RefCell<BTreeSet<i32>>,
}

impl Activation {
    pub fn new(
        machine: Rc<Machine>,
        entry: Rc<Entry>,
        unit: Rc<Unit>,
        service: Service,
        stop: CancellationToken,
    ) -> Self {
        Self {
            machine,
            entry,
            unit,
            service,
            stop,
            invocation: RefCell::default(),
            groups: RefCell::default(),
        }
    }

    /// Runs the service until it is stopped, or has ended and isn't to be restarted.
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

    /// Comes to rest. Whoever waits for the start hears of it, at the latest now.
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
            () = self.stop.cancelled() => {
                self.stopping();
                self.exec_stop(&mut main).await;
                self.terminate(&mut main).await
            }
        }
    }

    /// After a success: down, or up without a process (`RemainAfterExit=yes`).
    async fn remain(&self, started: &mut Option<Started>) -> Outcome {
        if self.service.remain_after_exit {
            self.entry.set_state(UnitState::Exited);
            announce(started, Ok(()));
            self.stop.cancelled().await;
            self.stopping();
            for command in &self.service.exec_stop {
                self.run_to_end_of_stop(command, None).await;
            }
        }
        Outcome::Success
    }

    /// Runs a command that has to end before the service can go on.
    async fn run_to_end(&self, command: &Command, deadline: Option<Instant>) -> Outcome {
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

    /// `ExecStop=`, while the main process still runs.
    async fn exec_stop(&self, main: &mut Process) {
        let pid = main.pid.as_raw_pid().to_string();
        for command in &self.service.exec_stop {
            self.run_to_end_of_stop(command, Some(("MAINPID", &pid)))
                .await;
        }
        if !self.service.exec_stop.is_empty() {
            // What ExecStop asked of it may take a moment; only then is it signalled.
            let gone = tokio::time::timeout(
                self.service.timeout_stop.unwrap_or(Duration::MAX),
                main.ended(),
            )
            .await;
            drop(gone);
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

    /// `KillSignal=`, `TimeoutStopSec=`, SIGKILL.
    async fn terminate(&self, process: &mut Process) -> Outcome {
        process.signal_group(self.service.kill_signal);
        tokio::select! {
            biased;
            exit = process.ended() => {
                let outcome = Outcome::of(exit, &self.service);
                // A oneshot that ends by the signal that it was sent has done what it was told.
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

    /// Ends what the service's processes have left behind, as KillMode=control-group does.
    async fn end_stragglers(&self) {
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
                    // It ended on its own, or it will still be there in the next round.
                    let _ = processes::signal(process, signal);
                }
            }
            sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(50));
        }
    }

    fn spawn(&self, command: &Command, extra: Option<(&str, &str)>) -> Result<Process, SpawnError> {
        let process = self.spawn_unrecorded(command, extra)?;
        self.entry
            .update(|status| status.pid = process.pid.as_raw_pid().try_into().ok());
        Ok(process)
    }

    /// A process that isn't the one to show as the unit's.
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
        self.groups
            .borrow_mut()
            .insert(Pid::as_raw_pid(process.pid));
        Ok(process)
    }

    fn not_spawned(&self, error: &SpawnError, ignore: bool) -> Outcome {
        self.say(error.to_string());
        let outcome = error.exit().map_or(Outcome::Resources, |exit| {
            self.say(format!("Main process exited, {exit}"));
            Outcome::ExitCode
        });
        if ignore { Outcome::Success } else { outcome }
    }

    fn stopping(&self) {
        self.machine
            .console
            .say(format!("Stopping {}...", self.unit.title()));
        self.entry.set_state(UnitState::Stopping);
    }

    fn stop_deadline(&self) -> Option<Instant> {
        self.service
            .timeout_stop
            .map(|timeout| Instant::now() + timeout)
    }

    fn say(&self, line: impl AsRef<str>) {
        self.machine
            .console
            .say(format!("{}: {}", self.unit.name, line.as_ref()));
    }
}

fn announce(started: &mut Option<Started>, result: Result<(), Outcome>) {
    if let Some(started) = started.take() {
        // Whoever started it may not want to know.
        let _ = started.send(result);
    }
}

/// Resolves at the deadline, if there is one.
async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
