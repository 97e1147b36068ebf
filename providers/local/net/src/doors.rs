//! Limits the number of connections, to keep one listener from using up the files that another one needs.
//!
//! The daemon is one process with one limit of open files, and any process on this machine can connect. At
//! its limit, a listener accepts a new connection by closing another: first the oldest one that never sent
//! anything, then the idle one that was quiet for longest. So idle connections, however many, lock no client
//! out.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio_util::sync::CancellationToken;

/// One daemon can't use more files than this.
const MOST_FILES: u64 = 65_536;
/// The assumed limit if it can't be queried.
const USUAL_FILES: u64 = 1024;

/// The connection limits of each kind of listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// For Compute Engine's API.
    pub api: usize,
    /// For the metadata server.
    pub metadata: usize,
    /// For all balancers and addresses together. Each connection takes two files.
    pub balancers: usize,
    /// For a single balancer or address.
    pub balancer: usize,
}

impl Limits {
    /// Raises this process's limit of open files as far as possible and divides it. A quarter is reserved
    /// for everything that isn't a connection.
    pub fn of_process() -> Self {
        let limit = getrlimit(Resource::Nofile);
        let hard = limit.maximum.unwrap_or(MOST_FILES).min(MOST_FILES);
        let mut files = limit.current.unwrap_or(USUAL_FILES);
        if hard > files {
            let raised = Rlimit {
                current: Some(hard),
                maximum: limit.maximum,
            };
            match setrlimit(Resource::Nofile, raised) {
                Ok(()) => files = hard,
                Err(error) => {
                    tracing::warn!(%error, "can't raise the limit of open files, which stays {files}")
                }
            }
        }
        Self::of(files)
    }

    fn of(files: u64) -> Self {
        let files = usize::try_from(files.min(MOST_FILES)).unwrap_or(USUAL_FILES as usize);
        Self {
            api: files / 8,
            metadata: files / 8,
            balancers: files / 4,
            balancer: files / 8,
        }
    }
}

/// Listeners that share a connection limit.
#[derive(Debug)]
pub struct Doors {
    all: usize,
    each: usize,
    /// In order of arrival.
    guests: Mutex<BTreeMap<u64, Guest>>,
    /// A logical clock: later events have higher numbers.
    moments: AtomicU64,
}

#[derive(Debug, Clone)]
struct Guest {
    door: u64,
    state: Arc<GuestState>,
    leave: CancellationToken,
}

#[derive(Debug, Default)]
struct GuestState {
    /// When it last sent or received; 0 is never.
    active: AtomicU64,
    /// Whether a request is in progress.
    busy: AtomicBool,
}

/// A connection's permit, released when dropped.
#[derive(Debug)]
pub struct Ticket {
    number: u64,
    guest: Guest,
    doors: Arc<Doors>,
}

/// One listener.
#[derive(Debug, Clone)]
pub struct Door {
    number: u64,
    doors: Arc<Doors>,
}

impl Doors {
    /// At most `all` connections, and `each` for one listener.
    pub fn new(all: usize, each: usize) -> Arc<Self> {
        Arc::new(Self {
            all,
            each,
            guests: Mutex::default(),
            moments: AtomicU64::new(1),
        })
    }

    /// Another listener.
    pub fn door(self: &Arc<Self>) -> Door {
        Door {
            number: self.moment(),
            doors: Arc::clone(self),
        }
    }

