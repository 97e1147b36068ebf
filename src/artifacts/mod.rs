//! What machines download: programs and archives of images. Which they are is decided here from settings ([`wanted`]);
//! a directory with all of them is made ([`fetch`]), checked ([`verify`]) and served ([`serve`]) for networks that
//! reach no publisher.

mod beneath;
mod directory;
pub mod download;
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

pub use fetch::fetch;
pub use list::{Entry, Kind, arch, is_local, local_kubernetes, wanted};
pub use published::Published;
pub use serve::serve;
pub use verify::{Report, verify};
