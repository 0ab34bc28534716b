//! Headers of requests to other servers, and who gets them: REQ_TOKEN_FILE, REQ_HEADERS, REQ_HEADERS_FILE.

use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use reqwest::Url;

use crate::config::read::SettingsReader;
use crate::config::read::origin::Origin;
use crate::config::read::parse::Expected;
use crate::config::read::web::{CredentialOrigins, Headers, SecretHeader};

/// Most headers of one text.
const LINES_MAX: usize = 100;
/// Headers that say how a request is sent, not what it is: they are not anybody's to choose.
const FRAMING: [&str; 13] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "if-modified-since",
    "if-none-match",
    "keep-alive",
    "proxy-connection",
    "range",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The headers of a text: `name: value` lines. Values are never part of what is said about a text.
///
/// # Errors
/// What was expected, and in which line.
pub(crate) fn lines(text: &str) -> Result<Vec<SecretHeader>, String> {
    let given = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let mut headers = Vec::new();
    for (at, line) in given {
        let wrong = |what: &str| format!("{what} in line {}", at + 1);
        let (name, value) = line.split_once(':').ok_or_else(|| wrong("`name: value`"))?;
        let name = HeaderName::try_from(name.trim()).map_err(|_| wrong("the name of a header, a colon and a value"))?;
        if FRAMING.contains(&name.as_str()) {
            return Err(wrong(&format!("another header than {name}, which is not for you to set")));
        }
        let value = Some(value.trim()).filter(|value| !value.is_empty()).and_then(sensitive);
        headers.push(SecretHeader { name, value: value.ok_or_else(|| wrong("a value without control characters"))? });
    }
    match headers.len() {
        1..=LINES_MAX => Ok(headers),
        0 => Err("lines of the form `name: value`".to_owned()),
        _ => Err(format!("at most {LINES_MAX} headers")),
    }
}

/// A value that nothing prints.
pub(crate) fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(text.to_owned()).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// REQ_HEADERS.
pub(crate) fn given(text: &str) -> Result<Vec<SecretHeader>, Expected> {
    lines(text).map_err(Expected::from)
}

