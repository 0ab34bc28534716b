//! The request that follows a change: REQ_URL.

use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use hyper_util::client::proxy::matcher::Matcher;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::api::ApiServer;
use crate::api::access::Need;
use crate::config::read::exec::AskedPods;
use crate::config::read::origin::Origin;
use crate::config::read::reload::ReloadRequest;
use crate::config::read::web::CredentialOrigins;
use crate::config::{Config, Method, Wording};
use crate::core::discretion::{Frankness, Listener, Since};
use crate::core::retry::Retry;
use crate::core::tell::pace::{FaultKind, Fingerprint};
use crate::tell::exec::targets::targets;
use crate::tell::pods::AskPods;
use crate::tell::words::warn_once;
use crate::tell::{Diagnostic, Fault, Fired, Level, Means, NOT_TOLD, Reaction, Way, words};
use crate::web::address::{Secrecy, quoted, scrubbed, shown};
use crate::web::error::WebError;
use crate::web::{Answer, Ask, Client, Question, Reach, Terms, tell};

/// REQ_URL.
pub(super) const WAY: Way = Way { needs, check, ..Way::new(|config| config.request.is_some(), from_config, whom) };

/// A connection must come about within this, or within REQ_TIMEOUT if that is shorter.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// Asks whoever is to be told.
pub(crate) struct Asker {
    pub(super) call: ReloadRequest,
    pub(super) client: Client,
    pub(super) wording: Wording,
    pub(super) listener: Listener,
}

/// Asks one URL.
pub(crate) struct AskUrl {
    asker: Asker,
    rules: Terms,
    retry: Retry,
    /// Why the last attempt failed.
    failure: String,
    /// Code and words of the last answer that was no success, so that they are told once.
    answered: Option<(u16, String)>,
}

/// Why an attempt failed.
pub(super) struct FailedAsk {
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
    pub(super) async fn ask(&self, url: &str, rules: &Terms, since: Since) -> Result<(), FailedAsk> {
        let Self { call, client, wording, listener } = self;
        // As the original has it, a GET carries nothing.
        let json = call.payload.as_ref().filter(|_| call.method != "GET").map(|payload| payload.0.as_str());
        let question = Question::Call { method: &call.method, json };
        let answer = client.ask(&Ask { url, question, rules }).await.map_err(|error| FailedAsk::unasked(url, error))?;
        let frankness = listener.frankness(since);
        tell(*wording, url, Secrecy::Open, &answer, frankness);
        client.judge(url, &answer).map_err(|error| FailedAsk {
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
    pub(super) fn fault(&self, failed: &FailedAsk) -> Fault {
        let FailedAsk { error, why, credentials, .. } = failed;
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

fn from_config(config: &Config, means: &Means<'_>) -> Option<Box<dyn Reaction>> {
    let (mut call, mut retry) = (config.request.clone()?, config.web.retry);
    if config.method == Method::List {
        // There is only the initial pass, and whoever waits for it to end waits for the bounds of retries too.
        call.skips_initial = false;
        retry = Retry { connect: retry.connect.min(retry.total), ..retry };
    }
    let asker = Asker::new(call, means.client?.clone(), config.wording, means.discretion.listener());
    Some(match (&config.asked_pods, means.api) {
        (Some(pods), Some(api)) => Box::new(AskPods::new(asker, pods.clone(), api.clone(), retry)),
        _ => Box::new(AskUrl::new(asker, retry)),
    })
}

fn whom(config: &Config) -> String {
    match (&config.request, &config.asked_pods) {
        (Some(call), Some(pods)) => format!("{} of pods by {} in {}", call.method, pods.labels, pods.namespace),
        (Some(call), None) => format!("{} of {}", call.method, shown(&call.url.0)),
        (None, _) => String::new(),
    }
}

/// Who may run commands in pods is asked whether we may list them already.
fn needs(config: &Config) -> Vec<Need> {
    let asked = config.asked_pods.iter().filter(|_| config.exec.is_none());
    asked.map(|pods| Need { verb: "list", group: "", resource: "pods", namespace: Some(pods.namespace.clone()), name: None }).collect()
}

fn check<'a>(config: &'a Config, api: Option<&'a ApiServer>) -> BoxFuture<'a, Option<Diagnostic>> {
    async move {
        match (&config.asked_pods, api) {
            (None, None) => connection(config.request.as_ref()?, config.web.timeout.min(CONNECT_WITHIN)).await,
            (Some(pods), Some(api)) => Some(asked(pods, api).await),
            _ => None,
        }
    }
    .boxed()
}

/// Opens a connection to the server, or to the proxy on the way, and sends nothing.
async fn connection(call: &ReloadRequest, limit: Duration) -> Option<Diagnostic> {
    let server = shown(&call.url.0);
    let origin = Origin::parse(&call.url.0)?;
    let proxy = server.parse().ok().and_then(|uri| Matcher::from_env().intercept(&uri));
    let proxy = proxy.as_ref().and_then(|proxy| Some((proxy.uri().host()?, proxy.uri().port_u16()?)));
    let (host, port) = proxy.unwrap_or((&origin.host, origin.port));
    let by = if proxy.is_some() { format!(" by the proxy {host}:{port}") } else { String::new() };
    let (level, text) = match timeout(limit, TcpStream::connect((host.trim_matches(['[', ']']), port))).await {
        Ok(Ok(_)) => (Level::Ok, format!("REQ_URL: {server} takes connections{by}")),
        Ok(Err(error)) => (Level::Problem, format!("REQ_URL: {server}{by}: {error}")),
        Err(_) => (Level::Problem, format!("REQ_URL: {server}{by}: no connection within {} s", limit.as_secs_f32())),
    };
    Some(Diagnostic { level, text })
}

/// Counts the pods that would be asked now, and asks none.
async fn asked(pods: &AskedPods, api: &ApiServer) -> Diagnostic {
    let which = format!("{} in {}", pods.labels, pods.namespace);
    let counted = targets(api, pods.into()).await.map(|(found, _)| found.iter().filter(|target| target.address.is_some()).count());
    let (level, text) = match counted {
        Ok(0) => (Level::Warning, format!("REQ_URL: no pod to ask now, by {which}")),
        Ok(count) => (Level::Ok, format!("REQ_URL: {count} pods to ask now, by {which}")),
        Err(failure) => (Level::Problem, format!("REQ_URL: listing pods, by {which}: {failure}")),
    };
    Diagnostic { level, text }
}

/// Only who is asked gets our credentials.
pub(super) fn only(url: &str) -> CredentialOrigins {
    CredentialOrigins::Only(Origin::parse(url).into_iter().collect())
}

impl FailedAsk {
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

impl AskUrl {
    /// Credentials go to the URL's own origin; no address is refused, for an administrator chose it.
    pub(crate) fn new(asker: Asker, retry: Retry) -> Self {
        let rules = Terms { reach: Reach::Anywhere, credentials: only(&asker.call.url.0) };
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
            warn_once!(self.answered != answered, url, code, answer, "the application answered");
        }
        self.answered = answered;
        Err(fault)
    }
}

impl Reaction for AskUrl {
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
