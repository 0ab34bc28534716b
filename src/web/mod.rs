//! Servers other than the API: one question, one attempt.
//!
//! Owns which servers are asked at all, who gets credentials, how long an answer may take and how large it may be. Follows
//! redirects itself, for each of them is a new server. Never tries again, never keeps a connection, never logs a body or more of a URL
//! than its origin, but for the lines that are quoted from k8s-sidecar.

pub(crate) mod address;
pub(crate) mod body;
mod coding;
mod credentials;
pub mod error;
mod exchange;
mod headers;
mod parts;
#[cfg(test)]
pub(crate) mod stub;
mod tls;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::header::{AUTHORIZATION, CONTENT_LENGTH, IF_MODIFIED_SINCE, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, StatusCode};
use reqwest::{Request, Url};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use crate::aside;
use crate::config::Wording;
use crate::config::read::origin::Origin;
use crate::config::read::web::{CredentialOrigins, WebSettings};
use crate::core::discretion::Frankness;
use crate::core::retry::RetryReason;
use crate::core::tell::pace::Fingerprint;
use crate::lookup::{self, Lookup};
use crate::web::address::{Resolver, Secrecy, is_link_local, names_metadata, parse, quoted, shown, shown_url};
use crate::web::body::Gate;
use crate::web::credentials::Basic;
use crate::web::error::WebError;
use crate::web::exchange::{Clock, after_redirect, redirect, request};
use crate::web::headers::Extra;
use crate::web::parts::Parts;
use crate::web::tls::SystemRoots;

/// Redirects that are followed.
const REDIRECTS_MAX: usize = 10;
/// The whole of an attempt may take this many times REQ_TIMEOUT.
const WHOLE: u32 = 10;
/// The longest REQ_TIMEOUT that makes a difference.
const TIMEOUT_MAX: Duration = Duration::from_secs(24 * 3600);

/// What is wanted of a server.
#[derive(Clone, Copy)]
pub enum Question<'a> {
    /// The bytes behind the URL.
    Download {
        /// What is known of them: asks for them only if they differ.
        known: Option<&'a Validators>,
        /// The largest body that is read.
        bytes_max: usize,
        /// Where large bodies wait for each other.
        gate: &'a Gate,
    },
    /// To be told something.
    Call {
        /// The method, in upper case.
        method: &'a str,
        /// The body, in JSON.
        json: Option<&'a str>,
    },
}

/// One question to one server.
#[derive(Clone, Copy)]
pub struct Ask<'a> {
    /// Where.
    pub url: &'a str,
    /// What.
    pub question: Question<'a>,
    /// Who may be asked, and who gets credentials.
    pub rules: &'a Terms,
}

/// Who may be asked, and who gets credentials. Decided anew at each redirect.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Terms {
    /// Who may be asked.
    pub reach: Reach,
    /// Who gets the credentials of the settings. Those in a URL go to that URL's origin.
    pub credentials: CredentialOrigins,
}

/// Who may be asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reach {
    /// Everybody: an administrator chose the URL.
    Anywhere,
    /// No link-local address, unless it is listed.
    Guarded {
        /// The only origins that are asked.
        allow: Option<Vec<Origin>>,
    },
    /// A pod at its own address: by no proxy, for that may reach another one, and no redirect is followed.
    Pod {
        /// Its address.
        address: IpAddr,
        /// The host in the URL, where that is the name in the pod's certificate.
        name: Option<String>,
    },
}

/// By what a server knows a state of a file again.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Validators {
    /// `ETag`
    pub(crate) etag: Option<HeaderValue>,
    /// `Last-Modified`
    pub(crate) last_modified: Option<HeaderValue>,
}

/// What a server's words may repeat of what it was asked, least first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Echo {
    /// Nothing but a path that is known to whoever knows the URL's.
    Nothing,
    /// Credentials, headers or a body too.
    Sent,
    /// What is shown nowhere: more of a URL than its origin and path, and headers of REQ_TOKEN_FILE and REQ_HEADERS.
    Hidden,
}