impl SettingsReader<'_> {
    /// Notes headers that nobody may get, or that say who we are beside something else that does.
    pub(crate) fn headers_have_an_addressee(&mut self, headers: &Headers, listed: Option<&CredentialOrigins>) {
        let texts = self.texts;
        let is_given = |name: &&str| texts.given(name).is_some();
        let has_password = ["REQ_PASSWORD", "REQ_PASSWORD_FILE"].iter().any(is_given);
        let url = texts.text("REQ_URL");
        let has_url = url.and_then(Origin::parse).is_some();
        for name in ["REQ_TOKEN_FILE", "REQ_HEADERS", "REQ_HEADERS_FILE"].into_iter().filter(is_given) {
            if has_password {
                self.note(name, "cannot be used together with REQ_PASSWORD or REQ_PASSWORD_FILE");
            }
            match listed {
                Some(CredentialOrigins::Any) => {
                    self.note(name, "never goes to every server: URL_CREDENTIAL_ORIGINS must name origins one by one, not *");
                }
                None if !has_url => {
                    self.note(name, "goes to nobody: set REQ_URL, or name the origins that get it in URL_CREDENTIAL_ORIGINS");
                }
                _ => {}
            }
        }
        let has_authorization = headers.given.iter().any(|header| header.name == AUTHORIZATION);
        if headers.token.is_some() && has_authorization {
            self.note("REQ_HEADERS", "cannot hold Authorization together with REQ_TOKEN_FILE");
        }
        let names_somebody = |url: Url| !url.username().is_empty() || url.password().is_some();
        let url_does = url.and_then(|url| Url::parse(url.trim()).ok()).is_some_and(names_somebody);
        if url_does && (headers.token.is_some() || has_authorization) {
            let name = if headers.token.is_some() { "REQ_TOKEN_FILE" } else { "REQ_HEADERS" };
            self.note(name, "cannot say who we are while REQ_URL holds a user or a password");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::read;

    fn shown(text: &str) -> Result<Vec<String>, String> {
        let shown = |header: SecretHeader| format!("{}={}", header.name, String::from_utf8_lossy(header.value.as_bytes()));
        lines(text).map(|headers| headers.into_iter().map(shown).collect())
    }

    #[test]
    fn headers_are_lines_with_a_name_and_a_value() {
        let good = [
            ("X-Scope-OrgID: one", vec!["x-scope-orgid=one"]),
            ("\n  a:b:c \r\n\nA:  ä  ä\n", vec!["a=b:c", "a=ä  ä"]),
            ("Authorization: Bearer x", vec!["authorization=Bearer x"]),
        ];
        for (text, expected) in good {
            assert_eq!(shown(text), Ok(expected.into_iter().map(str::to_owned).collect()), "{text:?}");
        }
        let bad = [
            ("", "lines of the form `name: value`"),
            ("\n\n", "lines of the form `name: value`"),
            ("a: 1\ncanary", "`name: value` in line 2"),
            (": canary", "the name of a header, a colon and a value in line 1"),
            ("canary b: c", "the name of a header, a colon and a value in line 1"),
            ("a:", "a value without control characters in line 1"),
            ("a: canary\u{7}", "a value without control characters in line 1"),
            ("a: 1\n\nHOST: canary", "another header than host, which is not for you to set in line 3"),
        ];
        for (text, expected) in bad {
            assert_eq!(shown(text), Err(expected.to_owned()), "{text:?}");
        }
        assert_eq!(shown(&"a: 1\n".repeat(LINES_MAX)).map(|headers| headers.len()), Ok(LINES_MAX));
        assert_eq!(shown(&"a: 1\n".repeat(LINES_MAX + 1)), Err("at most 100 headers".to_owned()));
        assert_eq!(format!("{:?}", lines("a: canary").unwrap()).matches("canary").count(), 0);
    }

    #[test]
    fn headers_go_to_somebody_who_is_named() {
        const NOBODY: &str = "goes to nobody: set REQ_URL, or name the origins that get it in URL_CREDENTIAL_ORIGINS";
        const EVERYBODY: &str = "never goes to every server: URL_CREDENTIAL_ORIGINS must name origins one by one, not *";
        const TOGETHER: &str = "cannot be used together with REQ_PASSWORD or REQ_PASSWORD_FILE";
        let url = ("REQ_URL", "http://a/reload");
        for given in [("REQ_TOKEN_FILE", "/t"), ("REQ_HEADERS", "A: canary"), ("REQ_HEADERS_FILE", "/h")] {
            let problems = |more: &[(&str, &str)]| read(&[&[given], more].concat()).err().unwrap_or_default();
            let about = |text: &str| vec![format!("{}: {text}", given.0)];
            assert_eq!(problems(&[url]), Vec::<String>::new());
            assert_eq!(problems(&[("URL_CREDENTIAL_ORIGINS", "https://b")]), Vec::<String>::new());
            assert_eq!(problems(&[]), about(NOBODY));
            assert_eq!(problems(&[("URL_KEYS", "true")]), about(NOBODY));
            assert_eq!(problems(&[("URL_CREDENTIAL_ORIGINS", "*")]), about(EVERYBODY));
            assert_eq!(problems(&[url, ("URL_CREDENTIAL_ORIGINS", "*")]), about(EVERYBODY));
            assert_eq!(problems(&[url, ("REQ_PASSWORD", "p")]), about(TOGETHER));
            assert_eq!(problems(&[url, ("REQ_PASSWORD_FILE", "/p")]), about(TOGETHER));
        }
    }

    #[test]
    fn nobody_says_twice_who_we_are() {
        let problems = |vars: &[(&str, &str)]| read(vars).err().unwrap_or_default().join("\n");
        let (plain, named) = (("REQ_URL", "http://a/"), ("REQ_URL", "http://u@a/"));
        let (token, header) = (("REQ_TOKEN_FILE", "/t"), ("REQ_HEADERS", "Authorization: canary"));
        assert_eq!(problems(&[plain, token, header]), "REQ_HEADERS: cannot hold Authorization together with REQ_TOKEN_FILE");
        assert_eq!(problems(&[named, token]), "REQ_TOKEN_FILE: cannot say who we are while REQ_URL holds a user or a password");
        assert_eq!(problems(&[named, header]), "REQ_HEADERS: cannot say who we are while REQ_URL holds a user or a password");
        assert_eq!(problems(&[named, ("REQ_HEADERS", "X-Scope-OrgID: one")]), "");
    }
}
