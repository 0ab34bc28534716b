//! Reads single objects again when the engine needs bytes that it does not keep.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use kube::api::{GetParams, ListParams};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::api::failure::Failure;
use crate::api::{ApiServer, objects};
use crate::core::backoff::Backoff;
use crate::core::object::{Kind, Object, ObjectEvent, ObjectKey, SourceEvent, SourceId, Wanted};
use crate::health::Contact;
use crate::source::mailbox::Mailbox;
use crate::source::scope::{Scope, ScopeObjects};

/// An object that could not be read is not asked for again before this.
const BACKOFF: Backoff = Backoff { first: Duration::from_secs(4), longest: Duration::from_secs(60) };
/// More objects that could not be read are not remembered: they are asked for as if they were the first time.
const FAILED_MAX: usize = 1000;

/// Reads single objects again for the engine, one after another.
pub(crate) struct Fetcher {
    api: ApiServer,
    scopes: Vec<(Scope, Contact)>,
    mailbox: Mailbox,
    /// Sources that may not get, but list.
    lists: HashSet<SourceId>,
    /// Sources of which it was told that objects cannot be read, and what the answer was.
    told: HashMap<SourceId, Option<u16>>,
    /// When an object that could not be read may be asked for again, and how often in a row that was so.
    failed: HashMap<ObjectKey, (Instant, u32)>,
}

impl Fetcher {
    /// A reader of the objects of these scopes.
    pub(crate) fn new(api: ApiServer, scopes: Vec<(Scope, Contact)>, mailbox: Mailbox) -> Self {
        Self { api, scopes, mailbox, lists: HashSet::new(), told: HashMap::new(), failed: HashMap::new() }
    }

    /// Answers requests until nobody makes any. Says nothing of objects that are gone: their watch does.
    pub(crate) async fn run(mut self, mut requests: mpsc::Receiver<Wanted>) {
        while let Some(wanted) = requests.recv().await {
            let Some((scope, contact)) = self.scopes.iter().find(|(scope, _)| scope.id == wanted.source).cloned() else { continue };
            // The engine asks again, and more often than a server that refuses should be asked.
            if self.failed.get(&wanted.key).is_some_and(|(until, _)| Instant::now() < *until) {
                continue;
            }
            let Wanted { key, source, generation } = wanted;
            match self.read(&scope, &key).await {
                Ok(found) => {
                    self.failed.remove(&key);
                    if self.told.remove(&source).is_some() {
                        contact.unread(None);
                        tracing::info!(kind = %scope.kind, namespace = scope.shown(), "objects can be read again");
                    }
                    let Some(object) = found else { continue };
                    let event = SourceEvent::of(source, generation, ObjectEvent::Fetched(Box::new(object)));
                    self.mailbox.has_room(event.payload_bytes()).await;
                    self.mailbox.push(event);
                }
                Err(failure) => {
                    self.failed(&scope, &contact, &key, &failure);
                    self.mailbox.push(SourceEvent::of(source, generation, ObjectEvent::Unanswered(key)));
                }
            }
        }
    }

    /// By its name; where that is refused, as a list of one, for which the right is there.
    async fn read(&mut self, scope: &Scope, key: &ObjectKey) -> Result<Option<Object>, Failure> {
        if !self.lists.contains(&scope.id) {
            match json_of(&self.api, key.kind, &key.namespace, &key.name).await {
                Err(failure) if failure.code() == Some(403) => {}
                json => return Ok(json?.and_then(|json| selected(scope, &json))),
            }
        }
        match listed(&self.api, key).await {
            Ok(json) => {
                if self.lists.insert(scope.id) {
                    tracing::info!(kind = %scope.kind, namespace = scope.shown(), verb = "get", "objects may not be read one by one: listed by name");
                }
                Ok(json.and_then(|json| selected(scope, &json)))
            }
            Err(failure) => {
                self.lists.remove(&scope.id);
                Err(failure)
            }
        }
    }

    fn failed(&mut self, scope: &Scope, contact: &Contact, key: &ObjectKey, failure: &Failure) {
        if self.failed.len() >= FAILED_MAX {
            self.failed.clear();
        }
        let failures = self.failed.get(key).map_or(1, |(_, failures)| failures.saturating_add(1));
        self.failed.insert(key.clone(), (Instant::now() + BACKOFF.after(failures), failures));
        contact.unread(Some(format!("reading {key} again: {failure}")));
        // One line for all objects of a source, until they can be read or something else is wrong.
        if self.told.insert(scope.id, failure.code()) != Some(failure.code()) {
            let (kind, namespace, hint) = (scope.kind, scope.shown(), if failure.code() == Some(403) { scope.rights() } else { "" });
            tracing::warn!(%kind, namespace, object = %key, verb = "get", error = %failure, hint, "objects cannot be read again: their files stay as they are");
        }
    }
}

/// An object as the server sends it; nothing where there is none.
///
/// # Errors
/// [`Failure`]
pub(crate) async fn json_of(api: &ApiServer, kind: Kind, namespace: &str, name: &str) -> Result<Option<Box<RawValue>>, Failure> {
    api.find(objects(kind, Some(namespace)).get(name, &GetParams::default())?).await
}

/// The same by a list that can name no other.
async fn listed(api: &ApiServer, key: &ObjectKey) -> Result<Option<Box<RawValue>>, Failure> {
    #[derive(Deserialize)]
    struct List {
        items: Vec<Box<RawValue>>,
    }
    let only = ListParams::default().fields(&format!("metadata.name={}", key.name));
    let list: List = api.call(objects(key.kind, Some(&key.namespace)).list(&only)?).await?;
    Ok(list.items.into_iter().next())
}

/// The object, if the scope's selection still takes it.
fn selected(scope: &Scope, json: &RawValue) -> Option<Object> {
    let (object, labels) = scope.reader().labelled(json.get().as_bytes()).ok()?;
    let taken = match &scope.which {
        ScopeObjects::Named(_) => true,
        ScopeObjects::Labelled { selector, .. } | ScopeObjects::OfType { selector, .. } => selector.selects(&labels),
    };
    taken.then_some(object)
}
