//! What becomes of two events of one object when the first still waits for the engine: one event that says what both say.
//!
//! Source and generation live outside of what is merged, so that no merge can lose them: an object that a list has named is named by
//! that list whatever overtakes it.

use crate::core::object::{Object, ObjectEvent, SourceEvent};

/// Merges `newer` into what waits, or gives it back where the two tell of different things.
pub(crate) fn merge(waiting: &mut SourceEvent, newer: SourceEvent) -> Option<SourceEvent> {
    let Some((source, _)) = waiting.merges().filter(|of| newer.merges().as_ref() == Some(of)) else { return Some(newer) };
    // Stands in while both are moved.
    match (std::mem::replace(waiting, SourceEvent::Refused { source }), newer) {
        (SourceEvent::Object { generation: before, event, .. }, SourceEvent::Object { generation: after, event: newer, .. }) => {
            *waiting = SourceEvent::of(source, before.max(after), state(event, newer));
            None
        }
        (waited, newer) => {
            *waiting = waited;
            Some(newer)
        }
    }
}

fn state(waiting: ObjectEvent, newer: ObjectEvent) -> ObjectEvent {
    use ObjectEvent::{Apply, Delete, Fetched, Keep, Unanswered, Unread};
    match (waiting, newer) {
        // Only says that it exists.
        (waiting, Keep(_)) => waiting,
        (Keep(_) | Unanswered(_), newer) => newer,
        // The end of another object of this name, told late.
        (waiting, Delete { uid, .. }) if is_of_another(&waiting, uid) => waiting,
        // A state that was never folded ends: what was is its predecessor, or it.
        (Apply(_) | Unread { .. } | Delete { overrides: true, .. }, Delete { key, uid, finalizers, .. }) => {
            Delete { key, uid, overrides: true, finalizers }
        }
        // Whatever else is known of it.
        (waiting, Unanswered(_)) => waiting,
        // What was fetched never undoes what was watched, but it may be the newer state of the same object.
        (Apply(old), Fetched(new)) => {
            let is_newer = old.uid == new.uid && new.resource_version > old.resource_version;
            Apply(if is_newer { new } else { old })
        }
        (gone @ Delete { .. }, Fetched(_)) => gone,
        // The bytes that were dropped, or newer ones. What is older is asked for once more.
        (Unread { key, uid, resource_version }, Fetched(object)) | (Fetched(object), Unread { key, uid, resource_version }) => {
            match answers(&object, uid, resource_version) {
                true => Apply(object),
                false => Unread { key, uid, resource_version },
            }
        }
        (Fetched(old), Fetched(new)) => Fetched(if old.resource_version > new.resource_version { old } else { new }),
        (_, newer) => newer,
    }
}

fn is_of_another(event: &ObjectEvent, uid: u128) -> bool {
    let own = match event {
        ObjectEvent::Apply(object) | ObjectEvent::Fetched(object) => object.uid,
        ObjectEvent::Unread { uid, .. } => *uid,
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
