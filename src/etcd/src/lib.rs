//! etcd's membership over its v3 API. Decisions about changes are made elsewhere.

mod client;
mod error;

pub use client::EtcdClient;
pub use error::{EtcdError, EtcdResult};

use async_trait::async_trait;
use hakube_channel::Door;
use hakube_model::{Alarm, DatabaseSize};
use std::net::IpAddr;
use std::time::Duration;

/// The port for clients.
pub const CLIENT_PORT: u16 = 2379;
/// The port for peers.
pub const PEER_PORT: u16 = 2380;

/// The peer URL of the member at `address`.
pub fn peer_url(address: IpAddr) -> String {
    format!("https://{}", std::net::SocketAddr::new(address, PEER_PORT))
}

/// A member in etcd's list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// etcd's member ID.
    pub id: u64,
    /// Its name; empty until it has started.
    pub name: String,
    /// Its peer URLs.
    pub peer_urls: Vec<String>,
    /// Whether it is a learner, which doesn't vote.
    pub learner: bool,
}

/// A member's status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberStatus {
    /// Its own ID.
    pub id: u64,
    /// The ID of its leader: its own if it leads, 0 if it knows none.
    pub leader: u64,
    /// The program's version.
    pub version: String,
    /// The size of its database in bytes.
    pub database: DatabaseSize,
    /// The revision of its data.
    pub revision: i64,
}

/// A cluster of etcd, accessed through any of its members.
///
/// `via` lists members to try in order until one responds. A learner supports only [`Etcd::learner_status`].
#[async_trait]
pub trait Etcd: Send + Sync {
    /// Lists the members.
    async fn members(&self, via: &[Door]) -> EtcdResult<Vec<Member>>;

    /// Returns a voter's status, after a linearizable read through it, which proves that it is part
    /// of the quorum.
    async fn status(&self, at: &Door) -> EtcdResult<MemberStatus>;

    /// Returns a learner's status. Learners serve no reads.
    async fn learner_status(&self, at: &Door) -> EtcdResult<MemberStatus>;

    /// Lists the active alarms, each with the ID of its member.
    async fn alarms(&self, via: &[Door]) -> EtcdResult<Vec<(u64, Alarm)>>;

    /// Returns the value of a key; `None` if there is none.
    async fn get(&self, via: &[Door], key: &str) -> EtcdResult<Option<Vec<u8>>>;

    /// Sets the value of a key.
    async fn put(&self, via: &[Door], key: &str, value: Vec<u8>) -> EtcdResult<()>;

    /// Adds a learner, and returns its ID.
    async fn add_learner(&self, via: &[Door], peer_url: &str) -> EtcdResult<u64>;

    /// Promotes a learner to a voter. Refused with [`EtcdError::NotInSync`] until it has caught up.
    async fn promote(&self, via: &[Door], member: u64) -> EtcdResult<()>;

    /// Removes a member. Succeeds if it is already gone.
    async fn remove(&self, via: &[Door], member: u64) -> EtcdResult<()>;

    /// Compacts the history to the latest revision. Returns once the member has finished. Succeeds
    /// if there is nothing to compact.
    async fn compact(&self, via: &[Door], within: Duration) -> EtcdResult<()>;

    /// Defragments a member's database file. The member doesn't serve in the meantime.
    async fn defragment(&self, at: &Door, within: Duration) -> EtcdResult<()>;

    /// Disarms all alarms of this kind. Succeeds if there are none.
    async fn disarm(&self, via: &[Door], alarm: Alarm) -> EtcdResult<()>;

    /// Returns a snapshot of a member's data, with the checksum that etcd appends. Needs no quorum.
    async fn snapshot(&self, at: &Door, within: Duration) -> EtcdResult<Vec<u8>>;

    /// Transfers leadership to another voter. `leader` is the current leader.
    async fn move_leader(&self, leader: &Door, to: u64) -> EtcdResult<()>;
}
