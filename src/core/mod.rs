//! The pure part: no tokio, no kube client, no `std::fs`, no clock. A test enforces it.
//!
//! In reading order: a module uses only what stands before it.

pub(crate) mod backoff;
pub mod debt;
pub mod digest;
pub mod discretion;
pub mod files;
pub(crate) mod memory;
pub(crate) mod names;
pub mod object;
pub mod path;
pub mod policy;
pub mod record;
pub mod retry;
pub(crate) mod schedule;
pub mod settle;
pub mod spread;
pub mod tell;
pub mod watch;
