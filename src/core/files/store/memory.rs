//! Nothing is kept of what is gone: a namespace goes with the last of its objects, and maps become as small as what is in them.

use std::collections::hash_map::Entry;
use std::sync::Arc;

use crate::core::files::entry::ObjectEntry;
use crate::core::files::store::Store;
use crate::core::object::ObjectKey;

impl Store {
    /// Gives back room that only what is gone took. Costs next to nothing where there is none, else as much as what is left.
    pub(crate) fn tidy(&mut self) {
        self.objects.shrink_to_fit();
        self.paths.shrink_to_fit();
        self.folders.shrink_to_fit();
        self.namespaces.shrink_to_fit();
        self.contests.tidy();
        self.remotes.tidy();
    }

    /// The object's entry, made where there is none.
    pub(super) fn object_entry(&mut self, key: &Arc<ObjectKey>) -> &mut ObjectEntry {
        match self.objects.entry(key.clone()) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                *self.namespaces.entry(key.namespace.clone()).or_default() += 1;
                entry.insert(Box::default())
            }
        }
    }

    pub(super) fn drop_object_if_idle(&mut self, key: &Arc<ObjectKey>) {
        if self.objects.get(key).is_none_or(|entry| entry.live.is_some() || entry.owned > 0) {
            return;
        }
        self.objects.remove(key);
        if let Some(objects) = self.namespaces.get_mut(&key.namespace) {
            *objects -= 1;
            if *objects == 0 {
                self.namespaces.remove(&key.namespace);
            }
        }
    }

    /// One allocation a key, and one a namespace, however many places name it.
    pub(super) fn intern(&self, key: &ObjectKey) -> Arc<ObjectKey> {
        if let Some((known, _)) = self.objects.get_key_value(key) {
            return known.clone();
        }
        let namespace = self.namespaces.get_key_value(&key.namespace).map_or(&key.namespace, |(known, _)| known).clone();
        Arc::new(ObjectKey { kind: key.kind, namespace, name: key.name.clone() })
    }
}

#[cfg(test)]
#[path = "memory_tests.rs"]
mod tests;
