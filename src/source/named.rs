//! One object that we may read by its name, but neither list nor watch: it is read again and again.

use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::core::object::{Object, SourceEvent};
use crate::health::{Contact, WatchState};
use crate::source::api::{ApiServer, encoded, get};
use crate::source::decode::Reader;
use crate::source::failure::Failure;
use crate::source::mailbox::Mailbox;
use crate::source::scope::Scope;

/// How late a reading may be before the source counts as stuck.
const SLACK: Duration = Duration::from_secs(30);

/// Reads the object of a scope with a name.
///
/// # Errors
/// [`Failure`]; an object that is not there is none.
pub async fn read(api: &ApiServer, scope: &Scope, name: &str) -> Result<Option<Object>, Failure> {
    let reader = Reader { kind: scope.kind, folder_annotation: scope.folder_annotation.clone() };
    let json: Box<serde_json::value::RawValue> = match api.call(get(&format!("{}/{}", scope.path(), encoded(name)), &[])?).await {
        Err(failure) if failure.code() == Some(404) => return Ok(None),
        json => json?,
    };
    reader.object(json.get().as_bytes()).map(Some).map_err(|_| Failure::Decode { what: "the object", line: 0, column: 0 })
}

/// Each reading is a complete list of one object or none.
pub struct Poll {
    /// The server.
    pub api: ApiServer,
    /// What is read; it has a name.
    pub scope: Scope,
    /// Where it goes.
    pub mailbox: Mailbox,
    /// Where it is told how that went.
    pub contact: Contact,
    /// The number of the last list.
    pub generation: u32,
}

impl Poll {
    /// Reads for ever, with this pause.
    pub async fn run(mut self, pause: Duration) {
        loop {
            self.once().await;
            self.contact.expect_within(pause + SLACK);
            sleep(pause).await;
        }
    }

    /// Reads once. Returns what went wrong.
    pub async fn once(&mut self) -> Option<Failure> {
        let name = self.scope.name.clone().unwrap_or_default();
        self.contact.expect_within(SLACK);
        let found = match timeout(SLACK, read(&self.api, &self.scope, &name)).await {
            Ok(found) => found,
            Err(_) => Err(Failure::Timeout { what: "answer", limit: SLACK }),
        };
        let source = self.scope.id;
        match found {
            Ok(object) => {
                self.generation += 1;
                let generation = self.generation;
                self.mailbox.push(SourceEvent::ListBegin { source, generation, consistent: true });
                if let Some(object) = object {
                    let event = SourceEvent::Apply { source, generation, object: Box::new(object) };
                    self.mailbox.has_room(event.payload_bytes()).await;
                    self.mailbox.push(event);
                }
                self.mailbox.push(SourceEvent::ListEnd { source, generation });
                self.contact.contacted();
                self.contact.state(WatchState::Watching);
                None
            }
            Err(failure) => {
                if failure.code().is_some() {
                    self.contact.contacted();
                }
                self.contact.error(failure.to_string());
                if failure.code() == Some(403) {
                    self.contact.state(WatchState::Refused);
                    self.mailbox.push(SourceEvent::Refused { source });
                }
                Some(failure)
            }
        }
    }
}
