//! The config of every virtual cluster in a stream: where it comes from, and what it says.
//!
//! Knows objects and texts, not the bytes of the stream, and not what the policies will be.

pub mod cluster;
pub mod document;
pub mod fields;
mod ownership;
pub mod settings;
