//! The resources of the emulator of Compute Engine, without I/O: their types, the state that holds them, the rules
//! for changing them, and lists with filters.
//!
//! From the bottom up: keys, links and errors; [`types`]; [`State`], a table of each type; [`rules`], which know
//! how resources depend on each other.

mod base;
mod filter;
pub mod list;
pub mod rules;
mod state;
pub mod types;

pub use base::{
    AnyTable, ApiError, Block, Key, Labelled, Labels, Level, Meta, OCTETS, PORT, Phase, PortRange,
    Record, Resource, Scope, Table, Target, Type, catalog, fresh_fingerprint, images, limits, link,
    now, region_of,
};
pub use state::{Limits, State, Stored, VERSION};
