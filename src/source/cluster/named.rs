//! One object that we may read by its name, but neither list nor watch: it is read again and again.

use std::time::Duration;

use tokio::time::timeout;

use crate::api::ApiServer;
use crate::api::failure::Failure;
use crate::core::object::{ObjectEvent, SourceEvent};
use crate::health::WatchState;
use crate::source::cluster::ClusterSource;
use crate::source::fetch::json_of;
use crate::source::scope::{After, Scope};

/// A reading may take so long.
const WITHIN: Duration = Duration::from_secs(30);

impl ClusterSource {
    /// Reads the one object by its name, because more was refused: a complete list of one object or none.
    ///
    /// # Errors
    /// What went wrong. A refusal is told as one.
    pub(super) async fn read_by_name(&mut self) -> Result<(), Failure> {
        let (source, generation) = (self.scope.id, self.machine.skip_generation());
        if !std::mem::replace(&mut self.reads_by_name, true) {
            tracing::info!(kind = %self.scope.kind, namespace = self.scope.shown(), name = self.scope.name(), "may neither list nor watch: read by name again and again");
        }
        self.contact.expect_within(WITHIN * 2);
        let found = timeout(WITHIN, read(&self.api, &self.scope, self.scope.name().unwrap_or_default())).await;
        let found = found.unwrap_or(Err(Failure::Timeout { what: "answer", limit: WITHIN }));
        match found {
            Ok(found) => {
                self.contact.contacted();
                self.mailbox.push(SourceEvent::ListBegin { source, generation, consistent: true });
                if let Some(event) = found {
                    let event = SourceEvent::of(source, generation, event);
                    self.contact.waiting();
                    self.mailbox.has_room(event.payload_bytes()).await;
                    self.mailbox.push(event);
                }
                self.mailbox.push(SourceEvent::ListEnd { source, generation });
                self.contact.state(WatchState::Watching);
                Ok(())
            }
            Err(failure) => {
                let (code, is_refused) = (failure.code(), failure.code() == Some(403));
                if code.is_some() {
                    self.contact.contacted();
                }
                self.contact.error(failure.trouble(), failure.to_string());
                if is_refused {
                    self.contact.state(WatchState::Refused);
                }
                if is_refused || self.options.after == After::End {
                    self.mailbox.push(SourceEvent::Refused { source });
                }
                Err(failure)
            }
        }
    }
}

/// Reads the object of a scope with a name; an object that is not there is no error.
async fn read(api: &ApiServer, scope: &Scope, name: &str) -> Result<Option<ObjectEvent>, Failure> {
    let namespace = scope.namespace.as_deref().unwrap_or_default();
    let Some(json) = json_of(api, scope.kind, namespace, name).await? else { return Ok(None) };
    scope.reader().item(json.get().as_bytes()).map(Some).map_err(|_| Failure::Decode { what: "the object", line: 0, column: 0 })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use serde_json::json;
    use tokio::sync::mpsc;

    use super::*;
    use crate::api::stub::{Answer, Asked, server};
    use crate::core::object::{Kind, SourceId};
    use crate::health::{Health, WatchName};
    use crate::source::cluster::ClusterSource;
    use crate::source::mailbox::Mailbox;
    use crate::source::scope::{Channels, ScopeObjects, WatchOptions};

    /// The first events of a source that follows one object by its name; `answer` gets the number of the request.
    async fn events(count: usize, answer: impl Fn(usize, &Asked) -> Answer + Send + Sync + 'static) -> Vec<String> {
        let number = AtomicUsize::new(0);
        let stub = server(move |asked| answer(number.fetch_add(1, Ordering::Relaxed), asked)).await;
        let scope = Scope {
            id: SourceId(0),
            kind: Kind::ConfigMap,
            namespace: Some("n".into()),
            which: ScopeObjects::Named("a".into()),
            folder_annotation: String::new(),
        };
        let (mailbox, (_relist, requests)) = (Mailbox::default(), mpsc::channel(1));
        let contact = Health::new(None).watch(WatchName { kind: None, namespace: None, name: None });
        let day = Duration::from_secs(86_400);
        let options =
            WatchOptions { after: After::Watch, server_timeout: day, client_timeout: day, give_up: None, poll: Duration::from_millis(1) };
        let channels = Channels { mailbox: mailbox.clone(), requests, contact };
        let task = tokio::spawn(ClusterSource::new(stub.api.clone(), scope, options, channels).run());
        let mut seen = Vec::new();
        while seen.len() < count {
            tokio::time::timeout(Duration::from_secs(20), mailbox.arrived()).await.expect("in time: enough events");
            seen.extend(mailbox.take().into_iter().map(|event| match event {
                SourceEvent::ListBegin { generation, .. } => format!("begin {generation}"),
                SourceEvent::ListEnd { generation, .. } => format!("end {generation}"),
                SourceEvent::Object { generation, event: ObjectEvent::Apply(object), .. } => {
                    format!("{} {} {generation}", object.key.name, object.resource_version)
                }
                SourceEvent::Refused { .. } => "refused".to_owned(),
                _ => "something else".to_owned(),
            }));
        }
        task.abort();
        seen.truncate(count);
        seen
    }

    fn object(revision: &str) -> serde_json::Value {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "n", "uid": "u", "resourceVersion": revision}})
    }

    #[tokio::test]
    async fn an_object_that_may_only_be_read_is_listed_again_once_that_is_permitted() {
        let stream = |asked: &Asked| asked.path.contains("fieldSelector=metadata.name");
        let seen = events(6, move |number, asked| match number {
            0 | 2 if stream(asked) => Answer::json(403, &json!({})),
            1 if asked.path == "/api/v1/namespaces/n/configmaps/a" => Answer::json(200, &object("5")),
            3 => Answer::json(404, &json!({})),
            _ if stream(asked) => Answer::json(400, &json!({})),
            _ => Answer::json(500, &json!({"unexpected": number})),
        })
        .await;
        // The list is refused, and the object read; then that is so again, and the object is gone; and so on.
        assert_eq!(seen, ["begin 1", "begin 2", "a 5 2", "end 2", "begin 3", "begin 4"]);
    }

    #[tokio::test]
    async fn what_may_not_even_be_read_is_refused_and_asked_for_again() {
        let seen = events(6, |number, _| match number {
            0..=2 => Answer::json(403, &json!({})),
            _ => Answer::json(200, &object("5")),
        })
        .await;
        assert_eq!(seen, ["begin 1", "refused", "begin 3", "begin 4", "a 5 4", "end 4"]);
    }
}
