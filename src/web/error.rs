//! What can go wrong with one question to a server, as values that callers decide by. No byte of a body is ever in them.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::core::retry::RetryReason;
use crate::web::address::Guarded;

/// Why a question got no good answer. URLs in it are origins: scheme, host and port.
#[derive(Clone, Debug, thiserror::Error)]
pub enum WebError {
    /// REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE names a file that cannot be read.
    #[error("REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE: reading the CA bundle {}", .file.display())]
    BundleUnreadable {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        source: Arc<std::io::Error>,
    },
    /// The CA bundle holds no certificate.
    #[error("CA bundle {}: expected certificates in PEM", .file.display())]
    BundleEmpty {
        /// The file.
        file: PathBuf,
    },
    /// TLS cannot be set up.
    #[error("setting up TLS")]
    Tls(#[source] rustls::Error),
    /// The HTTP client cannot be set up.
    #[error("setting up the HTTP client: {0}")]
    Client(String),
    /// No URL.
    #[error("not a URL")]
    Url,
    /// Neither http nor https.
    #[error("{url}: expected http or https")]
    Scheme {
        /// The URL.
        url: String,
    },
    /// URL_ALLOW does not list the server.
    #[error("{url}: not among the servers in URL_ALLOW")]
    NotAllowed {
        /// The URL.
        url: String,
    },
    /// An address at which a node or a cloud tells its guests who they are.
    #[error("{url}: a link-local address or a metadata server, which only URL_ALLOW can permit")]
    LinkLocal {
        /// The URL.
        url: String,
    },
    /// User name or password hold characters that the encoding lacks.
    #[error("REQ_BASIC_AUTH_ENCODING=\"{encoding}\": user name or password hold characters that it cannot spell")]
    Encoding {
        /// The encoding.
        encoding: &'static str,
    },
    /// A file with what the request must carry cannot be used now. Nothing was sent.
    #[error("{setting}={file:?}: {why}")]
    Unusable {
        /// The setting that names it.
        setting: &'static str,
        /// The file.
        file: PathBuf,
        /// What is wrong with it. Never what it holds.
        why: String,
    },
    /// No connection came about.
    #[error("{url}: {why}")]
    Connect {
        /// The URL.
        url: String,
        /// The texts of the error and its causes.
        why: String,
    },
    /// The connection broke.
    #[error("{url}: {why}")]
    Read {
        /// The URL.
        url: String,
        /// The texts of the error and its causes.
        why: String,
    },
    /// The server was silent for too long, or took too long for the whole.
    #[error("{url}: no complete answer in time")]
    Late {
        /// The URL.
        url: String,
    },
    /// The server was told, lives, and said nothing for too long.
    #[error("{url}: no answer within {} s (REQ_ANSWER_TIMEOUT)", .within.as_secs_f32())]
    Unanswered {
        /// The URL.
        url: String,
        /// REQ_ANSWER_TIMEOUT.
        within: Duration,
    },
    /// The body is larger than we are willing to read.
    #[error("{url}: the answer exceeds {bytes_max} bytes")]
    TooLarge {
        /// The URL.
        url: String,
        /// URL_MAX_BYTES.
        bytes_max: usize,
    },
    /// The server packed the body in a way that we cannot unpack.
    #[error("{url}: answered with Content-Encoding {encodings}: expected gzip, deflate or none")]
    Packed {
        /// The URL.
        url: String,
        /// What those encodings are called that have a common name.
        encodings: String,
    },
    /// The body is not what its encoding says, or ends too early.
    #[error("{url}: the answer is no whole {encoding}")]
    Broken {
        /// The URL.
        url: String,
        /// The encoding.
        encoding: &'static str,
    },
    /// One redirect too many.
    #[error("{url}: more than {redirects_max} redirects")]
    Redirects {
        /// The URL that was asked first.
        url: String,
        /// The bound.
        redirects_max: usize,
    },
    /// An answer, and not success.
    #[error("{url}: answered {code} {reason}")]
    Status {
        /// The URL that was asked first.
        url: String,
        /// The status code.
        code: u16,
        /// What the code is called; the server's own words may repeat what it was asked.
        reason: &'static str,
        /// Whether it is worth another attempt.
        trouble: Option<RetryReason>,
        /// How long the server asks us to wait.
        wish: Option<Duration>,
    },
}

impl WebError {
    /// Why another attempt may succeed; nothing if it cannot.
    pub(crate) fn trouble(&self) -> Option<RetryReason> {
        match self {
            // What is not there yet may come.
            Self::Connect { .. } | Self::Unusable { .. } => Some(RetryReason::Connect),
            // What a server between us and the file cut short ends so too.
            Self::Read { .. } | Self::Late { .. } | Self::Unanswered { .. } | Self::Broken { .. } => Some(RetryReason::Read),
            Self::Status { trouble, .. } => *trouble,
            Self::BundleUnreadable { .. }
            | Self::BundleEmpty { .. }
            | Self::Tls(_)
            | Self::Client(_)
            | Self::Url
            | Self::Scheme { .. }
            | Self::NotAllowed { .. }
            | Self::LinkLocal { .. }
            | Self::Encoding { .. }
            | Self::TooLarge { .. }
            | Self::Packed { .. }
            | Self::Redirects { .. } => None,
        }
    }

    /// What went wrong, for a line that names the URL itself.
    pub(crate) fn why(&self) -> String {
        let text = self.to_string();
        self.url().and_then(|url| text.strip_prefix(url)?.strip_prefix(": ")).map_or(text.clone(), str::to_owned)
    }

    /// The server that it is about, if it is about one.
    pub(crate) fn url(&self) -> Option<&str> {
        match self {
            Self::Scheme { url }
            | Self::NotAllowed { url }
            | Self::LinkLocal { url }
            | Self::Connect { url, .. }
            | Self::Read { url, .. }
            | Self::Late { url }
            | Self::Unanswered { url, .. }
            | Self::TooLarge { url, .. }
            | Self::Packed { url, .. }
            | Self::Broken { url, .. }
            | Self::Redirects { url, .. }
            | Self::Status { url, .. } => Some(url),
            Self::BundleUnreadable { .. }
            | Self::BundleEmpty { .. }
            | Self::Tls(_)
            | Self::Client(_)
            | Self::Url
            | Self::Encoding { .. }
            | Self::Unusable { .. } => None,
        }
    }

    /// How long the server asks us to wait.
    pub(crate) fn wish(&self) -> Option<Duration> {
        match self {
            Self::Status { wish, .. } => *wish,
            _ => None,
        }
    }

    /// The failure that an error of the HTTP client stands for. Its own text names the URL with its query and is left out.
    pub(crate) fn from_client(url: String, error: &reqwest::Error) -> Self {
        let cause = std::error::Error::source(error);
        let guarded = std::iter::successors(cause, |cause| cause.source()).any(|cause| cause.is::<Guarded>());
        let why = with_causes(String::new(), cause);
        match (guarded, error.is_connect()) {
            (true, _) => Self::LinkLocal { url },
            (false, true) => Self::Connect { url, why },
            (false, false) => Self::Read { url, why },
        }
    }
}

/// A text, and those of what caused what it says, each once.
pub(crate) fn with_causes(mut text: String, cause: Option<&(dyn std::error::Error + 'static)>) -> String {
    for part in std::iter::successors(cause, |cause| cause.source()).map(ToString::to_string) {
        if !text.ends_with(&part) {
            text.push_str(if text.is_empty() { "" } else { ": " });
            text.push_str(&part);
        }
    }
    text
}
