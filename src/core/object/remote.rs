//! Files whose bytes lie behind a URL: keys that end in `.url`.
//!
//! The store keeps a claim on such a path before it knows the bytes. Who asks for them answers with an [`Arrival`] that carries the
//! ticket of the question, so that an answer to an older question never counts.

use std::sync::Arc;

use crate::core::object::{ObjectKey, Payload};
use crate::core::path::TargetPath;

/// The ending of a key whose value is a URL.
pub(crate) const SUFFIX: &str = ".url";

/// One file to ask for. Without `Debug`: the URL may carry credentials.
#[derive(Clone)]
pub struct Remote {
    /// Where the bytes go.
    pub path: TargetPath,
    /// The URL, as it stands in the object.
    pub url: Payload,
    /// Names this question.
    pub ticket: u64,
}

/// Everything that one object wants to have asked for; it replaces what was wanted before. Empty: nothing any more.
#[derive(Clone)]
pub struct RemoteFiles {
    /// The object.
    pub key: Arc<ObjectKey>,
    /// Its files.
    pub files: Vec<Remote>,
}

/// What became of a question. Without `Debug`: it holds content.
pub enum Arrival {
    /// The bytes.
    Body(Payload),
    /// They are the same as last time (304).
    Unchanged,
    /// There is no answer within the bounds of retries: what is on disk stays.
    Failed,
}
