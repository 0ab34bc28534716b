//! Which changes of watched pods and Secrets count: a pod that became ready or has another address, a Secret with other data.
//!
//! It keeps state, not events: a digest for each object, never a value. The first complete list of a source is the baseline; every
//! later one is compared with what was known, so that nothing is lost while a watch is broken.
//!
//! ```
//! use kube_projector::core::cause::Cause;
//! use kube_projector::core::object::{Datum, Kind, Object, ObjectKey, Payload, SourceEvent, SourceId};
//! use kube_projector::core::trigger::{News, Watched};
//!
//! let key = ObjectKey::new(Kind::Pod, "shop", "a");
//! let source = SourceId(0);
//! let mut watched = Watched::new([source].into(), (1, 2));
//! assert!(watched.fold(SourceEvent::ListBegin { source, generation: 1, consistent: false }) == News::Nothing);
//! assert!(watched.fold(SourceEvent::ListEnd { source, generation: 1 }) == News::Nothing);
//! let data = vec![Datum { key: "Ready".into(), payload: Some(Payload(b"now".to_vec())), encoded: false }];
//! let (terminating, finalizers, folder, annotations) = (false, vec![], None, Default::default());
//! let object =
//!     Object { key: key.clone(), uid: 7, resource_version: 5, created: 0, terminating, finalizers, held: vec![], folder, annotations, data };
//! let event = SourceEvent::Apply { source, generation: 1, object: Box::new(object) };
//! assert!(watched.fold(event) == News::Happened(Cause::Pods, key));
//! ```

use std::collections::{BTreeSet, HashMap};

use crate::core::cause::Cause;
use crate::core::digest::Digester;
use crate::core::object::{Datum, Kind, Object, ObjectKey, SourceEvent, SourceId};
use crate::core::room::give_back;

/// What an event means.
#[derive(PartialEq, Eq, Debug)]
pub enum News {
    /// Nothing that anybody waits for.
    Nothing,
    /// This object is worth telling of.
    Happened(Cause, ObjectKey),
    /// What this source said of an object was lost on the way: its list is needed anew.
    Lost(SourceId),
}

/// What is known of one object.
struct Known {
    source: SourceId,
    generation: u32,
    /// Equal for two states between which nobody has to be told of anything; nothing for a state of which nobody is ever told.
    mark: Option<u128>,
}

/// See the module's header.
pub struct Watched {
    digester: Digester,
    known: HashMap<ObjectKey, Known>,
    /// Sources that have a baseline.
    listed: BTreeSet<SourceId>,
    /// Sources that were neither listed nor refused yet.
    pending: BTreeSet<SourceId>,
}

impl Watched {
    /// Nothing is known of these sources. Callers draw the key of digests at random.
    pub fn new(sources: BTreeSet<SourceId>, key: (u64, u64)) -> Self {
        Self { digester: Digester::new(key), known: HashMap::new(), listed: BTreeSet::new(), pending: sources }
    }

    /// Whether each source has been listed, or was refused.
    pub fn is_settled(&self) -> bool {
        self.pending.is_empty()
    }

    /// Takes one event.
    pub fn fold(&mut self, event: SourceEvent) -> News {
        match event {
            SourceEvent::Apply { source, generation, object } => return self.seen(source, generation, *object),
            SourceEvent::Delete { key, .. } => {
                self.known.remove(&key);
                give_back(&mut self.known);
            }
            SourceEvent::Unread { source, generation, key, .. } => {
                if let Some(known) = self.known.get_mut(&key) {
                    known.generation = generation;
                }
                return News::Lost(source);
            }
            SourceEvent::ListEnd { source, generation } => {
                self.known.retain(|_, known| known.source != source || known.generation == generation);
                give_back(&mut self.known);
                self.listed.insert(source);
                self.pending.remove(&source);
            }
            SourceEvent::Refused { source } => drop(self.pending.remove(&source)),
            // A list is judged when it ends. Nobody reads these objects one by one.
            SourceEvent::ListBegin { .. }
            | SourceEvent::Keep { .. }
            | SourceEvent::Unanswered { .. }
            | SourceEvent::Fetched { .. }
            | SourceEvent::Arrived { .. } => {}
        }
        News::Nothing
    }

    fn seen(&mut self, source: SourceId, generation: u32, object: Object) -> News {
        let mark = self.mark(&object);
        let known = Known { source, generation, mark };
        let before = self.known.insert(object.key.clone(), known).and_then(|known| known.mark);
        if mark.is_none() || mark == before || !self.listed.contains(&source) {
            return News::Nothing;
        }
        let cause = if object.key.kind == Kind::Pod { Cause::Pods } else { Cause::Secrets };
        News::Happened(cause, object.key)
    }

    /// What is compared: of a Secret its data; of a pod, while it is ready and stays, which one it is, its address and since when.
    fn mark(&self, object: &Object) -> Option<u128> {
        let is_pod = object.key.kind == Kind::Pod;
        if is_pod && (object.terminating || object.data.is_empty()) {
            return None;
        }
        let mut data: Vec<&Datum> = object.data.iter().collect();
        data.sort_by(|left, right| left.key.cmp(&right.key));
        // Values are not copied: digests of digests tell the same.
        let number = |bytes: &[u8]| self.digester.digest(bytes).number().to_le_bytes();
        let mut parts = if is_pod { object.uid.to_le_bytes().to_vec() } else { Vec::new() };
        for Datum { key, payload, .. } in data {
            parts.extend(number(key.as_bytes()));
            parts.extend(payload.as_ref().map_or([0; 16], |payload| number(&payload.0)));
        }
        Some(self.digester.digest(&parts).number())
    }
}

#[cfg(test)]
#[path = "trigger_tests.rs"]
mod tests;
