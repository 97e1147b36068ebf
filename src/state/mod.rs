//! What hakube keeps.
