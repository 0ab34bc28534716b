//! Headers that carry a token, or anything else that only some servers may see.
//!
//! A request goes out with all of them or not at all: a server that asks for a token in vain counts that against us.

use std::path::Path;

use http::HeaderMap;
use http::header::AUTHORIZATION;

use crate::aside::{SmallFile, WITHIN};
use crate::config::read::headers::{lines, sensitive};
use crate::config::read::web::{Headers, SecretHeader};
use crate::web::error::WebError;

/// What was given, and the files that are read again for each request. Clones share their looks at files.
#[derive(Clone)]
pub(crate) struct Extra {
    token: Option<SmallFile>,
    given: Vec<SecretHeader>,
    file: Option<SmallFile>,
}

impl Extra {
    /// Reads nothing yet.
    pub(crate) fn new(headers: &Headers) -> Self {
        let file = |file: &Option<std::path::PathBuf>| file.clone().map(SmallFile::new);
        Self { token: file(&headers.token), given: headers.given.clone(), file: file(&headers.file) }
    }

    /// Whether there are none.
    pub(crate) fn are_none(&self) -> bool {
        self.token.is_none() && self.given.is_empty() && self.file.is_none()
    }

    /// Puts them in the place of what has their names. Of one name those in the file count.
    ///
    /// # Errors
    /// A file that cannot be read, or does not hold what it should.
    pub(crate) async fn put(&self, into: &mut HeaderMap) -> Result<(), WebError> {
        let mut all = Vec::new();
        if let Some(file) = &self.token {
            all.push(token("REQ_TOKEN_FILE", file).await?);
        }
        if let Some(file) = &self.file {
            let name = "REQ_HEADERS_FILE";
            let read = lines(&text(name, file).await?).map_err(|expected| unusable(name, file.path(), format!("expected {expected}")))?;
            if self.token.is_some() && read.iter().any(|header| header.name == AUTHORIZATION) {
                return Err(unusable(name, file.path(), "expected no Authorization beside REQ_TOKEN_FILE".to_owned()));
            }
            all.extend(read);
        }
        let in_file: Vec<_> = all.iter().map(|header| header.name.clone()).collect();
        all.extend(self.given.iter().filter(|header| !in_file.contains(&header.name)).cloned());
        all.iter().for_each(|header| drop(into.remove(&header.name)));
        for SecretHeader { name, value } in all {
            into.append(name, value);
        }
        Ok(())
    }
}

async fn token(name: &'static str, file: &SmallFile) -> Result<SecretHeader, WebError> {
    let text = text(name, file).await?;
    let token = Some(text.trim()).filter(|token| !token.is_empty() && !token.contains(char::is_whitespace));
    let value = token.and_then(|token| sensitive(&format!("Bearer {token}")));
    let value = value.ok_or_else(|| unusable(name, file.path(), "expected a token: one word".to_owned()))?;
    Ok(SecretHeader { name: AUTHORIZATION, value })
}

async fn text(name: &'static str, file: &SmallFile) -> Result<String, WebError> {
    file.text(WITHIN).await.map_err(|error| unusable(name, file.path(), error.to_string()))
}

fn unusable(setting: &'static str, file: &Path, why: String) -> WebError {
    WebError::Unusable { setting, file: file.to_owned(), why }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use http::header::CONTENT_TYPE;

    use super::*;
    use crate::core::retry::RetryReason;

    struct Place(tempfile::TempDir);

    impl Place {
        fn extra(&self, given: &str, token: bool, file: bool) -> Extra {
            let path = |name: &str, wanted: bool| wanted.then(|| self.0.path().join(name));
            let given = if given.is_empty() { Vec::new() } else { lines(given).unwrap() };
            Extra::new(&Headers { token: path("token", token), given, file: path("headers", file) })
        }

        fn write(&self, name: &str, text: &str) {
            std::fs::write(self.0.path().join(name), text).unwrap();
        }
    }

    fn place() -> Place {
        Place(tempfile::tempdir().unwrap())
    }

    /// What a request with a body in JSON has then.
    async fn sent(extra: &Extra) -> Result<Vec<String>, WebError> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        extra.put(&mut headers).await?;
        assert_eq!(format!("{headers:?}").matches("canary").count(), 0, "{headers:?}");
        let mut sent: Vec<_> = headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        sent.sort();
        Ok(sent)
    }

    #[tokio::test]
    async fn a_token_is_trimmed_and_read_again() {
        let place = place();
        let extra = place.extra("", true, false);
        for token in ["canary", " canary-2\n"] {
            place.write("token", token);
            let authorization = format!("authorization: Bearer {}", token.trim());
            assert_eq!(sent(&extra).await.unwrap(), [authorization, "content-type: application/json".to_owned()]);
        }
    }

    #[tokio::test]
    async fn lines_of_the_file_beat_those_given_and_both_beat_ours() {
        let place = place();
        place.write("headers", "X-B: canary-file\nX-C: 1\nX-C: 2\n");
        let extra = place.extra("X-A: canary-given\nX-B: canary-given\nContent-Type: text/plain", false, true);
        let expected = ["content-type: text/plain", "x-a: canary-given", "x-b: canary-file", "x-c: 1", "x-c: 2"];
        assert_eq!(sent(&extra).await.unwrap(), expected);
        place.write("headers", "X-B: canary-later");
        assert_eq!(sent(&extra).await.unwrap()[2], "x-b: canary-later");
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_named_without_its_content_and_may_come() {
        let place = place();
        let table = [
            (true, None, "No such file"),
            (true, Some(""), "expected a token: one word"),
            (true, Some("canary canary"), "expected a token: one word"),
            (true, Some("canary\u{7}"), "expected a token: one word"),
            (false, None, "No such file"),
            (false, Some("X-A: 1\ncanary"), "expected `name: value` in line 2"),
        ];
        for (is_token, text, why) in table {
            let (name, setting) = if is_token { ("token", "REQ_TOKEN_FILE") } else { ("headers", "REQ_HEADERS_FILE") };
            text.iter().for_each(|text| place.write(name, text));
            let error = sent(&place.extra("", is_token, !is_token)).await.unwrap_err();
            let shown = format!("{error} {error:?} {}", error.why());
            assert!(error.to_string().starts_with(&format!("{setting}=\"")) && shown.contains(why), "{shown}");
            assert_eq!((shown.matches("canary").count(), error.trouble()), (0, Some(RetryReason::Connect)), "{shown}");
        }
        place.write("token", "x");
        place.write("headers", "Authorization: canary");
        let error = sent(&place.extra("", true, true)).await.unwrap_err();
        assert!(error.to_string().ends_with("expected no Authorization beside REQ_TOKEN_FILE"), "{error}");
    }
}
