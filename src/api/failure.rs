//! What can go wrong with one request, as values that callers decide by.
//!
//! Nothing here ever holds a byte of a response body: an answer of the API server may carry a Secret.

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use kube::core::Status;

use crate::health::overview::WatchTrouble;
use crate::web::body::retry_after;
use crate::web::error::with_causes;

/// Why one request failed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The server answered, and it was not success.
    #[error("{message}: answered {code} {reason}")]
    Status {
        /// HTTP status.
        code: u16,
        /// `Status.reason`, or `NamespaceTerminating` where a cause says so; empty if the answer was no `Status`.
        reason: String,
        /// How long the server asked us to wait, at most 30 seconds; garbage counts as absent.
        retry_after: Option<Duration>,
        /// What was asked, in our own words.
        message: String,
    },
    /// Nothing came within the deadline.
    #[error("no {what} within {} s", .limit.as_secs())]
    Timeout {
        /// What was waited for.
        what: &'static str,
        /// The deadline.
        limit: Duration,
    },
    /// The connection failed: refused, reset, TLS.
    #[error("{0}")]
    Transport(String),
    /// The answer is larger than we are willing to read.
    #[error("the answer exceeds {limit_bytes} bytes")]
    TooLarge {
        /// The limit that was exceeded.
        limit_bytes: usize,
    },
    /// The answer is not what was asked for; the position tells where, the text stays unsaid.
    #[error("{what} cannot be decoded (line {line}, column {column})")]
    Decode {
        /// What was to be decoded.
        what: &'static str,
        /// Line of the first error.
        line: usize,
        /// Column of the first error.
        column: usize,
    },
    /// We could not even build the request.
    #[error("building the request: {0}")]
    Request(String),
}

impl Failure {
    /// The status code, if the server answered at all.
    pub(crate) fn code(&self) -> Option<u16> {
        match self {
            Self::Status { code, .. } => Some(*code),
            Self::Timeout { .. } | Self::Transport(_) | Self::TooLarge { .. } | Self::Decode { .. } | Self::Request(_) => None,
        }
    }

    /// How long the server asked us to wait.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            Self::Timeout { .. } | Self::Transport(_) | Self::TooLarge { .. } | Self::Decode { .. } | Self::Request(_) => None,
        }
    }

    /// What it means for a watch, without a word of the server.
    pub(crate) const fn trouble(&self) -> WatchTrouble {
        match self {
            Self::Status { code: 401, .. } => WatchTrouble::Unauthorized,
            Self::Status { code: 403, .. } => WatchTrouble::Refused,
            Self::Status { code, .. } => WatchTrouble::Answered(*code),
            Self::Timeout { .. } => WatchTrouble::Late,
            Self::Transport(_) | Self::Request(_) => WatchTrouble::Unreachable,
            Self::TooLarge { .. } | Self::Decode { .. } => WatchTrouble::Unreadable,
        }
    }

    /// Whether the server or the way to it is unwell, so that any other request would fail too.
    pub(crate) fn is_outage(&self) -> bool {
        match self {
            Self::Status { code, .. } => matches!(*code, 401 | 408 | 429 | 500..),
            Self::Timeout { .. } | Self::Transport(_) => true,
            Self::TooLarge { .. } | Self::Decode { .. } | Self::Request(_) => false,
        }
    }

    /// The failure that an unsuccessful answer stands for.
    pub(crate) fn from_answer(asked: &str, code: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        Self::Status { code: code.as_u16(), reason: status_reason(body), retry_after: retry_after(headers), message: asked.to_owned() }
    }

    /// The failure that a decoder's error stands for.
    pub(crate) fn from_decoder(what: &'static str, error: &serde_json::Error) -> Self {
        Self::Decode { what, line: error.line(), column: error.column() }
    }

    /// The failure that a broken connection stands for: the texts of the error and of all its causes.
    pub(crate) fn from_transport(error: &(dyn std::error::Error + 'static)) -> Self {
        Self::Transport(with_causes(error.to_string(), error.source()))
    }
}

impl From<kube::core::request::Error> for Failure {
    fn from(error: kube::core::request::Error) -> Self {
        Self::Request(std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string))
    }
}

/// The reason in a `Status` body: one word, never free text.
fn status_reason(body: &[u8]) -> String {
    const TERMINATING: &str = "NamespaceTerminating";

    let Ok(status) = serde_json::from_slice::<Status>(body) else {
        return String::new();
    };
    let causes = status.details.map(|details| details.causes).unwrap_or_default();
    if causes.iter().any(|cause| cause.reason == TERMINATING) {
        return TERMINATING.to_owned();
    }
    let is_word = status.reason.len() <= 64 && status.reason.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if is_word { status.reason } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_word_of_a_body_is_kept() {
        let table: [(&str, &str); 6] = [
            (r#"{"kind":"Status","reason":"Forbidden","message":"canary"}"#, "Forbidden"),
            (r#"{"reason":"Forbidden","details":{"causes":[{"reason":"NamespaceTerminating"}]}}"#, "NamespaceTerminating"),
            (r#"{"reason":"the canary value"}"#, ""),
            (r#"{"message":"canary"}"#, ""),
            ("canary", ""),
            ("", ""),
        ];
        for (body, expected) in table {
            let failure = Failure::from_answer("GET /x", StatusCode::FORBIDDEN, &HeaderMap::new(), body.as_bytes());
            assert!(!format!("{failure} {failure:?}").contains("canary"), "{body}");
            let Failure::Status { reason, .. } = failure else { panic!("a status") };
            assert_eq!(reason, expected, "{body}");
        }
    }

    #[test]
    fn decoder_errors_say_where_and_not_what() {
        let error = serde_json::from_str::<u8>("\n \"canary\"").expect_err("no number");
        let failure = Failure::from_decoder("the answer", &error);
        assert_eq!(failure, Failure::Decode { what: "the answer", line: 2, column: 9 });
    }
}
