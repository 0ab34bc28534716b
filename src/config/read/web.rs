//! Settings about servers other than the API: `.url` keys, REQ_URL.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderName, HeaderValue};

use crate::config::read::SettingsReader;
use crate::config::read::form::ReadValue;
use crate::config::read::origin::Origin;
use crate::config::read::parse::Expected;
use crate::config::table::SettingValues;
use crate::core::files::project::Urls;
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
pub struct WebSettings {
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
    pub(crate) credentials: BasicCredentials,
}

/// Headers for those whom we name one by one, never for everybody.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Headers {
    /// REQ_TOKEN_FILE: a file with a bearer token, read again for each request.
    pub(crate) token: Option<PathBuf>,
    /// REQ_HEADERS.
    pub(crate) given: Vec<SecretHeader>,
    /// REQ_HEADERS_FILE: a file with more of them, read again for each request.
    pub(crate) file: Option<PathBuf>,
}

/// A header whose value nothing prints.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct SecretHeader {
    /// The name.
    pub(crate) name: HeaderName,
    /// The value, marked as one that nothing prints.
    pub(crate) value: HeaderValue,
}

/// A user's name and password. Sent only if both are there and not empty.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct BasicCredentials {
    /// The name.
    pub(crate) username: TextOrFile,
    /// The password.
    pub(crate) password: TextOrFile,
    /// REQ_BASIC_AUTH_ENCODING.
    pub(crate) encoding: Encoding,
}

impl BasicCredentials {
    /// Whether somebody gave both, in whatever form.
    pub(crate) fn are_given(&self) -> bool {
        [&self.username, &self.password].into_iter().all(|given| given.file.is_some() || given.text.is_some())
    }
}

/// Text that is given in a file, read again for each request, or else directly.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct TextOrFile {
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

/// What files behind URLs need.
pub(crate) struct UrlSettings {
    pub(crate) urls: Urls,
    pub(crate) downloads: Downloads,
}

impl SettingsReader<'_> {
    /// How other servers are asked.
    pub(crate) fn web(&mut self, set: &SettingValues) -> Option<WebSettings> {
        let given =
            |text: &ReadValue<Redacted>, file: &ReadValue<PathBuf>| Some(TextOrFile { text: text.optional()?, file: file.optional()? });
        let timeout = set.REQ_TIMEOUT.value()?.max(Duration::from_millis(1));
        Some(WebSettings {
            timeout,
            answer_timeout: set.REQ_ANSWER_TIMEOUT.value()?.max(timeout),
            retry: Retry {
                total: set.REQ_RETRY_TOTAL.value()?,
                connect: set.REQ_RETRY_CONNECT.value()?,
                read: set.REQ_RETRY_READ.value()?,
                backoff: set.REQ_RETRY_BACKOFF_FACTOR.value()?,
            },
            skip_tls_verify: set.REQ_SKIP_TLS_VERIFY.value()?,
            ca_bundle: set.REQUESTS_CA_BUNDLE.optional()?.or(set.CURL_CA_BUNDLE.optional()?),
            server_errors_are_final: set.ENABLE_5XX.value()?,
            headers: Headers {
                token: set.REQ_TOKEN_FILE.optional()?,
                given: set.REQ_HEADERS.optional()?.unwrap_or_default(),
                file: set.REQ_HEADERS_FILE.optional()?,
            },
            credentials: BasicCredentials {
                username: given(&set.REQ_USERNAME, &set.REQ_USERNAME_FILE)?,
                password: given(&set.REQ_PASSWORD, &set.REQ_PASSWORD_FILE)?,
                encoding: set.REQ_BASIC_AUTH_ENCODING.value()?,
            },
        })
    }

    /// `.url` keys.
    pub(crate) fn urls(&mut self, set: &SettingValues, resync: Option<Duration>, web: Option<&WebSettings>) -> Option<UrlSettings> {
        let own = self.texts.text("REQ_URL").and_then(Origin::parse);
        let (follow, listed) = (set.URL_KEYS.value()?, set.URL_CREDENTIAL_ORIGINS.optional()?);
        if let Some(web) = web {
            self.headers_have_an_addressee(&web.headers, listed.as_ref());
        }
        let credential_origins = match (listed, own) {
            (Some(CredentialOrigins::Any), _) => CredentialOrigins::Any,
            // Pods behind REQ_URL have no origin that a .url key could name.
            (listed, Some(own)) if own.is_pods() => listed.unwrap_or_else(|| CredentialOrigins::Only(Vec::new())),
            (Some(CredentialOrigins::Only(listed)), own) => CredentialOrigins::Only(listed.into_iter().chain(own).collect()),
            (None, Some(own)) => CredentialOrigins::Only(vec![own]),
            (None, None) => {
                if follow && web.is_some_and(|web| web.credentials.are_given()) {
                    self.warn(
                        "REQ_USERNAME and REQ_PASSWORD go to every server that a .url key names: list those in URL_CREDENTIAL_ORIGINS",
                    );
                }
                CredentialOrigins::Any
            }
        };
        let downloads = Downloads {
            bytes_max: usize::try_from(set.URL_MAX_BYTES.value()?).unwrap_or(usize::MAX),
            refresh: if set.IGNORE_ALREADY_PROCESSED.value()? { None } else { resync },
            credential_origins,
            allow: set.URL_ALLOW.optional()?,
        };
        let urls = match follow {
            true => Urls::Follow { empty_at_first_failure: self.texts.profile.empty_at_first_failure },
            false => Urls::Plain,
        };
        Some(UrlSettings { urls, downloads })
    }
}

