//! Which files there shall be, who keeps a path, and what is to be done about it: from objects to a plan, and what the ledger says.

pub mod entry;
pub(crate) mod folded;
pub(crate) mod held;
pub mod ledger;
pub(crate) mod mark;
pub(crate) mod order;
pub mod plan;
pub mod project;
pub(crate) mod remotes;
pub(crate) mod resolve;
pub mod store;
pub(crate) mod trust;
pub(crate) mod unpack;
