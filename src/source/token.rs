//! Bearer tokens that live in a file and are rotated under us, as service-account tokens are.
//!
//! Time is monotonic: a clock that steps does not keep a dead token alive. Tokens have no `Debug` and are never logged.

use std::fs;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderValue;
use serde::Deserialize;
use tokio::time::Instant;
use tracing::warn;

/// How long a token is used before the file is looked at again; a kubelet replaces it at 80 % of its life.
const READ_EVERY: Duration = Duration::from_secs(30);

/// A token file and the last good token read from it.
pub struct TokenFile {
    path: PathBuf,
    // Shared by all clones of the client; held for the read of one small file, never across an await.
    state: Mutex<State>,
}

struct State {
    header: Option<HeaderValue>,
    read_at: Instant,
}

impl TokenFile {
    /// The token in `path`. A file that cannot be read yet is tried again at the next 401.
    pub fn new(path: PathBuf) -> Self {
        let header = read(&path);
        if header.is_none() {
            warn!(path = %path.display(), "no token in the token file, going on without one");
        }
        Self { path, state: Mutex::new(State { header, read_at: Instant::now() }) }
    }

    /// The `Authorization` header; the file is read again when the last look is too long ago.
    pub fn header(&self) -> Option<HeaderValue> {
        let mut state = self.lock();
        if state.read_at.elapsed() >= READ_EVERY {
            self.read_again(&mut state);
        }
        state.header.clone()
    }

    /// Reads the file at once because `refused` was answered by 401. Returns the header if it is another one now.
    pub fn header_after_refusal(&self, refused: Option<&HeaderValue>) -> Option<HeaderValue> {
        let mut state = self.lock();
        self.read_again(&mut state);
        state.header.clone().filter(|header| Some(header) != refused)
    }

    /// The pod that the token was issued to, from its claims. Nothing is verified: for naming, not for deciding.
    pub fn pod_uid(&self) -> Option<String> {
        let header = self.header()?;
        pod_uid(header.to_str().ok()?.strip_prefix("Bearer ")?)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// kubernetes#68164: a token file may be missing or empty for a moment; the last good token stays.
    fn read_again(&self, state: &mut State) {
        state.read_at = Instant::now();
        match read(&self.path) {
            Some(header) => state.header = Some(header),
            None => warn!(path = %self.path.display(), "no token in the token file, keeping the last good one"),
        }
    }
}

/// The header made of a file's token, unless the file is missing, empty or not a token.
fn read(path: &std::path::Path) -> Option<HeaderValue> {
    let text = fs::read_to_string(path).ok()?;
    let token = text.trim();
    if token.is_empty() {
        return None;
    }
    let mut header = HeaderValue::try_from(format!("Bearer {token}")).ok()?;
    header.set_sensitive(true);
    Some(header)
}

/// The claim `kubernetes.io/pod/uid` of a JSON Web Token.
fn pod_uid(token: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Claims {
        #[serde(rename = "kubernetes.io")]
        kubernetes: Kubernetes,
    }
    #[derive(Deserialize)]
    struct Kubernetes {
        pod: Pod,
    }
    #[derive(Deserialize)]
    struct Pod {
        uid: String,
    }
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let claims: Claims = serde_json::from_slice(&claims).ok()?;
    Some(claims.kubernetes.pod.uid).filter(|uid| !uid.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(claims: &str) -> String {
        format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn pod_uid_is_read_from_the_claims() {
        let claims = r#"{"aud":["x"],"kubernetes.io":{"namespace":"a","pod":{"name":"p","uid":"u-1"}}}"#;
        assert_eq!(pod_uid(&token(claims)).as_deref(), Some("u-1"));
        for other in ["", "admintoken", "a.b.c", &token("{}"), &token(r#"{"kubernetes.io":{"namespace":"a"}}"#), &token("[")] {
            assert_eq!(pod_uid(other), None, "{other}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn rotated_token_is_used_within_half_a_minute() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("token");
        fs::write(&path, "one\n").expect("written");
        let token = TokenFile::new(path.clone());
        fs::write(&path, "two").expect("written");
        tokio::time::advance(READ_EVERY - Duration::from_millis(1)).await;
        assert_eq!(token.header().expect("a token"), "Bearer one");
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(token.header().expect("a token"), "Bearer two");
    }

    #[tokio::test(start_paused = true)]
    async fn missing_and_empty_file_keep_the_last_good_token() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("token");
        fs::write(&path, "one").expect("written");
        let token = TokenFile::new(path.clone());
        fs::remove_file(&path).expect("removed");
        tokio::time::advance(READ_EVERY).await;
        assert_eq!(token.header().expect("a token"), "Bearer one");
        fs::write(&path, "\n").expect("written");
        tokio::time::advance(READ_EVERY).await;
        assert_eq!(token.header().expect("a token"), "Bearer one");
    }

    #[tokio::test(start_paused = true)]
    async fn refusal_reads_the_file_at_once_and_offers_only_another_token() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("token");
        let token = TokenFile::new(path.clone());
        assert_eq!(token.header(), None);
        fs::write(&path, "one").expect("written");
        let first = token.header_after_refusal(None).expect("a token");
        assert_eq!(first, "Bearer one");
        assert_eq!(token.header_after_refusal(Some(&first)), None);
        fs::write(&path, "two").expect("written");
        assert_eq!(token.header_after_refusal(Some(&first)).expect("a token"), "Bearer two");
    }
}
