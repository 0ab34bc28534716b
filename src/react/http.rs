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

    /// The error comes with the credentials that were shown.
    async fn ask(&self) -> Result<(), (WebError, Option<Fingerprint>)> {
        let url = self.call.url.0.trim();
        // As the original has it, a GET carries nothing.
        let json = self.call.payload.as_ref().filter(|_| self.call.method != "GET").map(|payload| payload.0.as_str());
        let question = Question::Call { method: &self.call.method, json };
        let answer = self.client.ask(&Ask { url, question, rules: &self.rules }).await.map_err(|error| (error, None))?;
        tell(self.wording, url, Secrecy::Open, &answer);
        self.client.judge(url, &answer).map_err(|error| (error, answer.credentials))
    }

    /// What an error means for the next attempt.
    fn fault(&self, error: &WebError, credentials: Option<Fingerprint>) -> Fault {
        let (why, wish) = (error.to_string(), error.wish());
        match (error, error.trouble()) {
            (WebError::Unanswered { .. }, _) => Fault::Unanswered(why),
            (WebError::Status { code: 401 | 403, .. }, _) => Fault::Refused { credentials, wish, why },
            (error, _) if self.client.is_final(error) => Fault::Permanent(why),
            (_, Some(trouble)) => Fault::Transient { trouble, wish, why },
            (_, None) => Fault::Answered { wish, why },
        }
    }
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
            let (error, credentials) = match self.ask().await {
                Ok(()) => return Ok(()),
                Err(failed) => failed,
            };
            self.failure = error.why();
            Err(self.fault(&error, credentials))
        })
    }
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;
