//! What happens while a command runs, as data.

use crate::cluster::Backend;
use crate::error::Error;
use crate::plan::{Plan, QuorumChange, Step};
use hakube_provider::WireCall;
use serde::Serialize;
use std::net::SocketAddr;

/// One thing that happened.
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
    /// A step is done.
    StepFinished {
        /// Which.
        #[serde(flatten)]
        step: StepEvent,
        /// How long it took.
        seconds: f64,
    },
    /// A step goes on, so far.
    StepProgress {
        /// Which.
        #[serde(flatten)]
        step: StepEvent,
        /// How many are done.
        done: u64,
        /// Of how many.
        of: u64,
    },
    /// A file is being downloaded to this host.
    Download {
        /// Its name.
        file: String,
        /// How many bytes are there.
        done: u64,
        /// Of how many, where the server says so.
        #[serde(skip_serializing_if = "Option::is_none")]
        of: Option<u64>,
    },
    /// A step failed in a way that may pass, and is tried again.
    StepRetried {
        /// Which.
        #[serde(flatten)]
        step: StepEvent,
        /// Why.
        error: String,
    },
    /// A step failed for good.
    StepFailed {
        /// Which.
        #[serde(flatten)]
        step: StepEvent,
        /// Why.
        error: String,
    },
    /// Something worth knowing.
    Note {
        /// One sentence.
        text: String,
    },
    /// Something worth worrying about.
    Warning {
        /// One sentence.
        text: String,
    },
    /// How long the endpoint didn't answer while its address moved.
    EndpointGap {
        /// In milliseconds, between the last answer before and the first after.
        milliseconds: u64,
    },
    /// The backends that a balancer of the user's own should have.
    Backends {
        /// Where the balancer is.
        endpoint: SocketAddr,
        /// They, oldest first.
        backends: Vec<Backend>,
    },
    /// The command ends with an error.
    Error {
        /// What happened.
        message: String,
        /// Why.
        causes: Vec<String>,
        /// What to do next.
        hints: Vec<String>,
        /// The exit code.
        exit_code: u8,
    },
    /// The last event of every changing command.
    Summary(Summary),
}

/// Which step an event is about.
#[derive(Debug, Clone, Serialize)]
pub struct StepEvent {
    /// The step's key.
    pub step: String,
    /// What it does.
    pub says: String,
}

impl StepEvent {
    /// About this step.
    pub fn of(step: &Step) -> Self {
        Self {
            step: step.key.clone(),
            says: step.says.clone(),
        }
    }
}

/// A step of a plan that is shown.
#[derive(Debug, Clone, Serialize)]
pub struct PlannedStep {
    /// The step's key.
    pub step: String,
    /// What it does.
    pub says: String,
    /// The steps before it.
    pub needs: Vec<String>,
    /// etcd's quorum around it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quorum: Option<QuorumChange>,
    /// The calls to the provider's API that will change something.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<WireCall>,
}

/// How a changing command ended.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Summary {
    /// `up`, `replicate`, …
    pub operation: String,
    /// Whether everything asked for is there.
    pub ok: bool,
    /// From the command's start to its end.
    pub seconds: f64,
    /// Steps that were run.
    pub steps: usize,
    /// Calls to the provider's API.
    pub api_calls: u64,
    /// The longest time that the endpoint didn't answer, when its address moved.
    pub endpoint_gap_ms: Option<u64>,
}

impl Event {
    /// A plan that is about to be run or was asked for, with the calls of each step.
    pub fn plan(plan: &Plan, calls: impl Fn(&Step) -> Vec<WireCall>) -> Self {
        let steps = plan.steps.iter().map(|step| PlannedStep {
            step: step.key.clone(),
            says: step.says.clone(),
            needs: [step.needs.as_slice(), &step.after].concat(),
            quorum: step.quorum,
            calls: calls(step),
        });
        Self::Plan {
            steps: steps.collect(),
        }
    }

    /// A step is done so far.
    pub fn progress(step: &Step, done: u64, of: u64) -> Self {
        Self::StepProgress {
            step: StepEvent::of(step),
            done,
            of,
        }
    }

    /// Something worth knowing.
    pub fn note(text: impl Into<String>) -> Self {
        Self::Note { text: text.into() }
    }

    /// Something worth worrying about.
    pub fn warning(text: impl Into<String>) -> Self {
        Self::Warning { text: text.into() }
    }

    /// The command ends with an error.
    pub fn error(error: &Error) -> Self {
        Self::Error {
            message: error.message.clone(),
            causes: error.causes.clone(),
            hints: error.hints.clone(),
            exit_code: error.kind.exit_code(),
        }
    }
}