    fn moment(&self) -> u64 {
        self.moments.fetch_add(1, Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Guest>> {
        // Each update is a single operation, so a poisoned lock is consistent.
        self.guests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Door {
    /// Admits a connection, replacing another one at the limit. `None` if all are busy.
    pub fn admit(&self) -> Option<Ticket> {
        let doors = &self.doors;
        let mut guests = doors.lock();
        let here = guests
            .values()
            .filter(|guest| guest.door == self.number)
            .count();
        let from = if here >= doors.each {
            Some(self.number)
        } else if guests.len() >= doors.all {
            most_crowded(&guests)
        } else {
            None
        };
        if let Some(door) = from {
            let leaving = least_useful(&guests, door)?;
            let guest = guests.remove(&leaving)?;
            guest.leave.cancel();
        }
        let guest = Guest {
            door: self.number,
            state: Arc::default(),
            leave: CancellationToken::new(),
        };
        let number = doors.moment();
        guests.insert(number, guest.clone());
        Some(Ticket {
            number,
            guest,
            doors: Arc::clone(doors),
        })
    }
}

impl Ticket {
    /// Records that it sent or received something.
    pub fn touch(&self) {
        let now = self.doors.moment();
        self.guest.state.active.store(now, Ordering::Relaxed);
    }

    /// Protects it from being replaced until the guard is dropped.
    pub fn busy(self: &Arc<Self>) -> Busy {
        self.guest.state.busy.store(true, Ordering::Relaxed);
        Busy(Arc::clone(self))
    }

    /// Resolves when the connection was replaced.
    pub async fn revoked(&self) {
        self.guest.leave.cancelled().await;
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.doors.lock().remove(&self.number);
    }
}

/// A guard that marks a connection as busy.
#[derive(Debug)]
pub struct Busy(Arc<Ticket>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.guest.state.busy.store(false, Ordering::Relaxed);
        self.0.touch();
    }
}

fn most_crowded(guests: &BTreeMap<u64, Guest>) -> Option<u64> {
    let mut counts: BTreeMap<u64, usize> = BTreeMap::new();
    for guest in guests.values() {
        *counts.entry(guest.door).or_default() += 1;
    }
    let most = counts.into_iter().max_by_key(|(_, count)| *count);
    most.map(|(door, _)| door)
}

/// The oldest one that never sent anything, otherwise the one that was idle for longest.
fn least_useful(guests: &BTreeMap<u64, Guest>, door: u64) -> Option<u64> {
    guests
        .iter()
        .filter(|(_, guest)| guest.door == door && !guest.state.busy.load(Ordering::Relaxed))
        .min_by_key(|(number, guest)| (guest.state.active.load(Ordering::Relaxed), **number))
        .map(|(number, _)| *number)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn is_revoked(ticket: &Ticket) -> bool {
        ticket.guest.leave.is_cancelled()
    }

    #[test]
    fn the_silent_make_room_first_then_the_quiet_and_the_busy_never() {
        let door = Doors::new(10, 3).door();
        let tickets: Vec<Arc<Ticket>> = (0..3).map(|_| Arc::new(door.admit().unwrap())).collect();
        tickets[0].touch();
        tickets[2].touch();
        let fourth = Arc::new(door.admit().unwrap());
        assert!(is_revoked(&tickets[1]));
        fourth.touch();
        let _serving = tickets[0].busy();
        let fifth = Arc::new(door.admit().unwrap());
        assert!(is_revoked(&tickets[2]) && !is_revoked(&tickets[0]));
        let _serving = (fourth.busy(), fifth.busy());
        assert!(door.admit().is_none());
    }

    #[test]
    fn one_listener_leaves_room_for_another() {
        let doors = Doors::new(4, 3);
        let (crowded, other) = (doors.door(), doors.door());
        let many: Vec<Ticket> = (0..9).map(|_| crowded.admit().unwrap()).collect();
        assert_eq!(many.iter().filter(|ticket| !is_revoked(ticket)).count(), 3);
        let few: Vec<Ticket> = (0..2).map(|_| other.admit().unwrap()).collect();
        // The second listener was over the shared limit, so the crowded one gave way.
        assert!(few.iter().all(|ticket| !is_revoked(ticket)));
        assert_eq!(many.iter().filter(|ticket| !is_revoked(ticket)).count(), 2);
        drop((many, few));
        assert!(doors.lock().is_empty());
    }

    #[test]
    fn all_connections_together_leave_files_for_everything_else() {
        for files in [256, 1024, 4096, 1_048_576] {
            let limits = Limits::of(files);
            let taken = limits.api + limits.metadata + 2 * limits.balancers;
            assert!(u64::try_from(taken).unwrap() <= files * 3 / 4, "{limits:?}");
            assert!(limits.balancer < limits.balancers && limits.balancer >= 32);
        }
    }
}
