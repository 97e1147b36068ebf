//! The local cloud: a Compute Engine API whose machines run on this one

pub mod machine;
