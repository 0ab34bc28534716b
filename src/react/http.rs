//! The request that follows a change: REQ_URL.

use crate::config::Wording;
use crate::config::web::{Call, CredentialOrigins};
use crate::core::pace::Fingerprint;
use crate::core::retry::Retry;
use crate::react::{Fault, Fired, Reaction, Shown};
use crate::web::address::{Secrecy, origin, quoted};
use crate::web::error::WebError;
use crate::web::{Ask, Client, Question, Reach, Rules, tell};

/// Asks one URL.
pub struct Request {
    call: Call,
    client: Client,
    rules: Rules,
    retry: Retry,
    wording: Wording,
    /// Why the last attempt failed.
    failure: String,
}

impl Request {
    /// Credentials go to the URL's own origin; no address is refused, for an administrator chose it.
    pub fn new(call: Call, client: Client, retry: Retry, wording: Wording) -> Self {
        let credentials = CredentialOrigins::Only(origin(&call.url.0).into_iter().collect());
        Self { call, client, rules: Rules { reach: Reach::Anywhere, credentials }, retry, wording, failure: String::new() }
    }

    async fn ask(&self) -> Result<(), Failed> {
        ask(&self.client, &self.call, self.call.url.0.trim(), &self.rules, self.wording).await
    }
}

/// Why an attempt failed, and the credentials that were shown.
pub(super) struct Failed {
    error: WebError,
    credentials: Option<Fingerprint>,
}

impl Failed {
    /// Before anybody was shown anything.
    pub(super) const fn early(error: WebError) -> Self {
        Self { error, credentials: None }
    }

    /// What it means for the next attempt.
    pub(super) fn fault(&self, client: &Client) -> Fault {
        let Self { error, credentials } = self;
        let (why, wish) = (error.to_string(), error.wish());
        match (error, error.trouble()) {
            (WebError::Unanswered { .. }, _) => Fault::Unanswered(why),
            (WebError::Status { code: 401 | 403, .. }, _) => Fault::Refused { credentials: *credentials, wish, why },
            (error, _) if client.is_final(error) => Fault::Permanent(why),
            (_, Some(trouble)) => Fault::Transient { trouble, wish, why },
            (_, None) => Fault::Answered { wish, why },
        }
    }
}

/// Asks once, and says what the answer is worth.
pub(super) async fn ask(client: &Client, call: &Call, url: &str, rules: &Rules, wording: Wording) -> Result<(), Failed> {
    // As the original has it, a GET carries nothing.
    let json = call.payload.as_ref().filter(|_| call.method != "GET").map(|payload| payload.0.as_str());
    let question = Question::Call { method: &call.method, json };
    let answer = client.ask(&Ask { url, question, rules }).await.map_err(Failed::early)?;
    tell(wording, url, Secrecy::Open, &answer);
    client.judge(url, &answer).map_err(|error| Failed { error, credentials: answer.credentials })
}

impl Reaction for Request {
    fn name(&self) -> &'static str {
        "request"
    }

    fn skips_initial(&self) -> bool {
        self.call.skips_initial
    }

    fn is_remembered(&self) -> bool {
        true
    }

    fn credentials(&mut self) -> Shown<'_> {
        Box::pin(self.client.credentials_shown(self.call.url.0.trim(), &self.rules.credentials))
    }

    fn retry(&self) -> Retry {
        self.retry
    }

    fn exhausted(&self) -> String {
        match self.wording {
            Wording::Own => "the application was not told, trying again later".to_owned(),
            Wording::Sidecar => {
                format!("Max retries exceeded for URL {}: {}", quoted(&self.call.url.0, Secrecy::Open), self.failure)
            }
        }
    }

    fn fire<'a>(&'a mut self, _changed: &'a [String]) -> Fired<'a> {
        Box::pin(async {
            self.ask().await.map_err(|failed| {
                self.failure = failed.error.why();
                failed.fault(&self.client)
            })
        })
    }
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;
