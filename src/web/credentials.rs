//! User names and passwords as an `Authorization` header.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use percent_encoding::percent_decode_str;
use reqwest::Url;

use crate::config::web::{Credentials, Encoding, Given};
use crate::web::error::WebError;

/// The header for these credentials as they are now; nothing unless both parts are there and not empty.
///
/// # Errors
/// Text that the encoding cannot spell.
pub(crate) fn basic(credentials: &Credentials) -> Result<Option<HeaderValue>, WebError> {
    let (Some(username), Some(password)) = (current(&credentials.username), current(&credentials.password)) else {
        return Ok(None);
    };
    let encoding = credentials.encoding;
    let encoded = |text| encoded(text, encoding).ok_or(WebError::Encoding { encoding: spelled(encoding) });
    Ok(header(&encoded(&username)?, &encoded(&password)?))
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

/// The text as it stands now. Read again each time, for a mounted Secret changes under us; too small to be worth a thread.
fn current(given: &Given) -> Option<String> {
    let read = given.file.as_ref().and_then(|file| std::fs::read_to_string(file).ok()).map(|text| text.trim().to_owned());
    read.or_else(|| given.text.as_ref().map(|text| text.0.clone())).filter(|text| !text.is_empty())
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
    use crate::config::web::Redacted;

    fn given(file: Option<&std::path::Path>, text: &str) -> Given {
        Given { file: file.map(Into::into), text: Some(Redacted(text.to_owned())) }
    }

    fn sent(username: Given, password: Given, encoding: Encoding) -> Option<Vec<u8>> {
        let header = basic(&Credentials { username, password, encoding }).unwrap()?;
        Some(STANDARD.decode(header.to_str().unwrap().strip_prefix("Basic ").unwrap()).unwrap())
    }

    #[test]
    fn characters_become_the_bytes_of_the_encoding() {
        let pair = |encoding| sent(given(None, "jörg"), given(None, "p:ß"), encoding).unwrap();
        assert_eq!(pair(Encoding::Latin1), b"j\xf6rg:p:\xdf");
        assert_eq!(pair(Encoding::Utf8), "jörg:p:ß".as_bytes());
    }

    #[test]
    fn what_cannot_be_spelled_names_the_setting_and_not_the_value() {
        for (encoding, text) in [(Encoding::Latin1, "can€ary"), (Encoding::Ascii, "canäry")] {
            let credentials = Credentials { username: given(None, text), password: given(None, "x"), encoding };
            let error = basic(&credentials).unwrap_err();
            assert!(error.to_string().starts_with("REQ_BASIC_AUTH_ENCODING=\""), "{error}");
            assert!(!format!("{error} {error:?}").contains("ary"), "{error:?}");
            assert_eq!(error.trouble(), None);
        }
    }

    #[test]
    fn files_win_are_trimmed_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        let ask = || sent(given(None, "u"), given(Some(&file), "plain"), Encoding::Latin1).unwrap();
        assert_eq!(ask(), b"u:plain", "there is no file");
        std::fs::write(&file, " first\n").unwrap();
        assert_eq!(ask(), b"u:first");
        std::fs::write(&file, "second").unwrap();
        assert_eq!(ask(), b"u:second");
    }

    #[test]
    fn half_of_a_pair_is_not_sent() {
        assert_eq!(sent(given(None, "u"), given(None, ""), Encoding::Latin1), None);
        assert_eq!(sent(given(None, ""), given(None, "p"), Encoding::Latin1), None);
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
