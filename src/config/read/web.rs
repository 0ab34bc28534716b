//! Settings about servers other than the API: `.url` keys, REQ_URL.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderName, HeaderValue};

use crate::core::retry::Retry;

/// Text that nothing prints.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Redacted(pub(crate) String);

impl fmt::Debug for Redacted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// How other servers are asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Web {
    /// REQ_TIMEOUT: to connect, and between two reads.
    pub(crate) timeout: Duration,
    /// REQ_ANSWER_TIMEOUT: until the answer to a request that tells something begins; at least REQ_TIMEOUT.
    pub(crate) answer_timeout: Duration,
    /// REQ_RETRY_*.
    pub(crate) retry: Retry,
    /// REQ_SKIP_TLS_VERIFY.
    pub(crate) skip_tls_verify: bool,
    /// REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE: certificates that are trusted instead of the system's.
    pub(crate) ca_bundle: Option<PathBuf>,
    /// ENABLE_5XX: an answer of 5xx is final, not tried again.
    pub(crate) server_errors_are_final: bool,
    /// REQ_TOKEN_FILE, REQ_HEADERS, REQ_HEADERS_FILE.
    pub(crate) headers: Headers,
    /// REQ_USERNAME, REQ_PASSWORD and their files.
    pub(crate) credentials: Credentials,
}

/// Headers for those whom we name one by one, never for everybody.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Headers {
    /// REQ_TOKEN_FILE: a file with a bearer token, read again for each request.
    pub(crate) token: Option<PathBuf>,
    /// REQ_HEADERS.
    pub(crate) given: Vec<Header>,
    /// REQ_HEADERS_FILE: a file with more of them, read again for each request.
    pub(crate) file: Option<PathBuf>,
}

/// A header whose value nothing prints.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Header {
    /// The name.
    pub(crate) name: HeaderName,
    /// The value, marked as one that nothing prints.
    pub(crate) value: HeaderValue,
}

/// A user's name and password. Sent only if both are there and not empty.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Credentials {
    /// The name.
    pub(crate) username: Given,
    /// The password.
    pub(crate) password: Given,
    /// REQ_BASIC_AUTH_ENCODING.
    pub(crate) encoding: Encoding,
}

impl Credentials {
    /// Whether somebody gave both, in whatever form.
    pub(crate) fn are_given(&self) -> bool {
        [&self.username, &self.password].into_iter().all(|given| given.file.is_some() || given.text.is_some())
    }
}

/// Text that is given in a file, read again for each request, or else directly.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Given {
    /// The file; trimmed, and passed over while it cannot be read.
    pub(crate) file: Option<PathBuf>,
    /// The text itself.
    pub(crate) text: Option<Redacted>,
}

/// Bytes of user name and password.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Encoding {
    /// ISO 8859-1.
    Latin1,
    /// UTF-8.
    Utf8,
    /// ASCII.
    Ascii,
}

/// Scheme, host and port of a server.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Origin {
    /// `http` or `https`.
    pub(crate) scheme: String,
    /// In lower case, without brackets.
    pub(crate) host: String,
    /// Spelled out.
    pub(crate) port: u16,
}

/// The host of REQ_URL that stands for the addresses of pods.
pub(crate) const PODS: &str = "{pod}";

impl Origin {
    /// Whether it is none, but stands for those of pods.
    pub(crate) fn is_pods(&self) -> bool {
        self.host == PODS
    }
}

/// Which servers get our credentials for `.url` keys.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CredentialOrigins {
    /// Every server.
    Any,
    /// These.
    Only(Vec<Origin>),
}

/// `.url` keys.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Downloads {
    /// URL_MAX_BYTES.
    pub(crate) bytes_max: usize,
    /// Time between two questions for the same file; `None`: it is asked for once.
    pub(crate) refresh: Option<Duration>,
    /// URL_CREDENTIAL_ORIGINS and the origin of REQ_URL.
    pub(crate) credential_origins: CredentialOrigins,
    /// URL_ALLOW: the only origins that are asked; `None`: all but link-local addresses.
    pub(crate) allow: Option<Vec<Origin>>,
}

/// The request that follows a change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Call {
    /// REQ_URL. It may carry credentials: show its origin only.
    pub(crate) url: Redacted,
    /// REQ_METHOD, in upper case.
    pub(crate) method: String,
    /// REQ_PAYLOAD as JSON; `None`: an empty body without a type.
    pub(crate) payload: Option<Redacted>,
    /// REQ_SKIP_INIT: not after the initial pass.
    pub(crate) skips_initial: bool,
}