impl Echo {
    /// What a request carries besides its URL. Headers that say nothing of their own are few, and listed, so that no other is forgotten.
    fn of(request: &Request) -> Self {
        let silent = [CONTENT_LENGTH, IF_NONE_MATCH, IF_MODIFIED_SINCE];
        let is_bare = request.body().is_none() && request.headers().keys().all(|name| silent.contains(name));
        if is_bare { Self::Nothing } else { Self::Sent }
    }
}

/// What a server said in the end. Without `Debug`: it holds content.
pub struct Answer {
    /// The status code.
    pub code: u16,
    /// The reason phrase.
    pub(crate) reason: String,
    /// What its words may repeat of what it was asked.
    pub(crate) echo: Echo,
    /// The body: all of a download that succeeded, else the beginning or nothing.
    pub(crate) body: Vec<u8>,
    /// How long the body is, as far as it was announced or read.
    pub(crate) length: usize,
    /// By what the server knows it again.
    pub(crate) validators: Validators,
    /// The credentials that a server was shown on the way to it, if any was.
    pub(crate) credentials: Option<Fingerprint>,
    /// How long the server asks us to wait.
    pub(crate) wish: Option<Duration>,
    /// While this is held no other large body is read.
    pub(crate) turn: Option<OwnedSemaphorePermit>,
}

/// Asks servers. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    everything: reqwest::Client,
    guarded: reqwest::Client,
    credentials: Basic,
    extra: Extra,
    /// For those who get a client of their own.
    parts: Arc<Parts>,
    roots: Option<SystemRoots>,
    timeout: Duration,
    answer_timeout: Duration,
    server_errors_are_final: bool,
}

impl Client {
    /// As [`Client::new`], which may hang where the CA bundle does.
    ///
    /// # Errors
    /// A CA bundle that cannot be used.
    pub(crate) async fn open(web: &WebSettings) -> Result<Self, WebError> {
        let (web, file) = (web.clone(), web.ca_bundle.clone().unwrap_or_default());
        let opened = aside::once(aside::AT_START, move || Self::new(&web)).await;
        opened.map_err(|source| WebError::BundleUnreadable { file, source: Arc::new(source) })?
    }

    /// Makes no request, and reads no file but a CA bundle.
    ///
    /// # Errors
    /// A CA bundle that cannot be used.
    pub fn new(web: &WebSettings) -> Result<Self, WebError> {
        Self::with_lookup(web, lookup::system())
    }

    /// With another way to turn names into addresses.
    pub(crate) fn with_lookup(web: &WebSettings, lookup: Lookup) -> Result<Self, WebError> {
        let timeout = web.timeout.min(TIMEOUT_MAX);
        let (tls, roots) = tls::config(web)?;
        let parts = Parts { tls, resolver: Resolver::new(lookup), timeout };
        Ok(Self {
            everything: parts.client(address::NameFilter::Everything)?,
            guarded: parts.client(address::NameFilter::Guarded)?,
            credentials: Basic::new(&web.credentials),
            extra: Extra::new(&web.headers),
            parts: Arc::new(parts),
            roots,
            timeout,
            answer_timeout: web.answer_timeout.min(TIMEOUT_MAX),
            server_errors_are_final: web.server_errors_are_final,
        })
    }

