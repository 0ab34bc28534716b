//! Where objects come from. A source turns what it reads into [`SourceEvent`](crate::core::object::SourceEvent)s and pushes
//! them into the mailbox; the engine asks back by [`Request`].

use crate::core::object::{ObjectKey, SourceId};

pub(crate) mod cluster;
pub(crate) mod downloads;
pub(crate) mod fetch;
pub mod mailbox;
pub mod manifests;
mod read_times;
pub(crate) mod scope;

/// What the engine asks of a source. Answered by ordinary events, or not at all where the source has nothing to say.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Request {
    /// Send this object again, with its bytes.
    Fetch(ObjectKey),
    /// Send everything of this source again, as a new list.
    Relist(SourceId),
}
