//! Events of a running command, as data.

use hakube_error::Error;
use hakube_model::Backend;
use hakube_plan::{Plan, QuorumChange, Step};
use hakube_provider::WireCall;
use serde::Serialize;
use std::net::SocketAddr;

/// An event.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The steps that will be run, or with `--dry-run` would be.
    Plan {
        /// The steps, in order.
        steps: Vec<PlannedStep>,
    },
    /// A step began.
    StepStarted(StepEvent),
    /// A step succeeded.
    StepFinished {
        /// The step.
        #[serde(flatten)]
        step: StepEvent,
        /// How long it took.
        seconds: f64,
    },
    /// A step made progress.
    StepProgress {
        /// The step.
        #[serde(flatten)]
        step: StepEvent,
        /// The number of items done.
        done: u64,
        /// The total number of items.
        of: u64,
    },
    /// A file is being downloaded to this host.
    Download {
        /// The file's name.
        file: String,
        /// The bytes downloaded so far.
        done: u64,
        /// The total size, if the server sends it.
        #[serde(skip_serializing_if = "Option::is_none")]
        of: Option<u64>,
    },
    /// A step failed with a transient error, and is retried.
    StepRetried {
        /// The step.
        #[serde(flatten)]
        step: StepEvent,
        /// The error.
        error: String,
    },
    /// A step failed permanently.
    StepFailed {
        /// The step.
        #[serde(flatten)]
        step: StepEvent,
        /// The error.
        error: String,
    },
    /// A note.
    Note {
        /// One sentence.
        text: String,
    },
    /// A warning.
    Warning {
        /// One sentence.
        text: String,
    },
    /// How long the endpoint didn't respond while its address moved.
    EndpointGap {
        /// The milliseconds between the last response before and the first after.
        milliseconds: u64,
    },
    /// The backends that the user's own load balancer should have.
    Backends {
        /// The load balancer's address.
        endpoint: SocketAddr,
        /// The backends, oldest first.
        backends: Vec<Backend>,
    },
    /// The command failed.
    Error {
        /// What happened.
        message: String,
        /// The causes.
        causes: Vec<String>,
        /// What to do next.
        hints: Vec<String>,
        /// The exit code.
        exit_code: u8,
    },
    /// The last event of every command that changes a cluster.
    Summary(Summary),
}

/// The step that an event is about.
#[derive(Debug, Clone, Serialize)]
pub struct StepEvent {
    /// The step's key.
    pub step: String,
    /// Its description.
    pub says: String,
}

impl StepEvent {
    /// A reference to this step.
    pub fn of(step: &Step) -> Self {
        Self {
            step: step.key.to_string(),
            says: step.says.clone(),
        }
    }
}

/// A step of a plan that is shown.
#[derive(Debug, Clone, Serialize)]
pub struct PlannedStep {
    /// The step's key.
    pub step: String,
    /// Its description.
    pub says: String,
    /// The steps that it depends on.
    pub needs: Vec<String>,
    /// etcd's quorum before and after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quorum: Option<QuorumChange>,
    /// The provider API calls that will change something.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<WireCall>,
}

/// The outcome of a command that changes a cluster.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Summary {
    /// `up`, `replicate`, …
    pub operation: String,
    /// Whether everything was done.
    pub ok: bool,
    /// The command's duration.
    pub seconds: f64,
    /// The number of steps run.
    pub steps: usize,
    /// The number of calls to the provider's API.
    pub api_calls: u64,
    /// The longest time that the endpoint didn't respond, if its address moved.
    pub endpoint_gap_ms: Option<u64>,
}

impl Event {
    /// A plan to run or to show, with the calls of each step.
    pub fn plan(plan: &Plan, calls: impl Fn(&Step) -> Vec<WireCall>) -> Self {
        let steps = plan.steps.iter().map(|step| PlannedStep {
            step: step.key.to_string(),
            says: step.says.clone(),
            needs: step
                .needs
                .iter()
                .chain(&step.after)
                .map(ToString::to_string)
                .collect(),
            quorum: step.quorum,
            calls: calls(step),
        });
        Self::Plan {
            steps: steps.collect(),
        }
    }

    /// Progress of a step.
    pub fn progress(step: &Step, done: u64, of: u64) -> Self {
        Self::StepProgress {
            step: StepEvent::of(step),
            done,
            of,
        }
    }

    /// A note.
    pub fn note(text: impl Into<String>) -> Self {
        Self::Note { text: text.into() }
    }

    /// A warning.
    pub fn warning(text: impl Into<String>) -> Self {
        Self::Warning { text: text.into() }
    }

    /// The error that ends the command.
    pub fn error(error: &Error) -> Self {
        Self::Error {
            message: error.message.clone(),
            causes: error.causes.clone(),
            hints: error.hints.clone(),
            exit_code: error.kind.exit_code(),
        }
    }
}
