//! Reads single objects again when the engine needs bytes that it does not keep.

use tokio::sync::mpsc;

use crate::core::object::{Object, ObjectKey, SourceEvent};
use crate::source::api::{ApiServer, encoded, get};
use crate::source::decode::Reader;
use crate::source::failure::Failure;
use crate::source::mailbox::Mailbox;
use crate::source::scope::Scope;

/// Reads single objects again for the engine, one after another, and says nothing of those that are gone: their watch does.
pub async fn fetch(api: ApiServer, scopes: Vec<Scope>, mailbox: Mailbox, mut requests: mpsc::Receiver<ObjectKey>) {
    while let Some(key) = requests.recv().await {
        let Some(scope) = scopes.iter().find(|scope| scope.covers(&key)) else { continue };
        match read(&api, scope, &key).await {
            Ok(Some(object)) => {
                let event = SourceEvent::Fetched { source: scope.id, object: Box::new(object) };
                mailbox.has_room(event.payload_bytes()).await;
                mailbox.push(event);
            }
            Ok(None) => {}
            // The engine asks again.
            Err(failure) => tracing::debug!(object = %key, error = %failure, "reading an object again failed"),
        }
    }
}

async fn read(api: &ApiServer, scope: &Scope, key: &ObjectKey) -> Result<Option<Object>, Failure> {
    let path = format!("/api/v1/namespaces/{}/{}/{}", encoded(&key.namespace), key.kind.plural(), encoded(&key.name));
    let reader = Reader { kind: key.kind, folder_annotation: scope.folder_annotation.clone() };
    let json: Box<serde_json::value::RawValue> = match api.call(get(&path, &[])?).await {
        Err(failure) if failure.code() == Some(404) => return Ok(None),
        json => json?,
    };
    let labelled = reader.labelled(json.get().as_bytes()).ok();
    let selected = |labels: &[(String, String)]| {
        scope.name.is_some() || scope.selector.matches(|key| labels.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str()))
    };
    Ok(labelled.filter(|(_, labels)| selected(labels)).map(|(object, _)| object))
}
