//! User names and passwords as an `Authorization` header.

use std::borrow::Cow;
use std::hash::Hasher as _;
use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderValue};
use percent_encoding::percent_decode_str;
use reqwest::Url;
use siphasher::sip::SipHasher13;

use crate::aside::{SmallFile, WITHIN};
use crate::config::read::web::{BasicCredentials, Encoding, Redacted, TextOrFile};
use crate::core::tell::pace::Fingerprint;
use crate::web::error::WebError;

/// A user's name and password as they are now. Clones share their looks at files.
#[derive(Clone)]
pub(crate) struct Basic {
    username: Part,
    password: Part,
    encoding: Encoding,
}

/// Text that is given in a file, or else directly.
#[derive(Clone)]
struct Part {
    /// The setting that names the file.
    name: &'static str,
    file: Option<SmallFile>,
    text: Option<Redacted>,
}

impl Basic {
    /// Reads nothing yet.
    pub(crate) fn new(credentials: &BasicCredentials) -> Self {
        let BasicCredentials { username, password, encoding } = credentials;
        let part = |name, given: &TextOrFile| Part { name, file: given.file.clone().map(SmallFile::new), text: given.text.clone() };
        Self { username: part("REQ_USERNAME_FILE", username), password: part("REQ_PASSWORD_FILE", password), encoding: *encoding }
    }

    /// The header for them; nothing unless both parts are there and not empty.
    ///
    /// # Errors
    /// Text that the encoding cannot spell.
    pub(crate) async fn header(&self) -> Result<Option<HeaderValue>, WebError> {
        let (Some(username), Some(password)) = (self.username.current().await, self.password.current().await) else {
            return Ok(None);
        };
        let encoding = self.encoding;
        let encoded = |text| encoded(text, encoding).ok_or(WebError::Encoding { encoding: spelled(encoding) });
        Ok(header(&encoded(&username)?, &encoded(&password)?))
    }
}

impl Part {
    /// The text as it stands now. Read again each time, for a mounted Secret changes under us.
    async fn current(&self) -> Option<String> {
        let mut read = None;
        if let Some(file) = &self.file {
            read = match file.text(WITHIN).await {
                Ok(text) => Some(text.trim().to_owned()),
                Err(error) => {
                    // One that is missing may come, and what is given directly stands in for it.
                    if error.kind() != io::ErrorKind::NotFound {
                        tracing::warn!(%error, "{}={:?} cannot be read", self.name, file.path());
                    }
                    None
                }
            };
        }
        read.or_else(|| self.text.as_ref().map(|text| text.0.clone())).filter(|text| !text.is_empty())
    }
}

/// The header for the user and password in a URL, if it holds any; they are taken off it.
pub(crate) fn take(url: &mut Url) -> Option<HeaderValue> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let bytes = |part| Cow::from(percent_decode_str(part));
    let found = header(&bytes(url.username()), &bytes(url.password().unwrap_or_default()));
    // A URL with a host can always lose them.
    let _ = (url.set_username(""), url.set_password(None));
    found
}

/// What tells these headers from others, without holding them; nothing where there are none.
pub(crate) fn fingerprint(headers: &HeaderMap) -> Option<Fingerprint> {
    // Always the same key: what little of it a ledger keeps must not grow with the number of ledgers.
    let mut hasher = SipHasher13::new();
    headers.values().for_each(|value| hasher.write(value.as_bytes()));
    (!headers.is_empty()).then(|| Fingerprint::new(hasher.finish()))
}

fn encoded(text: &str, encoding: Encoding) -> Option<Vec<u8>> {
    match encoding {
        Encoding::Latin1 => text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect(),
        Encoding::Utf8 => Some(text.as_bytes().to_vec()),
        Encoding::Ascii => text.is_ascii().then(|| text.as_bytes().to_vec()),
    }
}

const fn spelled(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::Latin1 => "latin1",
        Encoding::Utf8 => "utf8",
        Encoding::Ascii => "ascii",
    }
}

fn header(username: &[u8], password: &[u8]) -> Option<HeaderValue> {
    let pair = [username, b":", password].concat();
    let mut value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(file: Option<&std::path::Path>, text: &str) -> TextOrFile {
        TextOrFile { file: file.map(Into::into), text: Some(Redacted(text.to_owned())) }
    }

    async fn sent(username: TextOrFile, password: TextOrFile, encoding: Encoding) -> Option<Vec<u8>> {
        let header = Basic::new(&BasicCredentials { username, password, encoding }).header().await.unwrap()?;
        Some(STANDARD.decode(header.to_str().unwrap().strip_prefix("Basic ").unwrap()).unwrap())
    }

    #[tokio::test]
    async fn characters_become_the_bytes_of_the_encoding() {
        let pair = async |encoding| sent(given(None, "jörg"), given(None, "p:ß"), encoding).await.unwrap();
        assert_eq!(pair(Encoding::Latin1).await, b"j\xf6rg:p:\xdf");
        assert_eq!(pair(Encoding::Utf8).await, "jörg:p:ß".as_bytes());
    }

    #[tokio::test]
    async fn what_cannot_be_spelled_names_the_setting_and_not_the_value() {
        for (encoding, text) in [(Encoding::Latin1, "can€ary"), (Encoding::Ascii, "canäry")] {
            let credentials = BasicCredentials { username: given(None, text), password: given(None, "x"), encoding };
            let error = Basic::new(&credentials).header().await.unwrap_err();
            assert!(error.to_string().starts_with("REQ_BASIC_AUTH_ENCODING=\""), "{error}");
            assert!(!format!("{error} {error:?}").contains("ary"), "{error:?}");
            assert_eq!(error.trouble(), None);
        }
    }

    #[tokio::test]
    async fn files_win_are_trimmed_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        let ask = async || sent(given(None, "u"), given(Some(&file), "plain"), Encoding::Latin1).await.unwrap();
        assert_eq!(ask().await, b"u:plain", "there is no file");
        std::fs::write(&file, " first\n").unwrap();
        assert_eq!(ask().await, b"u:first");
        std::fs::write(&file, "second").unwrap();
        assert_eq!(ask().await, b"u:second");
    }

    #[tokio::test]
    async fn half_of_a_pair_is_not_sent() {
        assert_eq!(sent(given(None, "u"), given(None, ""), Encoding::Latin1).await, None);
        assert_eq!(sent(given(None, ""), given(None, "p"), Encoding::Latin1).await, None);
    }

    #[test]
    fn a_url_loses_its_user_and_password() {
        let mut url = Url::parse("http://u%40x:p%3a%zz@host/path").unwrap();
        let header = take(&mut url).unwrap();
        assert_eq!(STANDARD.decode(header.to_str().unwrap().strip_prefix("Basic ").unwrap()).unwrap(), b"u@x:p:%zz");
        assert_eq!(url.as_str(), "http://host/path");
        assert_eq!(take(&mut url), None);
    }
}
