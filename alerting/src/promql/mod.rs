//! What an expression reads.
