//! What all types of resources are made of: keys, links, errors, tables, and Compute Engine's limits.

mod block;
pub mod catalog;
mod error;
pub mod images;
mod labels;
pub mod limits;
pub mod link;
mod ports;
pub(crate) mod resource;
mod scope;
mod table;

pub use block::{Block, OCTETS, PORT};
pub use error::ApiError;
pub use labels::{Labelled, Labels};
pub use ports::PortRange;
pub(crate) use resource::resource;
pub use resource::{Level, Meta, Resource, Target, Type, fresh_fingerprint, fresh_id, now};
pub use scope::{Key, Scope, region_of};
pub use table::{AnyTable, Phase, Record, Table};
