//! One exchange with one server: what is sent, how long it may take, and where the answer sends us.

use std::future::Future;
use std::time::Duration;

use http::header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED, LOCATION};
use http::{HeaderMap, HeaderValue, Method};
use reqwest::{Request, Response, Url};
use tokio::time::{Instant, error::Elapsed, timeout_at};

use crate::web::address::check;
use crate::web::error::WebError;
use crate::web::{Question, Validators, credentials};

impl<'a> Question<'a> {
    pub(super) fn request(&self) -> (Method, Option<&'a str>) {
        match self {
            Self::Download { .. } => (Method::GET, None),
            Self::Call { method, json } => (Method::from_bytes(method.as_bytes()).unwrap_or(Method::GET), *json),
        }
    }
}

/// Bounds of one attempt.
pub(super) struct Clock {
    /// How long each step may take.
    pub(super) step: Duration,
    /// When the whole has to be over.
    pub(super) ends: Instant,
}

impl Clock {
    pub(super) async fn within<T>(&self, limit: Duration, step: impl Future<Output = T>) -> Result<T, Elapsed> {
        timeout_at((Instant::now() + limit).min(self.ends), step).await
    }
}

pub(super) fn request(url: Url, method: &Method, json: Option<&str>, question: &Question<'_>) -> Request {
    let mut request = Request::new(method.clone(), url);
    let headers = request.headers_mut();
    if let Question::Download { known: Some(known), .. } = question {
        known.etag.clone().map(|etag| headers.insert(IF_NONE_MATCH, etag));
        known.last_modified.clone().map(|date| headers.insert(IF_MODIFIED_SINCE, date));
    }
    match json {
        Some(json) => {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            *request.body_mut() = Some(json.to_owned().into());
        }
        None if *method == Method::GET => {}
        None => {
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
    }
    request
}

/// Where the answer sends us, if anywhere. User and password in it are nobody's.
pub(super) fn redirect(response: &Response, url: &Url) -> Result<Option<Url>, WebError> {
    let location = match response.status().as_u16() {
        301 | 302 | 303 | 307 | 308 => response.headers().get(LOCATION),
        _ => None,
    };
    let Some(location) = location else { return Ok(None) };
    let mut next = check(url.join(&String::from_utf8_lossy(location.as_bytes())).map_err(|_| WebError::Url)?)?;
    credentials::take(&mut next);
    Ok(Some(next))
}

/// Method and body of the next request, as browsers and Python's requests have it.
pub(super) fn after_redirect(code: u16, method: Method, json: Option<&str>) -> (Method, Option<&str>) {
    match code {
        307 | 308 => (method, json),
        301 if method != Method::POST => (method, None),
        _ => (Method::GET, None),
    }
}

pub(super) fn validators(headers: &HeaderMap) -> Validators {
    Validators { etag: headers.get(ETAG).cloned(), last_modified: headers.get(LAST_MODIFIED).cloned() }
}
