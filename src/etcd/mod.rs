//! etcd's membership over its v3 API. What to change, and when, is decided elsewhere.

mod client;
mod error;

pub use client::EtcdClient;
pub use error::{EtcdError, EtcdResult};

use crate::channel::Door;
use crate::cluster::Alarm;
use async_trait::async_trait;
use std::net::IpAddr;

/// The port that members serve clients on.
pub const CLIENT_PORT: u16 = 2379;
/// The port that members serve each other on.
pub const PEER_PORT: u16 = 2380;

/// The URL by which other members reach the one at `address`.
pub fn peer_url(address: IpAddr) -> String {
    format!("https://{}", std::net::SocketAddr::new(address, PEER_PORT))
}

/// A member, as etcd lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// etcd's id.
    pub id: u64,
    /// Its name; empty until it has started.
    pub name: String,
    /// The URLs by which other members reach it.
    pub peer_urls: Vec<String>,
    /// Whether it doesn't vote.
    pub learner: bool,
}

/// What a member says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberStatus {
    /// Its own id.
    pub id: u64,
    /// The id of the member that it follows, its own when it leads, 0 when it knows none.
    pub leader: u64,
    /// The version of the program.
    pub version: String,
}

/// One cluster of etcd, asked through any of its members.
///
/// `via` names the doors of members to go through, tried in order until one answers. A learner
/// answers none of these but [`Etcd::status`].
#[async_trait]
pub trait Etcd: Send + Sync {
    /// The members.
    async fn members(&self, via: &[Door]) -> EtcdResult<Vec<Member>>;

    /// What the member behind a door says of itself, after a linearizable read through it: an answer
    /// means that it takes part. A learner is asked without the read, which it can't serve.
    async fn status(&self, at: &Door, learner: bool) -> EtcdResult<MemberStatus>;

    /// The alarms that are raised, each with the id of the member that it is about.
    async fn alarms(&self, via: &[Door]) -> EtcdResult<Vec<(u64, Alarm)>>;

    /// Adds a member that doesn't vote. Returns its id.
    async fn add_learner(&self, via: &[Door], peer_url: &str) -> EtcdResult<u64>;

    /// Gives a learner its vote. Refused with [`EtcdError::NotInSync`] until it has caught up.
    async fn promote(&self, via: &[Door], member: u64) -> EtcdResult<()>;

    /// Removes a member. One that is already gone: success.
    async fn remove(&self, via: &[Door], member: u64) -> EtcdResult<()>;

    /// Makes another voter the leader. `leader` is the door of the one that leads now.
    async fn move_leader(&self, leader: &Door, to: u64) -> EtcdResult<()>;
}
