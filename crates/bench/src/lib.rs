//! Placeholder header, rewritten by the first commit of the crate.
