//! Other servers, and who asks them for the engine.

use std::collections::BTreeMap;

use kube_projector::core::object::remote::Arrival;
use kube_projector::core::object::{ObjectKey, Payload, SourceEvent};
use kube_projector::core::path::TargetPath;
use kube_projector::engine::outcome::Outcome;

/// See the module's header.
#[derive(Default)]
pub struct Web {
    /// What each URL gives; nothing for those of a dead server.
    pub served: BTreeMap<String, Vec<u8>>,
    /// What the engine wants, with the ticket of the question and, once that was answered, the bytes.
    pub questions: BTreeMap<(ObjectKey, TargetPath), Question>,
    /// Tickets that nobody asks with any more.
    pub stale: Vec<(ObjectKey, TargetPath, u64)>,
}

#[derive(Clone)]
pub struct Question {
    pub url: String,
    pub ticket: u64,
    pub had: Option<Vec<u8>>,
}

impl Web {
    /// The answer of the server, given to the engine.
    pub fn answer(&mut self, name: &(ObjectKey, TargetPath), unchanged: bool) -> Option<SourceEvent> {
        let question = self.questions.get_mut(name)?;
        let served = self.served.get(&question.url).cloned();
        let arrival = match served {
            None => Arrival::Failed,
            Some(bytes) if unchanged && question.had.as_ref() == Some(&bytes) => Arrival::Unchanged,
            Some(bytes) => {
                question.had = Some(bytes.clone());
                Arrival::Body(Payload::from(bytes))
            }
        };
        Some(SourceEvent::Arrived { key: name.0.clone(), path: name.1.clone(), ticket: question.ticket, arrival })
    }

    pub fn take(&mut self, outcome: &Outcome) -> Vec<SourceEvent> {
        for wanted in &outcome.remotes {
            let before = std::mem::take(&mut self.questions);
            let (mut old, others): (BTreeMap<_, _>, BTreeMap<_, _>) = before.into_iter().partition(|((key, _), _)| *key == *wanted.key);
            self.questions = others;
            for file in &wanted.files {
                let name = ((*wanted.key).clone(), file.path.clone());
                let url = String::from_utf8(file.url.bytes().to_vec()).unwrap();
                let known = match old.get(&name).is_some_and(|known| known.ticket == file.ticket) {
                    true => old.remove(&name),
                    false => None,
                };
                self.questions.insert(name, known.unwrap_or(Question { url, ticket: file.ticket, had: None }));
            }
            self.stale.extend(old.into_iter().map(|((key, path), Question { ticket, .. })| (key, path, ticket)));
        }
        let again: Vec<_> = outcome.ask.iter().map(|(key, path)| ((**key).clone(), path.clone())).collect();
        again.iter().filter_map(|name| self.answer(name, false)).collect()
    }
}
