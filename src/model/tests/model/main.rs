//! The decisions of the model, over clusters made from settings.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod belief;
mod edit;
mod nodes;
mod rebuild;
mod trust;
