//! The signals that mean the child.

use std::future::{Future, poll_fn};
use std::io;
use std::task::Poll;
use std::time::Duration;

use rustix::process::Signal;
use tokio::signal::unix::{Signal as Stream, SignalKind, signal};
use tokio::time::Instant;

use crate::tell::child::Control;

/// Whoever signals a process and then its group (timeout(1), a terminal) asks twice and means it once: so soon after the first time it
/// does not count.
const TWICE: Duration = Duration::from_millis(500);

/// The signals that mean the child.
pub(super) struct Signals {
    streams: Vec<(Meaning, Stream)>,
    /// When we were asked to stop first.
    asked: Option<Instant>,
}

#[derive(Clone, Copy)]
enum Meaning {
    Stop,
    Forward(Signal),
}

impl Signals {
    /// From now on they do not do by themselves what they do by default.
    pub(super) fn heard() -> io::Result<Self> {
        let forwarded = [Signal::HUP, Signal::USR1, Signal::USR2, Signal::WINCH].map(|signal| (Meaning::Forward(signal), signal));
        let all = [Signal::TERM, Signal::INT].map(|signal| (Meaning::Stop, signal)).into_iter().chain(forwarded);
        let streams = all.map(|(meaning, kind)| Ok((meaning, signal(SignalKind::from_raw(kind.as_raw()))?)));
        Ok(Self { streams: streams.collect::<io::Result<_>>()?, asked: None })
    }

    /// What the next one means.
    ///
    /// # Cancel safety
    /// Yes.
    pub(super) fn next(&mut self) -> impl Future<Output = Control> {
        poll_fn(|context| {
            for (meaning, stream) in &mut self.streams {
                if stream.poll_recv(context).is_ready() {
                    return Poll::Ready(match (meaning, self.asked) {
                        (Meaning::Forward(signal), _) => Control::Forward(*signal),
                        (Meaning::Stop, Some(asked)) if asked.elapsed() >= TWICE => Control::Hurry,
                        (Meaning::Stop, asked) => {
                            self.asked = asked.or_else(|| Some(Instant::now()));
                            Control::Stop
                        }
                    });
                }
            }
            Poll::Pending
        })
    }
}
