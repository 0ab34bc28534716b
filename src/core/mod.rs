//! The pure part: no tokio, no kube client, no `std::fs`, no clock. A test enforces it.

pub mod files;
pub mod object;
pub mod policy;
pub(crate) mod room;
pub(crate) mod schedule;
pub mod settle;
pub mod spread;
pub mod tell;
pub mod watch;
