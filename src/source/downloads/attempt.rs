//! One attempt to bring one file.

use crate::config::Wording;
use crate::core::discretion::Listener;
use crate::core::object::remote::Arrival;
use crate::core::object::{Payload, SourceEvent};
use crate::source::downloads::book::{FileQuestion, Name};
use crate::source::mailbox::Mailbox;
use crate::web::address::Secrecy;
use crate::web::body::Gate;
use crate::web::error::WebError;
use crate::web::{self, Ask, Client, Terms, Validators};

/// What all attempts share.
pub(super) struct Attempt {
    pub(crate) client: Client,
    pub(crate) rules: Terms,
    pub(crate) bytes_max: usize,
    pub(crate) wording: Wording,
    pub(crate) mailbox: Mailbox,
    pub(crate) gate: Gate,
    /// Says how much of answers may be repeated.
    pub(crate) listener: Listener,
}

/// What the engine was told.
pub(super) enum Brought {
    /// The bytes, which the server knows by these.
    Body(Validators),
    /// That they are the same as before.
    Unchanged,
}

impl Attempt {
    /// Asks, and hands what comes to the engine once there is room for it.
    pub(crate) async fn run(&self, name: &Name, asked: &FileQuestion) -> Result<Brought, WebError> {
        let (url, since) = (asked.url()?, self.listener.begins());
        let known = asked.validators.as_ref();
        let question = web::Question::Download { known, bytes_max: self.bytes_max, gate: &self.gate };
        let mut answer = self.client.ask(&Ask { url, question, rules: &self.rules }).await?;
        web::tell(self.wording, url, Secrecy::of(name.0.kind), &answer, self.listener.frankness(since));
        if answer.code == 304 && known.is_some() {
            self.push(name, asked.ticket, Arrival::Unchanged);
            return Ok(Brought::Unchanged);
        }
        self.client.judge(url, &answer)?;
        let (body, turn) = (std::mem::take(&mut answer.body), answer.turn.take());
        let bytes = body.len();
        self.mailbox.has_room(bytes).await;
        self.push(name, asked.ticket, Arrival::Body(Payload::from(body)));
        if turn.is_some() {
            // The next large body comes when the engine has this one.
            self.mailbox.has_room(bytes).await;
        }
        Ok(Brought::Body(answer.validators))
    }

    fn push(&self, (key, path): &Name, ticket: u64, arrival: Arrival) {
        self.mailbox.push(SourceEvent::Arrived { key: (**key).clone(), path: path.clone(), ticket, arrival });
    }
}
