//! Reaping: an init process is the parent of whoever has lost theirs.

use std::{cell::RefCell, collections::HashMap};

use rustix::process::{Pid, WaitOptions, wait};
use tokio::sync::oneshot;

use super::exit::Exit;

/// Who waits for which process. Everybody else's status is of no interest.
#[derive(Default)]
pub struct Reaper(RefCell<HashMap<Pid, oneshot::Sender<Exit>>>);

impl Reaper {
    /// Waits for a child. To be called right after it was made, before anything is awaited: then it can't
    /// have been reaped yet.
    pub fn watch(&self, pid: Pid) -> oneshot::Receiver<Exit> {
        let (sender, receiver) = oneshot::channel();
        self.0.borrow_mut().insert(pid, sender);
        receiver
    }

    /// Reaps every child that has ended.
    pub fn reap(&self) {
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            if let Some(sender) = self.0.borrow_mut().remove(&pid) {
                // Nobody may be waiting any more.
                let _ = sender.send(status.into());
            }
        }
    }
}
