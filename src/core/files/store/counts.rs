//! How much there is.

use crate::core::files::store::Store;

impl Store {
    /// How many paths are claimed or owned.
    pub(crate) fn path_count(&self) -> usize {
        self.paths.len()
    }
}
