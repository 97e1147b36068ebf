//! Sessions with ssh servers: commands with their input, and connections that go on from there.
//!
//! A server's host keys are known beforehand, and never trusted because it shows them: one that shows another key gets
//! nothing. Logging in is by a key, or by an ssh agent's keys; on the way there may be a jump host.

mod login;
mod session;
mod shell;

pub use login::{Key, Login};
pub use session::{Failure, Hop, Output, Session, fingerprint, keys};
pub use shell::{as_root, word};
