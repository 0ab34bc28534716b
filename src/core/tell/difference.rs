//! What a commit changes of what the application is told of.

use std::sync::Arc;

use crate::core::digest::Digest;
use crate::core::object::{ObjectKey, SourceId};
use crate::core::path::TargetPath;

/// A file whose content changed, as reactions must know it.
#[derive(Clone, PartialEq, Eq)]
pub struct Difference {
    /// Where.
    pub path: TargetPath,
    /// For whom it is, or was.
    pub(crate) object: Arc<ObjectKey>,
    /// The source that lists that object, or would.
    pub source: Option<SourceId>,
    /// Whether it belongs to the source's first list, or to the removals that follow when all are listed.
    pub initial: bool,
    /// What was there; nothing where there was no file.
    pub before: Option<Digest>,
    /// What is there now; nothing where there is no file.
    pub after: Option<Digest>,
}
