//! Sessions with ssh servers: commands with input, and forwarded connections.
//!
//! A server's host keys must be known in advance; nothing is sent to a server that shows another
//! key. Login is by a key or an ssh agent's keys, optionally through a jump host.

mod login;
mod session;
mod shell;

pub use login::{Key, Login};
pub use session::{Failure, Hop, Output, Session, fingerprint, keys};
pub use shell::{as_root, word};
