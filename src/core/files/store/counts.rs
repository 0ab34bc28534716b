//! How much there is.

use crate::core::files::store::Store;

impl Store {
    /// How many objects live. Costs as much as there are sources.
    pub(crate) fn live_count(&self) -> usize {
        self.sources.iter().map(|source| source.live).sum()
    }

    /// How many paths are claimed or owned.
    pub(crate) fn path_count(&self) -> usize {
        self.paths.len()
    }
}
