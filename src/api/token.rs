//! Bearer tokens that live in a file and are rotated under us, as service-account tokens are.
//!
//! The file is read aside: one that blocks costs the last good token nothing.
//! Time is monotonic: a clock that steps does not keep a dead token alive. Tokens have no `Debug` and are never logged.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderValue;
use serde_json::Value;
use tokio::time::Instant;
use tracing::warn;

use crate::aside::{SmallFile, WITHIN};

/// How long a token is used before the file is looked at again; a kubelet replaces it at 80 % of its life.
const READ_EVERY: Duration = Duration::from_secs(30);

/// A token file and the last good token read from it.
pub(crate) struct TokenFile {
    file: SmallFile,
    // Shared by all clones of the client; never held across an await.
    state: Mutex<LastRead>,
}

struct LastRead {
    header: Option<HeaderValue>,
    read_at: Instant,
}

impl TokenFile {
    /// The token in `path`. A file that cannot be read yet is tried again at the next 401.
    pub(crate) async fn open(path: PathBuf) -> Self {
        let file = SmallFile::new(path);
        let read = read(&file).await;
        if let Err(error) = &read {
            warn!(path = %file.path().display(), %error, "no token in the token file, going on without one");
        }
        Self { file, state: Mutex::new(LastRead { header: read.ok(), read_at: Instant::now() }) }
    }

    /// The `Authorization` header; the file is read again when the last look is too long ago.
    pub(crate) async fn header(&self) -> Option<HeaderValue> {
        if self.lock().read_at.elapsed() >= READ_EVERY {
            self.read_again().await;
        }
        self.lock().header.clone()
    }

    /// Reads the file at once because `refused` was answered by 401. Returns the header if it is another one now.
    pub(crate) async fn header_after_refusal(&self, refused: Option<&HeaderValue>) -> Option<HeaderValue> {
        self.read_again().await;
        self.lock().header.clone().filter(|header| Some(header) != refused)
    }

    /// The pod that the token was issued to, from its claims. Nothing is verified: for naming, not for deciding.
    pub(crate) fn pod(&self) -> Option<Pod> {
        let header = self.lock().header.clone()?;
        pod(header.to_str().ok()?.strip_prefix("Bearer ")?)
    }

    fn lock(&self) -> MutexGuard<'_, LastRead> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// kubernetes#68164: a token file may be missing or empty for a moment; the last good token stays.
    async fn read_again(&self) {
        // Before the file answers, so that nobody else waits for it.
        self.lock().read_at = Instant::now();
        match read(&self.file).await {
            Ok(header) => self.lock().header = Some(header),
            Err(error) => {
                warn!(path = %self.file.path().display(), %error, "no token in the token file, keeping the last good one");
            }
        }
    }
}

/// The header made of a file's token, unless the file is missing, empty or not a token.
async fn read(file: &SmallFile) -> Result<HeaderValue, Arc<io::Error>> {
    let text = file.text(WITHIN).await?;
    let token = text.trim();
    let header = if token.is_empty() { None } else { HeaderValue::try_from(format!("Bearer {token}")).ok() };
    let mut header = header.ok_or_else(|| io::Error::other("expected a token"))?;
    header.set_sensitive(true);
    Ok(header)
}

/// A pod, as a token names it. What it does not say is empty, but for the uid.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Pod {
    /// Its namespace.
    pub(crate) namespace: String,
    /// Its name.
    pub(crate) name: String,
    /// Its uid.
    pub(crate) uid: String,
}

/// The claims `kubernetes.io/pod` and `kubernetes.io/namespace` of a JSON Web Token.
fn pod(token: &str) -> Option<Pod> {
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let claims: Value = serde_json::from_slice(&claims).ok()?;
    let text = |claim: &str| claims.pointer(claim).and_then(Value::as_str).unwrap_or_default().to_owned();
    let uid = text("/kubernetes.io/pod/uid");
    (!uid.is_empty()).then(|| Pod { namespace: text("/kubernetes.io/namespace"), name: text("/kubernetes.io/pod/name"), uid })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn token(claims: &str) -> String {
        format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn the_pod_is_read_from_the_claims() {
        let read = |claims: &str| pod(&token(claims)).map(|pod| format!("{} {} {}", pod.namespace, pod.name, pod.uid));
        let claims = r#"{"aud":["x"],"kubernetes.io":{"namespace":"a","pod":{"name":"p","uid":"u-1"}}}"#;
        assert_eq!(read(claims).as_deref(), Some("a p u-1"));
        assert_eq!(read(r#"{"kubernetes.io":{"pod":{"uid":"u-1"}}}"#).as_deref(), Some("  u-1"));
        for other in ["", "admintoken", "a.b.c", &token("{}"), &token(r#"{"kubernetes.io":{"namespace":"a"}}"#), &token("[")] {
            assert_eq!(pod(other), None, "{other}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn rotated_token_is_used_within_half_a_minute() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("token");
        fs::write(&path, "one\n").expect("written");
        let token = TokenFile::open(path.clone()).await;
        fs::write(&path, "two").expect("written");
        tokio::time::advance(READ_EVERY - Duration::from_millis(1)).await;
        assert_eq!(token.header().await.expect("a token"), "Bearer one");
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(token.header().await.expect("a token"), "Bearer two");
    }

    #[tokio::test(start_paused = true)]
    async fn missing_and_empty_file_keep_the_last_good_token() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("token");
        fs::write(&path, "one").expect("written");
        let token = TokenFile::open(path.clone()).await;
        fs::remove_file(&path).expect("removed");
        tokio::time::advance(READ_EVERY).await;
        assert_eq!(token.header().await.expect("a token"), "Bearer one");
        fs::write(&path, "\n").expect("written");
        tokio::time::advance(READ_EVERY).await;
        assert_eq!(token.header().await.expect("a token"), "Bearer one");
    }

    #[tokio::test(start_paused = true)]
    async fn s5_a_token_file_that_blocks_keeps_the_last_good_token() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("token");
        fs::write(&path, "one").expect("written");
        let token = TokenFile::open(path.clone()).await;
        fs::remove_file(&path).expect("removed");
        assert!(std::process::Command::new("mkfifo").arg(&path).status().expect("mkfifo is there").success());
        tokio::time::advance(READ_EVERY).await;
        assert_eq!(token.header().await.expect("a token"), "Bearer one");
        assert_eq!(token.header_after_refusal(None).await.expect("a token"), "Bearer one");
    }

    #[tokio::test(start_paused = true)]
    async fn refusal_reads_the_file_at_once_and_offers_only_another_token() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("token");
        let token = TokenFile::open(path.clone()).await;
        assert_eq!(token.header().await, None);
        fs::write(&path, "one").expect("written");
        let first = token.header_after_refusal(None).await.expect("a token");
        assert_eq!(first, "Bearer one");
        assert_eq!(token.header_after_refusal(Some(&first)).await, None);
        fs::write(&path, "two").expect("written");
        assert_eq!(token.header_after_refusal(Some(&first)).await.expect("a token"), "Bearer two");
    }
}
