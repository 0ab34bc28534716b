//! Which changes of watched pods and Secrets count: a pod that became ready or has another address, a Secret with other data.
//!
//! It keeps state, not events: a digest for each object, never a value. The first complete list of a source is the baseline; every
//! later one is compared with what was known, so that nothing is lost while a watch is broken. Where it is known what a former process
//! told ([`Told`]) the first list is compared with that: whatever that does not name is to be told.
//!
//! ```
//! use kube_projector::core::tell::cause::Cause;
//! use kube_projector::core::object::{Kind, ObjectEvent, ObjectKey, SourceEvent, SourceId};
//! use kube_projector::core::object::pod::{PodState, Ready};
//! use kube_projector::core::tell::trigger::{News, Watched};
//!
//! let key = ObjectKey::new(Kind::Pod, "shop", "a");
//! let source = SourceId(0);
//! let mut watched = Watched::new([source].into(), (1, 2));
//! assert!(watched.fold(SourceEvent::ListBegin { source, generation: 1, consistent: false }) == News::Nothing);
//! assert!(watched.fold(SourceEvent::ListEnd { source, generation: 1 }) == News::Nothing);
//! let ready = Some(Ready { address: "10.0.0.1".into(), since: "now".into() });
//! let pod = PodState { key: key.clone(), uid: 7, ready };
//! assert!(watched.fold(SourceEvent::of(source, 1, ObjectEvent::Pod(pod.into()))) == News::Happened(Cause::Pods, key));
//! ```

use std::collections::{BTreeSet, HashMap};

use crate::core::digest::Digester;
use crate::core::memory::give_back;
use crate::core::object::{Datum, Kind, ObjectEvent, ObjectKey, SourceEvent, SourceId};
use crate::core::tell::cause::Cause;
use crate::core::tell::told::{Told, ToldState};

/// What an event means.
#[derive(PartialEq, Eq, Debug)]
pub enum News {
    /// Nothing that anybody waits for.
    Nothing,
    /// This object is worth telling of.
    Happened(Cause, ObjectKey),
    /// These objects are not what they were when a former process told of them. The first list is told as one.
    Untold(Cause, Vec<ObjectKey>),
    /// What this source said of an object was lost on the way: its list is needed anew.
    Lost(SourceId),
}

/// It is to be told of, and nobody has given that a number.
const UNNUMBERED: u64 = u64::MAX;

/// What is known of one object.
struct KnownObject {
    source: SourceId,
    generation: u32,
    /// Equal for two states between which nobody has to be told of anything; nothing for a state of which nobody is ever told.
    mark: Option<u128>,
    /// What outlives us of it, where anything does.
    state: Option<ToldState>,
    /// The number under which it is still to be told of.
    pending: Option<u64>,
}

/// What outlives us.
struct KeptTold {
    told: Told,
    /// Whether it is newer than what was taken to be kept.
    changed: bool,
}

/// See the module's header.
pub struct Watched {
    digester: Digester,
    known: HashMap<ObjectKey, KnownObject>,
    /// Sources that have a baseline.
    listed: BTreeSet<SourceId>,
    /// Sources that were neither listed nor refused yet.
    pending: BTreeSet<SourceId>,
    sources: usize,
    kept: Option<KeptTold>,
}

impl Watched {
    /// Nothing is known of these sources. Callers draw the key of digests at random.
    pub fn new(sources: BTreeSet<SourceId>, key: (u64, u64)) -> Self {
        let (digester, number) = (Digester::new(key), sources.len());
        Self { digester, known: HashMap::new(), listed: BTreeSet::new(), pending: sources, sources: number, kept: None }
    }

    /// The same where it is known what a former process told: for the beginning.
    #[must_use]
    pub(crate) fn after(self, told: Told) -> Self {
        Self { kept: Some(KeptTold { told, changed: false }), ..self }
    }

    /// Whether each source has been listed, or was refused.
    pub(crate) fn is_settled(&self) -> bool {
        self.pending.is_empty()
    }

    /// Takes one event.
    pub fn fold(&mut self, event: SourceEvent) -> News {
        match event {
            SourceEvent::Object { source, generation, event } => return self.object(source, generation, event),
            SourceEvent::ListEnd { source, generation } => {
                self.known.retain(|_, known| known.source != source || known.generation == generation);
                give_back(&mut self.known);
                let is_first = self.listed.insert(source);
                self.pending.remove(&source);
                if let Some(kept) = self.kept.as_mut().filter(|_| self.listed.len() == self.sources) {
                    kept.changed |= kept.told.keep(|key| self.known.contains_key(key));
                }
                return if is_first { self.untold(source) } else { News::Nothing };
            }
            SourceEvent::Refused { source } => drop(self.pending.remove(&source)),
            // A list is judged when it ends.
            SourceEvent::ListBegin { .. } | SourceEvent::Arrived { .. } => {}
        }
        News::Nothing
    }