/// A text that is not shown.
pub(crate) fn redacted(text: &str) -> Result<Redacted, Expected> {
    Ok(Redacted(text.to_owned()))
}

/// REQ_BASIC_AUTH_ENCODING.
pub(crate) fn encoding(text: &str) -> Result<Encoding, Expected> {
    match text.to_ascii_lowercase().replace(['-', '_', ' '], "").as_str() {
        "latin1" | "iso88591" | "l1" => Ok(Encoding::Latin1),
        "utf8" | "u8" => Ok(Encoding::Utf8),
        "ascii" | "usascii" => Ok(Encoding::Ascii),
        _ => Err("latin1, utf-8 or ascii".into()),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::config::Config;
    use crate::config::read::parse::tests::check;
    use crate::config::tests::{at, default_config, read};

    pub(crate) fn web() -> WebSettings {
        let nothing = || TextOrFile { file: None, text: None };
        WebSettings {
            timeout: Duration::from_secs(10),
            answer_timeout: Duration::from_secs(120),
            retry: Retry { total: 5, connect: 10, read: 5, backoff: Duration::from_millis(1100) },
            skip_tls_verify: false,
            ca_bundle: None,
            server_errors_are_final: false,
            headers: Headers::default(),
            credentials: BasicCredentials { username: nothing(), password: nothing(), encoding: Encoding::Latin1 },
        }
    }

    pub(crate) fn downloads() -> Downloads {
        let refresh = Some(Duration::from_secs(600));
        Downloads { bytes_max: 16 << 20, refresh, credential_origins: CredentialOrigins::Any, allow: None }
    }

    #[test]
    fn encodings_are_taken_in_any_case() {
        check(encoding, &[("Latin1", Encoding::Latin1), ("UTF-8", Encoding::Utf8), ("us-ascii", Encoding::Ascii)], &["ebcdic"]);
    }

    #[test]
    fn everything_about_other_servers_can_be_set() {
        let vars = [
            ("URL_KEYS", "yes"),
            ("URL_ALLOW", "http://a"),
            ("URL_CREDENTIAL_ORIGINS", "http://b"),
            ("URL_MAX_BYTES", "5"),
            ("IGNORE_ALREADY_PROCESSED", "true"),
            ("ENABLE_5XX", "true"),
            ("REQ_TIMEOUT", "2.5"),
            ("REQ_ANSWER_TIMEOUT", "30"),
            ("REQ_RETRY_TOTAL", "1"),
            ("REQ_RETRY_CONNECT", "2"),
            ("REQ_RETRY_READ", "3"),
            ("REQ_RETRY_BACKOFF_FACTOR", "0.5"),
            ("REQ_USERNAME", "u"),
            ("REQ_PASSWORD", "p"),
            ("REQ_USERNAME_FILE", "user"),
            ("REQ_PASSWORD_FILE", "pass"),
            ("REQ_BASIC_AUTH_ENCODING", "utf-8"),
            ("REQ_SKIP_TLS_VERIFY", "true"),
            ("REQUESTS_CA_BUNDLE", "ca"),
        ];
        let given = |text: &str, file: &str| TextOrFile { file: Some(file.into()), text: Some(Redacted(text.into())) };
        let web = WebSettings {
            timeout: Duration::from_millis(2500),
            answer_timeout: Duration::from_secs(30),
            retry: Retry { total: 1, connect: 2, read: 3, backoff: Duration::from_millis(500) },
            skip_tls_verify: true,
            ca_bundle: Some("/work/ca".into()),
            server_errors_are_final: true,
            headers: Headers::default(),
            credentials: BasicCredentials {
                username: given("u", "/work/user"),
                password: given("p", "/work/pass"),
                encoding: Encoding::Utf8,
            },
        };
        let credential_origins = CredentialOrigins::Only(vec![at("b")]);
        let downloads = Downloads { bytes_max: 5, refresh: None, credential_origins, allow: Some(vec![at("a")]) };
        let warnings = vec!["REQ_ANSWER_TIMEOUT has no effect without REQ_URL".to_owned()];
        let expected = Config { urls: Urls::Follow { empty_at_first_failure: false }, downloads, web, warnings, ..default_config() };
        assert_eq!(read(&vars), Ok(expected));
    }
}
