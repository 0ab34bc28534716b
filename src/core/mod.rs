//! The pure part: no tokio, no kube client, no `std::fs`, no clock. A test enforces it.

pub mod cause;
pub mod digest;
pub mod entry;
pub mod folded;
pub mod held;
pub mod ledger;
pub mod merge;
pub mod object;
pub mod order;
pub mod path;
pub mod plan;
pub mod policy;
pub mod project;
pub mod react;
pub mod remote;
pub mod remotes;
pub mod resolve;
pub mod retry;
pub mod schedule;
pub mod selector;
pub mod store;
pub mod trigger;
pub mod trust;
pub mod uid;
pub mod watch;
pub mod wire;