    /// Asks once, and follows redirects. Any final answer is one, also 404; `judge` tells what it is worth.
    ///
    /// # Errors
    /// No answer; an answer that is cut short or too large; a server that may not be asked.
    ///
    /// # Cancel safety
    /// The request may or may not have arrived.
    pub async fn ask(&self, ask: &Ask<'_>) -> Result<Answer, WebError> {
        let mut url = parse(ask.url)?;
        let own = credentials::take(&mut url).map(|header| (Origin::of(&url), header));
        let (first, mut is_anybody) = (url.clone(), own.is_none());
        let patience = self.patience(&ask.question);
        let mut clock = Clock { step: self.timeout, ends: Instant::now() + self.timeout * WHOLE + patience };
        let mut credentials = None;
        let (mut method, mut json) = ask.question.request();
        let mut echo = Echo::Nothing;
        for _ in 0..=REDIRECTS_MAX {
            let client = self.client_for(&url, &ask.rules.reach)?;
            let mut request = request(url.clone(), &method, json, &ask.question);
            let own = own.as_ref().filter(|(origin, _)| *origin == Origin::of(&url)).map(|(_, header)| header.clone());
            let (secrets, has_extra) = self.secrets_for(&url, &ask.rules.credentials, own).await?;
            is_anybody &= !has_extra;
            credentials = credentials::fingerprint(&secrets).or(credentials);
            // In place of whatever has these names.
            request.headers_mut().extend(secrets);
            if let Some(roots) = self.roots.as_ref().filter(|_| url.scheme() == "https") {
                roots.load().await;
            }
            echo = echo.max(Echo::of(&request));
            // The client bounds the connection itself; what remains is for the head of the answer.
            let sent = clock.within(self.timeout + patience, client.execute(request)).await;
            let response =
                sent.map_err(|_| self.late(&ask.question, &url))?.map_err(|error| WebError::from_client(shown_url(&url), &error))?;
            let next = if matches!(ask.rules.reach, Reach::Pod { .. }) { None } else { redirect(&response, &url)? };
            let Some(next) = next else {
                let is_plain = is_anybody && url == first && url.query().is_none();
                let answer = body::answer(response, &ask.question, &mut clock, shown_url(&url)).await?;
                return Ok(Answer { echo: if is_plain { echo } else { Echo::Hidden }, credentials, ..answer });
            };
            (method, json) = after_redirect(response.status().as_u16(), method, json);
            url = next;
        }
        Err(WebError::Redirects { url: shown(ask.url), redirects_max: REDIRECTS_MAX })
    }

    /// How long the head of an answer may take: whoever is told something may have to do it first.
    fn patience(&self, question: &Question<'_>) -> Duration {
        match question {
            Question::Download { .. } => self.timeout,
            Question::Call { .. } => self.answer_timeout,
        }
    }

    /// What it means that the head of an answer did not come. By then the request is sent.
    fn late(&self, question: &Question<'_>, url: &Url) -> WebError {
        match question {
            Question::Download { .. } => WebError::Late { url: shown_url(url) },
            Question::Call { .. } => WebError::Unanswered { url: shown_url(url), within: self.answer_timeout },
        }
    }

    /// The credentials that a request would show its server now.
    pub(crate) async fn credentials_shown(&self, url: &str, origins: &CredentialOrigins) -> Option<Fingerprint> {
        let mut url = parse(url).ok()?;
        let own = credentials::take(&mut url);
        // What cannot be spelled is not sent.
        let (secrets, _) = self.secrets_for(&url, origins, own).await.ok()?;
        credentials::fingerprint(&secrets)
    }

    /// Whether this error is an answer after which nobody wants another attempt.
    pub(crate) fn is_final(&self, error: &WebError) -> bool {
        matches!(error, WebError::Status { code: 500.., .. }) && self.server_errors_are_final
    }

    /// Whether the answer is success. 304 is none: who asked for it looks first.
    ///
    /// # Errors
    /// Every code outside 2xx.
    pub(crate) fn judge(&self, url: &str, answer: &Answer) -> Result<(), WebError> {
        let trouble = match answer.code {
            200..=299 => return Ok(()),
            429 => Some(RetryReason::Later),
            500 | 502 | 503 | 504 if !self.server_errors_are_final => Some(RetryReason::Later),
            _ => None,
        };
        let reason = StatusCode::from_u16(answer.code).ok().and_then(|code| code.canonical_reason()).unwrap_or_default();
        Err(WebError::Status { url: shown(url), code: answer.code, reason, trouble, wish: answer.wish })
    }