    fn object(&mut self, source: SourceId, generation: u32, event: ObjectEvent) -> News {
        match event {
            ObjectEvent::Apply(object) => {
                let (mark, state) = (Some(self.mark(&object.data)), self.kept.as_ref().map(|_| ToldState::of(&object)));
                return self.seen(object.key, KnownObject { source, generation, mark, state, pending: None });
            }
            ObjectEvent::Pod(pod) => {
                let state = ToldState::of_pod(&pod);
                let mark = state.as_ref().map(|state| self.digester.digest(state.text().as_bytes()).number());
                let state = state.filter(|_| self.kept.is_some());
                return self.seen(pod.key, KnownObject { source, generation, mark, state, pending: None });
            }
            ObjectEvent::Delete { key, .. } => {
                self.known.remove(&key);
                self.forget(&key);
                give_back(&mut self.known);
            }
            ObjectEvent::Unread { key, .. } => {
                if let Some(known) = self.known.get_mut(&key) {
                    known.generation = generation;
                }
                return News::Lost(source);
            }
            // Nobody reads these objects one by one.
            ObjectEvent::Keep(_) | ObjectEvent::Unanswered(_) | ObjectEvent::Fetched(_) => {}
        }
        News::Nothing
    }

    fn seen(&mut self, key: ObjectKey, mut now: KnownObject) -> News {
        let former = self.known.remove(&key);
        let (before, pending) = former.map_or((None, None), |former| (former.mark, former.pending));
        let is_new = now.mark.is_some() && now.mark != before;
        let is_first = !self.listed.contains(&now.source);
        if is_new {
            let is_untold = |kept: &KeptTold| kept.told.state(&key) != now.state.as_ref();
            now.pending = self.kept.as_ref().filter(|kept| is_first && is_untold(kept)).map(|_| UNNUMBERED);
        } else if now.mark.is_none() {
            self.forget(&key);
        } else if pending.is_none() {
            // What its data are was told: all else that changed of it is no reason to tell it again.
            self.note(&key, now.state.clone());
        } else {
            now.pending = pending;
        }
        self.known.insert(key.clone(), now);
        if is_new && !is_first { News::Happened(cause(&key), key) } else { News::Nothing }
    }

    /// What the first list of a source holds that is to be told.
    fn untold(&self, source: SourceId) -> News {
        let untold = self.known.iter().filter(|(_, known)| known.source == source && known.pending == Some(UNNUMBERED));
        let keys: Vec<ObjectKey> = untold.map(|(key, _)| key.clone()).collect();
        keys.first().map(cause).map_or(News::Nothing, |cause| News::Untold(cause, keys))
    }

    fn note(&mut self, key: &ObjectKey, state: Option<ToldState>) {
        if let (Some(kept), Some(state)) = (&mut self.kept, state) {
            kept.changed |= kept.told.note(key, state);
        }
    }

    fn forget(&mut self, key: &ObjectKey) {
        if let Some(kept) = &mut self.kept {
            kept.changed |= kept.told.forget(key);
        }
    }

    /// Notes under which number it is to be told of what happened to an object.
    pub(crate) fn expect(&mut self, key: &ObjectKey, number: u64) {
        if let Some(known) = self.known.get_mut(key) {
            known.pending = Some(number);
        }
    }

    /// Notes that it was told of everything of this cause up to a number.
    pub(crate) fn told(&mut self, of: Cause, number: u64) {
        let Some(kept) = &mut self.kept else { return };
        for (key, known) in &mut self.known {
            if cause(key) == of && known.pending.take_if(|pending| *pending <= number).is_some() {
                kept.changed |= known.state.clone().is_some_and(|state| kept.told.note(key, state));
            }
        }
    }

    /// What is to outlive us, if it is newer than what was taken the last time.
    pub(crate) fn take_changed(&mut self) -> Option<Vec<u8>> {
        let kept = self.kept.as_mut().filter(|kept| kept.changed)?;
        kept.changed = false;
        Some(kept.told.lines())
    }

    /// What was taken the last time did not get where it outlives us.
    pub(crate) fn lost(&mut self) {
        self.kept.iter_mut().for_each(|kept| kept.changed = true);
    }

    /// What is compared of a Secret: its data.
    fn mark(&self, data: &[Datum]) -> u128 {
        let mut data: Vec<&Datum> = data.iter().collect();
        data.sort_by(|left, right| left.key.cmp(&right.key));
        // Values are not copied: digests of digests tell the same.
        let number = |bytes: &[u8]| self.digester.digest(bytes).number().to_le_bytes();
        let mut parts = Vec::new();
        for Datum { key, payload, .. } in data {
            parts.extend(number(key.as_bytes()));
            parts.extend(payload.as_ref().map_or([0; 16], |payload| number(payload.bytes())));
        }
        self.digester.digest(&parts).number()
    }
}

/// Why it is told of an object.
fn cause(key: &ObjectKey) -> Cause {
    if key.kind == Kind::Pod { Cause::Pods } else { Cause::Secrets }
}

#[cfg(test)]
#[path = "trigger_tests.rs"]
mod tests;
