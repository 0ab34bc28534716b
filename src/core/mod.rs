//! The pure part: no tokio, no kube client, no `std::fs`, no clock. A test enforces it.

pub mod object;
pub mod uid;
pub mod path;
pub mod policy;
pub mod project;
pub mod digest;
pub mod resolve;
pub mod entry;
pub mod folded;
pub mod store;
pub mod ledger;
pub mod plan;
pub mod wire;
pub mod watch;
