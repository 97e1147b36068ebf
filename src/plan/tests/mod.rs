//! Plans: what is in them, and what becomes of a world that carries them out.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod histories;
mod world;
