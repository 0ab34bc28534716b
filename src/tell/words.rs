//! What the application says for itself, by its outputs or its answers: the log repeats it where that is safe, and nobody else does.
//!
//! Never decides what is safe: that is [`crate::core::discretion`].

use std::fmt::Write as _;

use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::core::discretion::Frankness;

/// A warning where it is news, else a line for whoever looks closer.
macro_rules! warn_once {
    ($is_news:expr, $($line:tt)+) => {
        if $is_news { tracing::warn!($($line)+) } else { tracing::debug!($($line)+) }
    };
}
pub(crate) use warn_once;

/// How much is kept of each output, and repeated of both.
pub(crate) const KEPT_BYTES: usize = 4096;
/// What stands in the log for what is not repeated; how long that is comes behind it.
const WITHHELD: &str = "withheld, as files of ours may be a Secret's (REACT_OUTPUT)";

/// What stands behind the length where words are not repeated at all.
const SAID: &str = " bytes said: see the log";

/// The beginning of an output. Without `Debug`: nobody knows what it holds.
#[derive(Default)]
pub(crate) struct OutputHead {
    /// The beginning.
    pub(crate) kept: Vec<u8>,
    /// How long the whole is.
    pub(crate) bytes: usize,
}

impl OutputHead {
    /// Reads to the end, keeps the beginning.
    pub(crate) async fn hear(&mut self, output: Option<impl AsyncRead + Unpin>) {
        let Some(mut output) = output else { return };
        let mut buffer = [0; KEPT_BYTES];
        while let Ok(read @ 1..) = output.read(&mut buffer).await {
            let room = KEPT_BYTES - self.kept.len();
            self.kept.extend(buffer.iter().take(read.min(room)));
            self.bytes = self.bytes.saturating_add(read);
        }
    }

    /// At most so many bytes of it, as text.
    fn text(&self, bytes_max: usize) -> String {
        String::from_utf8_lossy(self.kept.get(..bytes_max).unwrap_or(&self.kept)).trim_end().to_owned()
    }
}

/// Both outputs for the log, of both together at most [`KEPT_BYTES`].
pub(crate) fn outputs(stdout: &OutputHead, stderr: &OutputHead, frankness: Frankness) -> (String, String) {
    let errors = stderr.kept.len().min(KEPT_BYTES.saturating_sub(stdout.kept.len()).max(KEPT_BYTES / 2));
    let of = |said: &OutputHead, bytes_max| repeated(said.text(bytes_max), said.bytes, frankness);
    (of(stdout, KEPT_BYTES - errors), of(stderr, errors))
}

/// A text of so many bytes, or what stands for it.
pub(crate) fn repeated(text: String, bytes: usize, frankness: Frankness) -> String {
    match frankness {
        Frankness::Silent if bytes > 0 => format!("{WITHHELD}: {bytes} bytes"),
        Frankness::Silent | Frankness::Guarded | Frankness::Open => text,
    }
}

/// What health and Events tell of an end: why, how much was said, and where.
pub(crate) fn told(mut why: String, bytes: usize) -> String {
    if bytes > 0 {
        // Writing to a String cannot fail.
        let _ = write!(why, ", {bytes}{SAID}");
    }
    why
}

/// The same for whoever compares ends: how much was said does not matter.
pub(crate) fn without_lengths(why: &str) -> String {
    let Some((before, after)) = why.rsplit_once(SAID) else { return why.to_owned() };
    let parts = before.split(SAID).map(|part| part.trim_end_matches(|letter: char| letter.is_ascii_digit()));
    parts.chain([after]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn said(text: &[u8]) -> OutputHead {
        let mut said = OutputHead::default();
        said.hear(Some(text)).await;
        said
    }

    #[tokio::test]
    async fn r13_of_both_outputs_together_four_kibibytes_are_repeated() {
        let long = [b'x'; 3 * KEPT_BYTES];
        for (out, err, expected) in [(9999, 9999, (2048, 2048)), (9999, 100, (3996, 100)), (100, 9999, (100, 3996)), (0, 9999, (0, 4096))] {
            let (stdout, stderr) = (said(&long[..out]).await, said(&long[..err]).await);
            assert_eq!((stdout.bytes, stderr.bytes), (out, err));
            let (stdout, stderr) = outputs(&stdout, &stderr, Frankness::Guarded);
            assert_eq!((stdout.len(), stderr.len()), expected, "{out} {err}");
        }
    }

    #[tokio::test]
    async fn r13_what_is_withheld_is_told_by_its_length() {
        let (stdout, stderr) = (said(b"canary\n").await, said(b"").await);
        let withheld = "withheld, as files of ours may be a Secret's (REACT_OUTPUT): 7 bytes".to_owned();
        assert_eq!(outputs(&stdout, &stderr, Frankness::Silent), (withheld, String::new()));
        assert_eq!(outputs(&stdout, &stderr, Frankness::Open), ("canary".to_owned(), String::new()));
        assert_eq!(without_lengths("a: exit code 3, 10 bytes said: see the log; b: 7"), "a: exit code 3, ; b: 7");
        assert_eq!(without_lengths("exit code 3"), "exit code 3");
        assert_eq!((told("x".to_owned(), 0), told("x".to_owned(), 7)), ("x".to_owned(), "x, 7 bytes said: see the log".to_owned()));
    }
}
