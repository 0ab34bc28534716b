//! The request that follows a change: REQ_URL.

use futures::FutureExt as _;
use futures::future::BoxFuture;

use crate::config::Wording;
use crate::config::read::origin::Origin;
use crate::config::read::reload::ReloadRequest;
use crate::config::read::web::CredentialOrigins;
use crate::core::discretion::{Frankness, Listener, Since};
use crate::core::retry::Retry;
use crate::core::tell::pace::{FaultKind, Fingerprint};
use crate::tell::{Fault, Fired, NOT_TOLD, Reaction, words};
use crate::web::address::{Secrecy, quoted, scrubbed, shown};
use crate::web::error::WebError;
use crate::web::{Answer, Ask, Client, Question, Reach, Rules, tell};

/// Asks whoever is to be told.
pub(crate) struct Asker {
    pub(super) call: ReloadRequest,
    pub(super) client: Client,
    pub(super) wording: Wording,
    pub(super) listener: Listener,
}

/// Asks one URL.
pub(crate) struct Request {
    asker: Asker,
    rules: Rules,
    retry: Retry,
    /// Why the last attempt failed.
    failure: String,
    /// Code and words of the last answer that was no success, so that they are told once.
    answered: Option<(u16, String)>,
}

/// Why an attempt failed.
pub(super) struct Failed {
    error: WebError,
    /// The same for people, without a word of the application's.
    why: String,
    /// The words of the application, as far as the log may have them and has not.
    pub(super) answer: String,
    /// The credentials that were shown.
    credentials: Option<Fingerprint>,
}

impl Asker {
    /// By this client.
    pub(crate) const fn new(call: ReloadRequest, client: Client, wording: Wording, listener: Listener) -> Self {
        Self { call, client, wording, listener }
    }

    /// Asks once, and says what the answer is worth.
    pub(super) async fn ask(&self, url: &str, rules: &Rules, since: Since) -> Result<(), Failed> {
        let Self { call, client, wording, listener } = self;
        // As the original has it, a GET carries nothing.
        let json = call.payload.as_ref().filter(|_| call.method != "GET").map(|payload| payload.0.as_str());
        let question = Question::Call { method: &call.method, json };
        let answer = client.ask(&Ask { url, question, rules }).await.map_err(|error| Failed::unasked(url, error))?;
        let frankness = listener.frankness(since);
        tell(*wording, url, Secrecy::Open, &answer, frankness);
        client.judge(url, &answer).map_err(|error| Failed {
            why: words::told(error.to_string(), answer.length),
            error,
            answer: self.repeated(url, &answer, frankness),
            credentials: answer.credentials,
        })
    }

    /// What the application answered, for whoever has to correct something. What the line of the original shows is not told again.
    fn repeated(&self, url: &str, answer: &Answer, frankness: Frankness) -> String {
        match answer.secrecy(frankness) {
            _ if answer.body.is_empty() => String::new(),
            Some(why) => format!("withheld, as {why}: {} bytes", answer.length),
            None if self.wording == Wording::Sidecar => String::new(),
            None => answer.excerpt(|body| scrubbed(body, url)),
        }
    }

    /// What the log says when the bounds of quick retries are reached: `own`, unless somebody else's words are used.
    pub(super) fn exhausted(&self, own: &str, failure: &str) -> String {
        match self.wording {
            Wording::Own => own.to_owned(),
            Wording::Sidecar => format!("Max retries exceeded for URL {}: {failure}", quoted(&self.call.url.0, Secrecy::Open)),
        }
    }

    /// What a failure means for the next attempt.
    pub(super) fn fault(&self, failed: &Failed) -> Fault {
        let Failed { error, why, credentials, .. } = failed;
        let wish = error.wish();
        let kind = match (error, error.trouble()) {
            (WebError::Unanswered { .. }, _) => FaultKind::Unanswered,
            (WebError::Status { code: 401 | 403, .. }, _) => FaultKind::Refused { credentials: *credentials, wish },
            (error, _) if self.client.is_final(error) => FaultKind::Permanent,
            (_, Some(trouble)) => FaultKind::Trouble(trouble, wish),
            (_, None) => FaultKind::Answered(wish),
        };
        Fault::new(kind, why.clone())
    }
}

/// Only who is asked gets our credentials.
pub(super) fn only(url: &str) -> CredentialOrigins {
    CredentialOrigins::Only(Origin::parse(url).into_iter().collect())
}

impl Failed {
    /// Before there was an answer. Where a redirect leads to is what the application said.
    pub(super) fn unasked(url: &str, error: WebError) -> Self {
        let asked = shown(url);
        let why = match error.url() {
            Some(url) if url != asked => format!("{asked}: after a redirect: {}", error.why()),
            _ => error.to_string(),
        };
        Self { error, why, answer: String::new(), credentials: None }
    }
}

impl Request {
    /// Credentials go to the URL's own origin; no address is refused, for an administrator chose it.
    pub(crate) fn new(asker: Asker, retry: Retry) -> Self {
        let rules = Rules { reach: Reach::Anywhere, credentials: only(&asker.call.url.0) };
        Self { asker, rules, retry, failure: String::new(), answered: None }
    }

    fn url(&self) -> &str {
        self.asker.call.url.0.trim()
    }

    async fn ask(&mut self) -> Result<(), Fault> {
        let since = self.asker.listener.begins();
        let Err(failed) = self.asker.ask(self.url(), &self.rules, since).await else {
            self.asker.listener.told(since);
            return Ok(());
        };
        let fault = self.asker.fault(&failed);
        self.failure = failed.error.why();
        let answered = match &failed.error {
            WebError::Status { code, .. } if !failed.answer.is_empty() => Some((*code, failed.answer)),
            _ => None,
        };
        if let Some((code, answer)) = &answered {
            let url = shown(self.url());
            match self.answered == answered {
                false => tracing::warn!(url, code, answer, "the application answered"),
                true => tracing::debug!(url, code, answer, "the application answered"),
            }
        }
        self.answered = answered;
        Err(fault)
    }
}

impl Reaction for Request {
    fn name(&self) -> &'static str {
        "request"
    }

    fn skips_initial(&self) -> bool {
        self.asker.call.skips_initial
    }

    fn is_remembered(&self) -> bool {
        true
    }

    fn credentials(&mut self) -> BoxFuture<'_, Option<Fingerprint>> {
        self.asker.client.credentials_shown(self.url(), &self.rules.credentials).boxed()
    }

    fn retry(&self) -> Retry {
        self.retry
    }

    fn renew(&mut self) {
        self.answered = None;
    }

    fn exhausted(&self) -> String {
        self.asker.exhausted(NOT_TOLD, &self.failure)
    }

    fn fire<'a>(&'a mut self, _changed: &'a [String]) -> Fired<'a> {
        self.ask().boxed()
    }
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;
