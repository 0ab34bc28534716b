//! Reading what a server sends: unpacked, bounded in size and time, and at most one large body at once.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use reqwest::Response;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::core::retry;
use crate::web::coding::{Coding, UnpackError, Unpacker};
use crate::web::error::WebError;
use crate::web::exchange::{Clock, validators};
use crate::web::{Answer, Echo, Question};

/// Bodies up to this size are read at any time.
const SMALL_BYTES: usize = 1 << 20;
/// A packed body grows by at most half a mebibyte for this much of it.
const PIECE_BYTES: usize = 512;
/// Others get their turn after this much was unpacked.
const STRETCH_BYTES: usize = 256 << 10;
/// The most that is read of an answer whose body nobody wants.
const EXCERPT_BYTES: usize = 4 << 10;

/// Where large bodies wait for each other. Cheap to clone.
#[derive(Clone)]
pub struct Gate(Arc<Semaphore>);

impl Default for Gate {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(1)))
    }
}

impl Gate {
    /// Waits for its turn, which does not count as time of the attempt.
    async fn turn(&self, clock: &mut Clock) -> Option<OwnedSemaphorePermit> {
        let before = Instant::now();
        // It is never closed.
        let turn = Arc::clone(&self.0).acquire_owned().await.ok();
        clock.ends += before.elapsed();
        turn
    }
}

/// The answer with what is wanted of its body.
pub(super) async fn answer(mut response: Response, question: &Question<'_>, clock: &mut Clock, url: String) -> Result<Answer, WebError> {
    let code = response.status();
    let reason = response.extensions().get::<hyper::ext::ReasonPhrase>();
    let reason = reason.map(|reason| String::from_utf8_lossy(reason.as_bytes()).into_owned());
    let mut answer = Answer {
        code: code.as_u16(),
        reason: reason.unwrap_or_else(|| code.canonical_reason().unwrap_or_default().to_owned()),
        echo: Echo::Hidden,
        body: Vec::new(),
        length: 0,
        validators: validators(response.headers()),
        credentials: None,
        wish: retry_after(response.headers()),
        turn: None,
    };
    match question {
        Question::Download { bytes_max, gate, .. } if code.is_success() => {
            let limits = Limits { bytes_max: *bytes_max, gate, url: &url };
            whole(&mut response, &mut answer, clock, &limits).await?;
        }
        Question::Download { .. } | Question::Call { .. } => beginning(&mut response, &mut answer, clock).await,
    }
    Ok(answer)
}

struct Limits<'a> {
    bytes_max: usize,
    gate: &'a Gate,
    url: &'a str,
}

/// Reads all of it.
async fn whole(response: &mut Response, answer: &mut Answer, clock: &mut Clock, limits: &Limits<'_>) -> Result<(), WebError> {
    let url = || limits.url.to_owned();
    let coding = Coding::of(response.headers()).map_err(|encodings| WebError::Packed { url: url(), encodings })?;
    let failed = |fault| match fault {
        UnpackError::TooLarge => WebError::TooLarge { url: url(), bytes_max: limits.bytes_max },
        UnpackError::Broken => WebError::Broken { url: url(), encoding: coding.name() },
    };
    // What is packed may be larger than what it holds, but not for ever: it need not hold anything.
    let sent_max = if coding == Coding::Plain { limits.bytes_max } else { limits.bytes_max.saturating_mul(2).saturating_add(PIECE_BYTES) };
    let announced = response.content_length().map_or(0, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
    if announced > sent_max {
        return Err(failed(UnpackError::TooLarge));
    }
    answer.body.reserve_exact(announced.min(SMALL_BYTES));
    let (mut unpacker, mut sent, mut stretch) = (Unpacker::new(coding), 0, 0);
    loop {
        let chunk = clock.within(clock.step, response.chunk()).await.map_err(|_| WebError::Late { url: url() })?;
        let Some(chunk) = chunk.map_err(|error| WebError::from_client(url(), &error))? else {
            return unpacker.finish().map_err(failed);
        };
        sent += chunk.len();
        if sent > sent_max {
            return Err(failed(UnpackError::TooLarge));
        }
        for piece in chunk.chunks(PIECE_BYTES) {
            unpacker.unpack(piece, &mut answer.body, limits.bytes_max).map_err(failed)?;
            // Only now, not when it is announced: a server that trickles would keep the others waiting.
            if answer.body.len() > SMALL_BYTES && answer.turn.is_none() {
                answer.turn = limits.gate.turn(clock).await;
                answer.body.reserve_exact(announced.saturating_sub(answer.body.len()));
            }
            if answer.body.len() - stretch > STRETCH_BYTES {
                stretch = answer.body.len();
                tokio::task::yield_now().await;
            }
        }
    }
}

/// Reads the beginning. Whatever goes wrong with it, the answer was given.
async fn beginning(response: &mut Response, answer: &mut Answer, clock: &Clock) {
    let Ok(coding) = Coding::of(response.headers()) else { return };
    let announced = response.content_length().filter(|_| coding == Coding::Plain);
    read_beginning(response, answer, clock, coding).await;
    answer.length = announced.and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or_default().max(answer.body.len());
}

async fn read_beginning(response: &mut Response, answer: &mut Answer, clock: &Clock, coding: Coding) {
    let mut unpacker = Unpacker::new(coding);
    let mut sent = 0;
    while sent < EXCERPT_BYTES
        && let Ok(Ok(Some(chunk))) = clock.within(clock.step, response.chunk()).await
    {
        let piece = chunk.get(..EXCERPT_BYTES - sent).unwrap_or(&chunk);
        sent += piece.len();
        if unpacker.unpack(piece, &mut answer.body, EXCERPT_BYTES).is_err() {
            return;
        }
    }
}

/// See [`retry::retry_after`].
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    retry::retry_after(headers.get(http::header::RETRY_AFTER)?.to_str().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_capped_and_garbage_ignored() {
        let table = [
            ("1", Some(1)),
            ("30", Some(30)),
            ("86400", Some(30)),
            ("99999999999999999999999", Some(30)),
            ("-1", None),
            ("soon", None),
            ("", None),
            ("Wed, 21 Oct 2026 07:28:00 GMT", None),
        ];
        for (value, expected) in table {
            let mut headers = HeaderMap::new();
            headers.insert(http::header::RETRY_AFTER, value.parse().expect("a header"));
            assert_eq!(retry_after(&headers), expected.map(Duration::from_secs), "{value:?}");
        }
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }
}
