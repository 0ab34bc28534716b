//! What happens to objects, and what the sources tell of it.

use kube_projector::core::object::{Kind, ObjectEvent, ObjectKey, SourceEvent, SourceId};

use super::{SOURCES, World};
use crate::engine::model::Thing;

impl World {
    /// Creates or changes an object; the watch that sees it tells the engine with the next commit.
    pub fn put(&mut self, mut thing: Thing) {
        self.version += 1;
        thing.version = self.version;
        let (key, selected) = (thing.key(), thing.labels.contains(self.label));
        let former = self.objects.insert(key, thing.clone());
        match former {
            _ if selected => self.send(self.applied(&thing)),
            Some(former) if former.labels.contains(self.label) => self.send(self.deleted(&former)),
            _ => {}
        }
    }

    /// As `put`, but nobody has told of it yet. The engine is told by [`Self::tell_again`], or by the next list.
    pub fn put_unseen(&mut self, mut thing: Thing) {
        self.version += 1;
        thing.version = self.version;
        self.objects.insert(thing.key(), thing);
    }

    pub fn delete(&mut self, key: &ObjectKey) {
        if let Some(thing) = self.objects.remove(key)
            && thing.labels.contains(self.label)
        {
            self.send(self.deleted(&thing));
        }
    }

    /// The object goes, and carried these finalizers in its last state.
    pub fn end(&mut self, thing: &Thing, finalizers: Vec<String>) {
        self.objects.remove(&thing.key());
        let (source, generation) = self.source(thing.kind);
        self.send(SourceEvent::of(
            source,
            generation,
            ObjectEvent::Delete { key: thing.key(), uid: thing.uid, overrides: false, finalizers: finalizers.into() },
        ));
    }

    /// Tells of an object once more, or tells of it without its bytes.
    pub fn tell_again(&mut self, key: &ObjectKey, bytes: bool) {
        let Some(thing) = self.objects.get(key).filter(|thing| thing.labels.contains(self.label)) else {
            return;
        };
        let event = self.applied(thing);
        self.send(if bytes { event } else { event.without_body() });
    }

    pub(super) fn applied(&self, thing: &Thing) -> SourceEvent {
        let (source, generation) = self.source(thing.kind);
        SourceEvent::of(source, generation, ObjectEvent::Apply(thing.object()))
    }

    fn deleted(&self, thing: &Thing) -> SourceEvent {
        let (source, generation) = self.source(thing.kind);
        SourceEvent::of(
            source,
            generation,
            ObjectEvent::Delete { key: thing.key(), uid: thing.uid, overrides: false, finalizers: Box::default() },
        )
    }

    pub(super) fn send(&mut self, event: SourceEvent) {
        self.sent += 1;
        self.mailbox.push(event);
    }

    pub(super) fn is_quiet(&self) -> bool {
        self.mailbox.is_empty() && self.asked.is_empty()
    }

    /// What the engine asked for is read as it is now, and on its way. Of what is gone nothing is said: its watch does.
    pub fn deliver(&mut self) -> usize {
        let asked = std::mem::take(&mut self.asked);
        let count = asked.len();
        for (key, (source, generation)) in asked {
            if self.refuses {
                self.send(SourceEvent::of(source, generation, ObjectEvent::Unanswered(key)));
                continue;
            }
            if let Some(thing) = self.objects.get(&key).filter(|thing| thing.labels.contains(self.label)) {
                let object = thing.object();
                self.send(SourceEvent::of(source, generation, ObjectEvent::Fetched(object)));
            }
        }
        count
    }

    fn source(&self, kind: Kind) -> (SourceId, u32) {
        let index = SOURCES.iter().position(|(_, listed)| *listed == kind).unwrap();
        (SOURCES[index].0, self.generations[index])
    }

    /// Puts a file of somebody else there.
    pub fn put_foreign(&mut self, path: &str, bytes: &[u8]) {
        let file = self.folder.path().join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, bytes).unwrap();
        self.foreign.insert(path.to_owned(), bytes.to_vec());
    }
}
