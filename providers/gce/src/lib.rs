//! The Compute Engine provider, on Google's own client crate
