//! Which files there shall be, who keeps a path, and what is to be done about it: from objects to a plan, and what the ledger says.

pub mod digest;
pub mod entry;
pub mod folded;
pub mod held;
pub mod ledger;
pub mod mark;
pub mod order;
pub mod path;
pub mod plan;
pub mod project;
pub mod remote;
pub mod remotes;
pub mod resolve;
pub mod store;
pub mod trust;
pub mod unpack;