    /// The client that may ask this server.
    fn client_for(&self, url: &Url, reach: &Reach) -> Result<reqwest::Client, WebError> {
        match reach {
            Reach::Anywhere => Ok(self.everything.clone()),
            Reach::Pod { address, .. } if is_link_local(*address) => Err(WebError::LinkLocal { url: shown_url(url) }),
            Reach::Pod { address, name } => self.parts.pod(*address, name.as_deref()),
            Reach::Guarded { allow: Some(allow) } => match Origin::of(url).is_some_and(|origin| allow.contains(&origin)) {
                true => Ok(self.everything.clone()),
                false => Err(WebError::NotAllowed { url: shown_url(url) }),
            },
            Reach::Guarded { allow: None } => match names_metadata(url) {
                true => Err(WebError::LinkLocal { url: shown_url(url) }),
                false => Ok(self.guarded.clone()),
            },
        }
    }

    /// Every header that only some servers may see, and whether any of them was given by REQ_TOKEN_FILE or REQ_HEADERS.
    async fn secrets_for(&self, url: &Url, origins: &CredentialOrigins, own: Option<HeaderValue>) -> Result<(HeaderMap, bool), WebError> {
        let is_named = is_named(url, origins);
        let mut secrets = HeaderMap::new();
        let basic = if *origins == CredentialOrigins::Any || is_named { self.credentials.header().await? } else { None };
        if let Some(header) = basic.or(own) {
            secrets.insert(AUTHORIZATION, header);
        }
        let has_extra = is_named && !self.extra.are_none();
        if has_extra {
            self.extra.put(&mut secrets).await?;
        }
        Ok((secrets, has_extra))
    }
}

/// Whether the server is one of those that are named one by one.
fn is_named(url: &Url, origins: &CredentialOrigins) -> bool {
    match origins {
        CredentialOrigins::Any => false,
        CredentialOrigins::Only(origins) => Origin::of(url).is_some_and(|origin| origins.contains(&origin)),
    }
}

impl Answer {
    /// The first 256 characters of the body, as it is or as `change` makes it.
    pub(crate) fn excerpt(&self, change: impl FnOnce(String) -> String) -> String {
        change(String::from_utf8_lossy(&self.body).into_owned()).chars().take(256).collect()
    }

    /// Why its words may not be repeated, if they may not.
    pub(crate) fn secrecy(&self, frankness: Frankness) -> Option<&'static str> {
        match (self.echo, frankness) {
            (_, Frankness::Silent) => Some("files of ours may be a Secret's (REACT_OUTPUT)"),
            (Echo::Hidden, _) => Some("it may repeat what is shown nowhere"),
            (Echo::Sent, Frankness::Guarded) => Some("it may repeat what it was sent (REACT_OUTPUT)"),
            (Echo::Sent, Frankness::Open) | (Echo::Nothing, Frankness::Guarded | Frankness::Open) => None,
        }
    }
}

/// Logs an answer in these words. The body is shown only where it is no success and the original showed it, and like any of the
/// server's own words only where they cannot repeat what may not be shown.
pub(crate) fn tell(wording: Wording, url: &str, secrecy: Secrecy, answer: &Answer, frankness: Frankness) {
    let code = answer.code;
    if wording == Wording::Own {
        return tracing::debug!(url = shown(url), code, "a server answered");
    }
    let words = match secrecy == Secrecy::Open && answer.secrecy(frankness).is_none() {
        true if (200..=299).contains(&code) => answer.reason.clone(),
        true => format!("{} {}", answer.reason, answer.excerpt(|body| body)),
        false => StatusCode::from_u16(code).ok().and_then(|code| code.canonical_reason()).unwrap_or_default().to_owned(),
    };
    tracing::info!("{}", format!("Request sent to {}. Response: {code} {words}", quoted(url, secrecy)).trim_end());
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
