//! A service between its start and its end.

use std::{cell::RefCell, collections::BTreeSet, rc::Rc};

use tokio_util::sync::CancellationToken;

use crate::{
    init::{entry::Entry, machine::Machine},
    unit::{Service, Unit},
};

pub struct Activation {
    pub(super) machine: Rc<Machine>,
    pub(super) entry: Rc<Entry>,
    pub(super) unit: Rc<Unit>,
    pub(super) service: Service,
    pub(super) stop: CancellationToken,
    /// `INVOCATION_ID`, by which processes that have left their group are found.
    pub(super) invocation: RefCell<String>,
    /// The process groups of this invocation.
    pub(super) groups: RefCell<BTreeSet<i32>>,
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
}
