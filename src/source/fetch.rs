//! Reads single objects again when the engine needs bytes that it does not keep.

use serde_json::value::RawValue;
use tokio::sync::mpsc;

use crate::core::object::{Kind, Object, ObjectKey, SourceEvent, SourceId};
use crate::source::api::{ApiServer, get, object_path};
use crate::source::failure::Failure;
use crate::source::mailbox::Mailbox;
use crate::source::scope::{Scope, Which};

/// An object to read again.
pub struct Wanted {
    /// Which object.
    pub key: ObjectKey,
    /// The source that lists it,
    pub source: SourceId,
    /// and the list that last named it.
    pub generation: u32,
}

/// Reads single objects again for the engine, one after another, and says nothing of those that are gone: their watch does.
pub async fn fetch(api: ApiServer, scopes: Vec<Scope>, mailbox: Mailbox, mut requests: mpsc::Receiver<Wanted>) {
    while let Some(Wanted { key, source, generation }) = requests.recv().await {
        let Some(scope) = scopes.iter().find(|scope| scope.id == source) else { continue };
        match read(&api, scope, &key).await {
            Ok(Some(object)) => {
                let event = SourceEvent::Fetched { source, generation, object: Box::new(object) };
                mailbox.has_room(event.payload_bytes()).await;
                mailbox.push(event);
            }
            Ok(None) => {}
            // The engine asks again.
            Err(failure) => tracing::debug!(object = %key, error = %failure, "reading an object again failed"),
        }
    }
}

/// An object as the server sends it; nothing where there is none.
///
/// # Errors
/// [`Failure`]
pub async fn json_of(api: &ApiServer, kind: Kind, namespace: &str, name: &str) -> Result<Option<Box<RawValue>>, Failure> {
    match api.call(get(&object_path(kind, namespace, name), &[])?).await {
        Err(failure) if failure.code() == Some(404) => Ok(None),
        json => json.map(Some),
    }
}

async fn read(api: &ApiServer, scope: &Scope, key: &ObjectKey) -> Result<Option<Object>, Failure> {
    let Some(json) = json_of(api, key.kind, &key.namespace, &key.name).await? else { return Ok(None) };
    let labelled = scope.reader().labelled(json.get().as_bytes()).ok();
    let selected = |labels: &[(String, String)]| match &scope.which {
        Which::Named(_) => true,
        Which::Labelled { selector, .. } | Which::OfType { selector, .. } => {
            selector.matches(|key| labels.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str()))
        }
    };
    Ok(labelled.filter(|(_, labels)| selected(labels)).map(|(object, _)| object))
}
