//! The artifacts that machines download: programs and image archives. [`wanted`] derives them from
//! settings. For networks without access to publishers, [`fetch()`] fills a directory with all of
//! them, [`verify()`] checks it and [`serve()`] serves it.

mod beneath;
mod directory;
pub mod download;
mod entry;
mod fetch;
pub mod images;
mod list;
mod published;
mod registry;
mod serve;
pub mod sums;
mod tarball;
mod verify;

#[cfg(test)]
mod tests;

pub use entry::{Entry, Kind};
pub use fetch::fetch;
pub use list::{arch, has_nodes, is_local, local_kubernetes, wanted};
pub use published::Published;
pub use serve::serve;
pub use verify::{Report, verify};
