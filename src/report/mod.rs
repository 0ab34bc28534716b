//! What people are told and what objects carry: Events, finalizers, permissions.
//!
//! Owns every write to the API server. It keeps state, not events, so it can be slow, retried or absent without harm
//! to the files; nothing here is ever waited for by the engine.

pub(crate) mod events;
pub(crate) mod farewell;
pub(crate) mod finalizers;
pub(crate) mod inbox;
pub(crate) mod patch;
pub(crate) mod reason;
pub(crate) mod refusals;
pub(crate) mod release;
pub(crate) mod series;
pub(crate) mod settle;
pub(crate) mod sweep;
pub(crate) mod would;
