//! What a path answers.

use std::time::Duration;

/// One answer. `Answer::status(200)` has no body.
#[derive(Clone, Debug)]
pub struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Body,
    pub(super) delay: Duration,
    pub(super) hangs: bool,
}

/// The body of an answer, and how it arrives.
#[derive(Clone, Debug)]
pub(super) enum Body {
    /// At once and whole.
    Whole(Vec<u8>),
    /// Announced whole, but the connection closes after so many bytes.
    Cut(Vec<u8>, usize),
    /// Byte by byte, with this time between two.
    Trickle(Vec<u8>, Duration),
    /// So many zeros, announced.
    Sized(u64),
    /// Zeros in chunks, for as long as somebody takes them.
    Endless,
}

impl Answer {
    /// This status, nothing else.
    pub fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Body::Whole(Vec::new()), delay: Duration::ZERO, hangs: false }
    }

    /// 200 with a body.
    pub fn ok(body: impl AsRef<[u8]>) -> Self {
        Self::status(200).body(body)
    }

    /// 302 to a URL or a path; to its own path it is a loop.
    pub fn redirect(location: &str) -> Self {
        Self::status(302).header("Location", location)
    }

    /// Takes the request and never says a word.
    pub fn hang() -> Self {
        Self { hangs: true, ..Self::status(200) }
    }

    /// 200 with so many zeros, which are never in memory at once.
    pub fn sized(bytes: u64) -> Self {
        Self { body: Body::Sized(bytes), ..Self::status(200) }
    }

    /// 200 with zeros that never end.
    pub fn endless() -> Self {
        Self { body: Body::Endless, ..Self::status(200) }
    }

    /// 200 that announces the whole body and closes after so many bytes of it.
    pub fn cut(body: impl AsRef<[u8]>, after: usize) -> Self {
        assert!(after < body.as_ref().len(), "a body that is cut is longer than what is sent of it");
        Self { body: Body::Cut(body.as_ref().to_vec(), after), ..Self::status(200) }
    }

    /// 200 with a body that comes byte by byte.
    pub fn trickle(body: impl AsRef<[u8]>, interval: Duration) -> Self {
        Self { body: Body::Trickle(body.as_ref().to_vec(), interval), ..Self::status(200) }
    }

    /// The body.
    pub fn body(self, body: impl AsRef<[u8]>) -> Self {
        Self { body: Body::Whole(body.as_ref().to_vec()), ..self }
    }

    /// Another status than the answer had.
    pub fn with_status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    /// A header. Content-Length and Transfer-Encoding are ours.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With an ETag, quotes included: whoever has that version already gets 304.
    pub fn etag(self, tag: &str) -> Self {
        self.header("ETag", tag)
    }

    /// With a Last-Modified: whoever has that version already gets 304.
    pub fn last_modified(self, date: &str) -> Self {
        self.header("Last-Modified", date)
    }

    /// Waits before the first byte.
    pub fn delay(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }

    /// A header's value.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}
