//! Reaping: an init process is the parent of all orphans.

use std::{cell::RefCell, collections::HashMap};

use rustix::process::{Pid, WaitOptions, wait};
use tokio::sync::oneshot;

use super::exit::Exit;

/// Waiters by process. Other processes' exit statuses are dropped.
#[derive(Default)]
pub struct Reaper(RefCell<HashMap<Pid, oneshot::Sender<Exit>>>);

impl Reaper {
    /// Waits for a child. Must be called right after it was spawned, before any await: it can't have been
    /// reaped yet.
    pub fn watch(&self, pid: Pid) -> oneshot::Receiver<Exit> {
        let (sender, receiver) = oneshot::channel();
        self.0.borrow_mut().insert(pid, sender);
        receiver
    }

    pub fn reap(&self) {
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            if let Some(sender) = self.0.borrow_mut().remove(&pid) {
                // The waiter may be gone.
                let _ = sender.send(status.into());
            }
        }
    }
}
