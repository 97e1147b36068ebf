//! How a unit's processes end, and the consequences; pure functions.

use std::{collections::VecDeque, fmt, time::Instant};

use rustix::process::{Signal, WaitStatus};

use crate::unit::{RestartPolicy, Service, ServiceType, StartLimit, settings::signal_name};

/// How one process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    Code(i32),
    Signal(i32),
}

impl From<WaitStatus> for Exit {
    fn from(status: WaitStatus) -> Self {
        match status.terminating_signal() {
            Some(signal) => Self::Signal(signal),
            None => Self::Code(status.exit_status().unwrap_or(-1)),
        }
    }
}

/// In systemd's words: `code=exited, status=1/FAILURE`.
impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => {
                let name = match code {
                    0 => "SUCCESS",
                    1 => "FAILURE",
                    200 => "CHDIR",
                    203 => "EXEC",
                    _ => "n/a",
                };
                write!(f, "code=exited, status={code}/{name}")
            }
            Self::Signal(signal) => {
                write!(f, "code=killed, status={signal}/{}", signal_name(*signal))
            }
        }
    }
}

/// How one activation of a service ended: systemd's "result".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Success,
    ExitCode,
    Signal,
    Timeout,
    /// It exited before it reported READY=1.
    Protocol,
    /// It could not be started: an environment file is missing, or the host has no free processes.
    Resources,
    StartLimitHit,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Success => "success",
            Self::ExitCode => "exit-code",
            Self::Signal => "signal",
            Self::Timeout => "timeout",
            Self::Protocol => "protocol",
            Self::Resources => "resources",
            Self::StartLimitHit => "start-limit-hit",
        })
    }
}

impl Outcome {
    /// The outcome for a service when its process ends.
    pub fn of(exit: Exit, service: &Service) -> Self {
        // The usual termination signals of daemons. For a oneshot's command they are failures.
        const CLEAN: [Signal; 4] = [Signal::HUP, Signal::INT, Signal::TERM, Signal::PIPE];
        let daemon = service.kind != ServiceType::Oneshot;
        match exit {
            Exit::Code(code) if code == 0 || service.success.codes.contains(&code) => Self::Success,
            Exit::Code(_) => Self::ExitCode,
            Exit::Signal(signal) if service.success.signals.contains(&signal) => Self::Success,
            Exit::Signal(signal)
                if daemon && CLEAN.iter().any(|clean| clean.as_raw() == signal) =>
            {
                Self::Success
            }
            Exit::Signal(_) => Self::Signal,
        }
    }

    /// Whether a service that ended like this, without being stopped, is restarted.
    pub fn restarts(self, policy: RestartPolicy) -> bool {
        match policy {
            _ if self == Self::StartLimitHit => false,
            RestartPolicy::No => false,
            RestartPolicy::Always => true,
            RestartPolicy::OnSuccess => self == Self::Success,
            RestartPolicy::OnFailure => self != Self::Success,
            RestartPolicy::OnAbnormal => matches!(self, Self::Signal | Self::Timeout),
            RestartPolicy::OnAbort => self == Self::Signal,
        }
    }
}

/// The recent starts of a unit, for its start limit.
#[derive(Debug, Default)]
pub struct Starts(VecDeque<Instant>);

impl Starts {
    /// Counts a start; rejects it if there were more than `burst` within `interval`.
    pub fn admit(&mut self, limit: StartLimit, now: Instant) -> bool {
        if limit.interval.is_zero() || limit.burst == 0 {
            return true;
        }
        while self
            .0
            .front()
            .is_some_and(|start| now.duration_since(*start) >= limit.interval)
        {
            self.0.pop_front();
        }
        let admitted = u32::try_from(self.0.len()).is_ok_and(|starts| starts < limit.burst);
        if admitted {
            self.0.push_back(now);
        }
        admitted
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// The table "Exit causes and the effect of the Restart= settings" of systemd.service(5).
    #[test]
    fn restarts_as_the_manual_page_s_table_says() {
        use RestartPolicy::*;
        let policies = [No, Always, OnSuccess, OnFailure, OnAbnormal, OnAbort];
        let table = [
            (Outcome::Success, [false, true, true, false, false, false]),
            (Outcome::ExitCode, [false, true, false, true, false, false]),
            (Outcome::Signal, [false, true, false, true, true, true]),
            (Outcome::Timeout, [false, true, false, true, true, false]),
        ];
        for (outcome, expected) in table {
            assert_eq!(
                policies.map(|policy| outcome.restarts(policy)),
                expected,
                "{outcome}"
            );
        }
        assert!(!Outcome::StartLimitHit.restarts(Always));
    }

    #[test]
    fn a_signal_that_asks_is_success_for_a_daemon_and_failure_for_a_oneshot() {
        let mut service = Service::default();
        let term = Exit::Signal(15);
        assert_eq!(Outcome::of(term, &service), Outcome::Success);
        assert_eq!(Outcome::of(Exit::Signal(9), &service), Outcome::Signal);
        assert_eq!(Outcome::of(Exit::Code(75), &service), Outcome::ExitCode);
        service.success.codes.insert(75);
        assert_eq!(Outcome::of(Exit::Code(75), &service), Outcome::Success);
        service.kind = ServiceType::Oneshot;
        assert_eq!(Outcome::of(term, &service), Outcome::Signal);
    }

    #[test]
    fn the_start_limit_forgets_after_its_interval() {
        let limit = StartLimit {
            interval: Duration::from_secs(10),
            burst: 2,
        };
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let mut starts = Starts::default();
        let admitted = [0, 1, 2, 10, 10, 11].map(|second| starts.admit(limit, at(second)));
        assert_eq!(admitted, [true, true, false, true, false, true]);
        let none = StartLimit {
            interval: Duration::ZERO,
            burst: 5,
        };
        assert!((0..9).all(|_| starts.admit(none, begin)));
    }
}
