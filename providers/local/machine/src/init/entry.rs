//! A unit's definition and its state, which others can wait for.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{exit::Starts, log::Log, machine::Machine};
use crate::{
    spec::{UnitState, UnitStatus},
    unit::Unit,
};

pub struct Entry {
    pub name: String,
    pub unit: RefCell<Rc<Unit>>,
    /// What the unit was read from; `None` for a target without a file.
    pub text: RefCell<Option<String>>,
    /// The reason that it can't be started.
    pub broken: RefCell<Option<String>>,
    pub status: watch::Sender<UnitStatus>,
    /// Cancelled to stop the current activation.
    pub stop: RefCell<CancellationToken>,
    pub starts: RefCell<Starts>,
    pub start_limit_hit: Cell<bool>,
    log: RefCell<Option<Rc<RefCell<Log>>>>,
}

impl Entry {
    pub fn new(name: &str) -> Self {
        let status = UnitStatus {
            name: name.to_owned(),
            state: UnitState::Inactive,
            pid: None,
            restarts: 0,
        };
        Self {
            name: name.to_owned(),
            unit: RefCell::new(Rc::new(Unit::target(name))),
            text: RefCell::default(),
            broken: RefCell::default(),
            status: watch::Sender::new(status),
            stop: RefCell::default(),
            starts: RefCell::default(),
            start_limit_hit: Cell::default(),
            log: RefCell::default(),
        }
    }

    pub fn unit(&self) -> Rc<Unit> {
        self.unit.borrow().clone()
    }

    pub fn state(&self) -> UnitState {
        self.status.borrow().state
    }

    pub fn set_state(&self, state: UnitState) {
        self.update(|status| status.state = state);
    }

    pub fn update(&self, change: impl FnOnce(&mut UnitStatus)) {
        self.status.send_modify(change);
    }

    /// Resolves at the first state that `wanted` accepts.
    pub async fn reaches(&self, wanted: impl Fn(UnitState) -> bool) -> UnitState {
        let mut watch = self.status.subscribe();
        // The sender lives as long as this entry, so this can't fail.
        let reached = watch
            .wait_for(|status| wanted(status.state))
            .await
            .map(|status| status.state);
        reached.unwrap_or(UnitState::Failed)
    }

    /// The log of its output, opened on first use. Without one (a full disk), output is dropped.
    pub fn log(&self, machine: &Machine) -> Option<Rc<RefCell<Log>>> {
        let mut log = self.log.borrow_mut();
        if log.is_none() {
            *log = Log::open(machine.layout.unit_log(&self.name))
                .ok()
                .map(|open| Rc::new(RefCell::new(open)));
        }
        log.clone()
    }

    /// The token for a new activation.
    pub fn arm(&self) -> CancellationToken {
        let token = CancellationToken::new();
        self.stop.replace(token.clone());
        token
    }
}

/// Whether nothing of a unit runs or is about to.
pub fn is_down(state: UnitState) -> bool {
    matches!(state, UnitState::Inactive | UnitState::Failed)
}
