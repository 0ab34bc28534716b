//! Where objects come from. A source turns what it reads into [`SourceEvent`](crate::core::object::SourceEvent)s and pushes
//! them into the mailbox; the engine asks back by [`Request`].

use crate::core::object::{ObjectKey, SourceId};

pub mod api;
pub mod cluster;
mod connection;
pub mod decode;
pub mod download;
pub mod exec;
pub mod failure;
pub mod fetch;
pub mod found;
pub(crate) mod json;
pub mod lines;
pub mod mailbox;
pub mod manifests;
pub mod named;
pub(crate) mod node;
pub mod pages;
mod plugin;
mod route;
pub mod scope;
pub mod token;
pub mod yaml;

/// What the engine asks of a source. Answered by ordinary events, or not at all where the source has nothing to say.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Request {
    /// Send this object again, with its bytes.
    Fetch(ObjectKey),
    /// Send everything of this source again, as a new list.
    Relist(SourceId),
}
