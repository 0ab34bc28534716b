//! What becomes of two events of one object when the first still waits for the engine: one event that says what both say.
//!
//! Source and generation live outside of what is merged, so that no merge can lose them: an object that a list has named is named by
//! that list whatever overtakes it.

use crate::core::object::{Object, SourceEvent};

/// Merges `newer` into `waiting`. Gives it back where they must stay two: of another object or another source, or of none.
pub(crate) fn merge(waiting: &mut SourceEvent, newer: SourceEvent) -> Option<SourceEvent> {
    let (Some((source, before)), Some((other, after))) = (waiting.of_list(), newer.of_list()) else { return Some(newer) };
    if source != other || waiting.key().is_none() || waiting.key() != newer.key() {
        return Some(newer);
    }
    let generation = before.max(after);
    // Stands in while both are moved.
    let waited = std::mem::replace(waiting, SourceEvent::ListEnd { source, generation });
    *waiting = state(waited, newer).stamped(generation);
    None
}

/// The state that counts; its stamp does not.
fn state(waiting: SourceEvent, newer: SourceEvent) -> SourceEvent {
    use SourceEvent::{Apply, Delete, Fetched, Keep, Unanswered, Unread};
    match (waiting, newer) {
        // Only says that it exists.
        (waiting, Keep { .. }) => waiting,
        (Keep { .. } | Unanswered { .. }, newer) => newer,
        // The end of another object of this name, told late.
        (waiting, Delete { uid, .. }) if is_of_another(&waiting, uid) => waiting,
        // A state that was never folded ends: what was is its predecessor, or it.
        (Apply { .. } | Unread { .. } | Delete { overrides: true, .. }, Delete { source, generation, key, uid, finalizers, .. }) => {
            Delete { source, generation, key, uid, overrides: true, finalizers }
        }
        // Whatever else is known of it.
        (waiting, Unanswered { .. }) => waiting,
        // What was fetched never undoes what was watched, but it may be the newer state of the same object.
        (Apply { source, generation, object: old }, Fetched { object: new, .. }) => {
            let newer = old.uid == new.uid && new.resource_version > old.resource_version;
            Apply { source, generation, object: if newer { new } else { old } }
        }
        (gone @ Delete { .. }, Fetched { .. }) => gone,
        // The bytes that were dropped, or newer ones. What is older is asked for once more.
        (Unread { source, generation, key, uid, resource_version }, Fetched { object, .. })
        | (Fetched { object, .. }, Unread { source, generation, key, uid, resource_version }) => {
            match answers(&object, uid, resource_version) {
                true => Apply { source, generation, object },
                false => Unread { source, generation, key, uid, resource_version },
            }
        }
        (Fetched { source, generation, object: old }, Fetched { object: new, .. }) => {
            Fetched { source, generation, object: if old.resource_version > new.resource_version { old } else { new } }
        }
        (_, newer) => newer,
    }
}

/// Whether the event tells of a state of an object of another uid.
fn is_of_another(event: &SourceEvent, uid: u128) -> bool {
    let own = match event {
        SourceEvent::Apply { object, .. } | SourceEvent::Fetched { object, .. } => object.uid,
        SourceEvent::Unread { uid, .. } => *uid,
        _ => 0,
    };
    own != 0 && uid != 0 && own != uid
}

/// Whether these are the bytes of that object, and not of an older state.
fn answers(object: &Object, uid: u128, resource_version: u64) -> bool {
    object.uid == uid && object.resource_version >= resource_version
}

#[cfg(test)]
#[path = "merge_tests.rs"]
mod tests;
