//! The list+watch state machine of one source, without a network: it is told what came and says what to do next.
//!
//! `kube::runtime::watcher` hides bookmarks and keeps a dead resourceVersion after an HTTP 410; this machine takes bookmarks as
//! heartbeats, lists again after a 410 in any form, and treats one broken line as a reason to list again, never as fatal.
//! It never reads the clock: `now` is time since start, and the caller says how late it is.

pub mod wire;

use std::time::Duration;

use crate::core::backoff::Backoff;
use crate::core::retry::RETRY_AFTER_MAX;
use crate::core::watch::wire::{Call, Counts, Input, MachineState, Next, Tell, Then, Trouble};

/// Waits between two attempts, before jitter.
const BACKOFF: Backoff = Backoff::up_to(Duration::from_secs(10));
/// A streaming list that is silent for this long is not one: the server ignored `sendInitialEvents`.
const STREAM_SILENCE: Duration = Duration::from_secs(10);
/// A list page must come within this.
const PAGE_DEADLINE: Duration = Duration::from_secs(30);
/// Once bookmarks were seen (about one a minute), a watch that is silent for this long is dead or frozen.
const WATCH_SILENCE: Duration = Duration::from_secs(90);
/// Two lists for the same suspicion (an event older than the last one) are at least this far apart.
const SUSPICION_PAUSE: Duration = Duration::from_secs(60);
/// A page should not be larger than this; the limit follows the average size of an object.
const PAGE_BYTES: u64 = 4 << 20;
/// A wait that a server asks for is prolonged by this at most.
const SPREAD_MAX: Duration = Duration::from_secs(5);
/// First page size.
const PAGE_FIRST: u32 = 50;
/// Largest page size.
const PAGE_LARGEST: u32 = 500;

/// One source's state. See the module's header.
#[derive(Debug)]
pub struct Machine {
    state: MachineState,
    generation: u32,
    /// Highest resourceVersion seen in a list or watch of this source.
    highest: u64,
    /// The list in hand may take back what was seen.
    consistent: bool,
    /// The list in hand must be read in pages.
    paged: bool,
    /// Streaming lists that were cut or not understood, in a row; at two they are not tried again.
    stream_cuts: u8,
    /// Failures in a row, for the backoff.
    failures: u32,
    /// Failures of the request in hand, in a row.
    repeats: u32,
    /// Complete lists since a watch last worked.
    lists: u32,
    opened: Duration,
    heard: Duration,
    /// The request in hand was answered at `opened`.
    answered: bool,
    suspicion: Option<Duration>,
    /// A suspicion came too soon after the last one: a list is due when the pause is over.
    doubt: bool,
    /// Bookmarks came since the last list began, so they are expected.
    bookmarks: bool,
    object_bytes: u64,
    /// The share of its time that the first watch after a list gets, until the next one begins.
    share: Option<u16>,
    jitter: u32,
    counts: Counts,
}

impl Machine {
    /// A machine that has seen nothing. `seed` spreads the waits of many sources.
    pub const fn new(seed: u32) -> Self {
        Self {
            state: MachineState::Idle,
            generation: 0,
            highest: 0,
            consistent: false,
            paged: false,
            stream_cuts: 0,
            failures: 0,
            repeats: 0,
            lists: 0,
            opened: Duration::ZERO,
            heard: Duration::ZERO,
            answered: false,
            suspicion: None,
            doubt: false,
            bookmarks: false,
            object_bytes: 0,
            share: None,
            jitter: seed,
            counts: Counts { relists: 0, failures: 0, stale: 0, garbage: 0 },
        }
    }

    /// Where the source stands.
    #[cfg(test)]
    pub(crate) const fn state(&self) -> &MachineState {
        &self.state
    }

    /// Number of the list in hand, or of the last one.
    pub const fn generation(&self) -> u32 {
        self.generation
    }

    /// A number for a list that was made without us; all later lists have higher ones.
    pub(crate) const fn skip_generation(&mut self) -> u32 {
        self.generation += 1;
        self.generation
    }

    /// Counters.
    pub(crate) const fn counts(&self) -> Counts {
        self.counts
    }

    /// How long the server may hold the watch that is opened now, in whole seconds. The first after a list gets between half of the
    /// setting and all of it, so that instances that began together, or lost their watches together, part.
    pub(crate) fn watch_seconds(&self, setting: Duration) -> u64 {
        let Some(share) = self.share else { return setting.as_secs().max(1) };
        let share = 0.5 + f64::from(share) / f64::from(u16::MAX) / 2.0;
        // Not so short that the server's end of it could be taken for a hang-up.
        setting.mul_f64(share).as_secs().max(setting.as_secs().min(2)).max(1)
    }

    /// When silence becomes [`Input::Silent`], as time since start. `client_timeout` bounds a whole watch.
    pub(crate) fn deadline(&self, client_timeout: Duration) -> Duration {
        match self.state {
            MachineState::Idle => Duration::MAX,
            MachineState::Streaming => self.heard + STREAM_SILENCE,
            MachineState::Paging { .. } => self.opened + PAGE_DEADLINE,
            MachineState::Watching { .. } => {
                let silence = if self.bookmarks { self.heard + WATCH_SILENCE } else { Duration::MAX };
                silence.min(self.opened + client_timeout).min(self.doubt_due().unwrap_or(Duration::MAX))
            }
        }
    }

    /// Takes one input.
    pub fn next(&mut self, input: Input, now: Duration) -> Next {
        match input {
            Input::Ready => self.ready(now),
            Input::Opened => {
                (self.opened, self.heard, self.answered) = (now, now, true);
                self.read(Tell::Nothing)
            }
            Input::Object { revision } => self.object(revision, now),
            Input::Bookmark { revision, ends_list } => self.bookmark(revision, ends_list, now),
            Input::PageEnd { revision, token, objects, bytes } => self.page_end(revision, token, objects, bytes, now),
            Input::Ended => self.ended(now),
            Input::Silent => self.silent(now),
            Input::Failed(trouble) => self.failed(trouble, now),
            Input::Relist => {
                self.paged = true;
                self.list(now)
            }
        }
    }

    fn ready(&mut self, now: Duration) -> Next {
        (self.opened, self.heard, self.answered) = (now, now, false);
        match &self.state {
            MachineState::Idle | MachineState::Streaming => self.list(now),
            MachineState::Paging { token } => self.call(Tell::Nothing, Call::Page { limit: self.limit(), token: token.clone() }),
            MachineState::Watching { revision } => self.call(Tell::Nothing, Call::Watch { revision: *revision }),
        }
    }

    /// Begins a list from its first object.
    fn list(&mut self, now: Duration) -> Next {
        self.counts.relists += u64::from(self.generation > 0);
        self.generation += 1;
        (self.opened, self.heard, self.answered, self.repeats) = (now, now, false, 0);
        (self.doubt, self.bookmarks) = (false, false);
        self.share = Some(self.draw());
        let tell = Tell::ListBegin { consistent: self.consistent };
        if self.paged || self.stream_cuts >= 2 {
            self.state = MachineState::Paging { token: None };
            return self.call(tell, Call::Page { limit: self.limit(), token: None });
        }
        self.state = MachineState::Streaming;
        self.call(tell, Call::StreamList)
    }

    fn object(&mut self, revision: u64, now: Duration) -> Next {
        self.heard = now;
        let MachineState::Watching { revision: last } = &mut self.state else {
            return self.read(Tell::Object);
        };
        if revision > *last {
            *last = revision;
            self.highest = self.highest.max(revision);
            self.good();
            return self.read(Tell::Object);
        }
        if revision == *last {
            return self.read(Tell::Nothing);
        }
        self.counts.stale += 1;
        self.suspect(now)
    }

    /// A resourceVersion went back: a stale cache and a restored etcd look alike, so one consistent list decides.
    fn suspect(&mut self, now: Duration) -> Next {
        if self.suspicion.is_some_and(|last| now < last + SUSPICION_PAUSE) {
            // What is ignored here may be the only news of some object.
            self.doubt = true;
            return self.read(Tell::Nothing);
        }
        self.suspicion = Some(now);
        (self.consistent, self.paged) = (true, true);
        self.list(now)
    }

    /// When a list is due because of a suspicion that came too soon.
    fn doubt_due(&self) -> Option<Duration> {
        self.suspicion.filter(|_| self.doubt).map(|last| last + SUSPICION_PAUSE)
    }

    fn bookmark(&mut self, revision: u64, ends_list: bool, now: Duration) -> Next {
        self.heard = now;
        match &mut self.state {
            MachineState::Streaming if ends_list => self.list_complete(revision, now),
            // A plain watch answered: sendInitialEvents was ignored.
            MachineState::Streaming => self.stream_unusable(now),
            MachineState::Watching { revision: last } if revision >= *last => {
                *last = revision;
                self.highest = self.highest.max(revision);
                self.bookmarks = true;
                self.good();
                self.read(Tell::Nothing)
            }
            MachineState::Watching { .. } => {
                self.counts.stale += 1;
                self.suspect(now)
            }
            MachineState::Idle | MachineState::Paging { .. } => self.read(Tell::Nothing),
        }
    }

    fn page_end(&mut self, revision: u64, token: Option<String>, objects: u32, bytes: u64, now: Duration) -> Next {
        if let Some(average) = bytes.checked_div(u64::from(objects)) {
            self.object_bytes = if self.object_bytes == 0 { average } else { (self.object_bytes * 3 + average) / 4 };
        }
        if !matches!(self.state, MachineState::Paging { .. }) {
            return self.read(Tell::Nothing);
        }
        (self.opened, self.repeats) = (now, 0);
        if token.is_none() {
            return self.list_complete(revision, now);
        }
        self.state = MachineState::Paging { token: token.clone() };
        self.call(Tell::Nothing, Call::Page { limit: self.limit(), token })
    }

    fn list_complete(&mut self, revision: u64, now: Duration) -> Next {
        if revision < self.highest && !self.consistent {
            // A list from a stale cache: no absence in it is evidence.
            self.counts.stale += 1;
            (self.consistent, self.paged) = (true, true);
            return self.list(now);
        }
        let streamed = self.state == MachineState::Streaming;
        if streamed {
            self.stream_cuts = 0;
        }
        (self.highest, self.consistent, self.paged) = (revision, false, false);
        self.state = MachineState::Watching { revision };
        (self.lists, self.repeats) = (self.lists.saturating_add(1), 0);
        if self.lists == 1 {
            // Only once: a watch that fails after every list must not list in a tight loop.
            self.failures = 0;
        }
        match streamed {
            true => self.read(Tell::ListEnd),
            false => self.call(Tell::ListEnd, Call::Watch { revision }),
        }
    }

    fn stream_unusable(&mut self, now: Duration) -> Next {
        self.stream_cuts = 2;
        self.list(now)
    }

    fn ended(&mut self, now: Duration) -> Next {
        match self.state {
            // The server's timeout: go on at once, unless it hangs up on us again and again.
            MachineState::Watching { revision } if now >= self.opened + Duration::from_secs(1) => {
                self.share = None;
                self.call(Tell::Nothing, Call::Watch { revision })
            }
            // A resourceVersion that the server hangs up on again and again is dropped.
            MachineState::Watching { .. } => self.failed(Trouble::Status { retry_after: None }, now),
            MachineState::Idle | MachineState::Streaming | MachineState::Paging { .. } => self.failed(Trouble::Transport, now),
        }
    }

    fn silent(&mut self, now: Duration) -> Next {
        match self.state {
            MachineState::Streaming => {
                self.counts.failures += 1;
                (self.stream_cuts, self.paged) = (self.stream_cuts.saturating_add(1), true);
                self.list(now)
            }
            MachineState::Watching { .. } if self.doubt_due().is_some_and(|due| now >= due) => self.suspect(now),
            MachineState::Watching { revision } if now >= self.heard + WATCH_SILENCE && self.bookmarks => {
                self.counts.failures += 1;
                self.repeats += 1;
                if self.repeats >= 2 {
                    return self.suspect(now);
                }
                self.call(Tell::Nothing, Call::Watch { revision })
            }
            MachineState::Watching { revision } => self.call(Tell::Nothing, Call::Watch { revision }),
            MachineState::Idle | MachineState::Paging { .. } => self.failed(Trouble::Transport, now),
        }
    }

    fn failed(&mut self, trouble: Trouble, now: Duration) -> Next {
        if self.answered && matches!(self.state, MachineState::Watching { .. }) && now >= self.opened + BACKOFF.longest {
            // A watch that lived longer than any wait has worked, even if nothing happened.
            self.good();
        }
        self.answered = false;
        self.counts.failures += 1;
        self.counts.garbage += u64::from(trouble == Trouble::Garbage);
        self.repeats += 1;
        let streaming = self.state == MachineState::Streaming;
        let (tell, wait) = match trouble {
            Trouble::Gone | Trouble::Garbage => {
                self.state = MachineState::Idle;
                (Tell::Nothing, Duration::ZERO)
            }
            Trouble::Unsupported if streaming => {
                self.stream_cuts = 2;
                self.state = MachineState::Idle;
                return Next { tell: Tell::Nothing, then: Then::Wait(Duration::ZERO) };
            }
            Trouble::Refused => (Tell::Refused, Duration::ZERO),
            Trouble::Status { retry_after } => (Tell::Nothing, self.spread(retry_after.unwrap_or_default().min(RETRY_AFTER_MAX))),
            Trouble::Unsupported | Trouble::Transport => (Tell::Nothing, Duration::ZERO),
        };
        if streaming && matches!(trouble, Trouble::Transport | Trouble::Garbage) {
            // Cut before its end mark: this list goes on in pages, which may wait.
            self.stream_cuts = self.stream_cuts.saturating_add(1);
            self.paged = true;
        }
        if self.repeats >= 3 && trouble != Trouble::Transport {
            // A token or resourceVersion that keeps failing is dropped. One that nobody answers to may still be good.
            self.state = MachineState::Idle;
        }
        Next { tell, then: Then::Wait(wait.max(self.backoff())) }
    }

    /// Something worked: the next failure starts from a short wait again.
    const fn good(&mut self) {
        (self.failures, self.repeats, self.lists) = (0, 0, 0);
    }

    /// 0.5 s doubling to 10 s, plus up to a fifth.
    fn backoff(&mut self) -> Duration {
        self.failures = self.failures.saturating_add(1);
        let plain = BACKOFF.after(self.failures);
        plain + plain.mul_f64(f64::from(self.draw()) / f64::from(u16::MAX) / 5.0)
    }

    /// A wait that a server asks for is asked of everybody at once: up to twice as long, by 5 s at most, so that not all come back
    /// together.
    fn spread(&mut self, wait: Duration) -> Duration {
        wait + wait.min(SPREAD_MAX).mul_f64(f64::from(self.draw()) / f64::from(u16::MAX))
    }

    /// The next random number.
    fn draw(&mut self) -> u16 {
        self.jitter = self.jitter.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        u16::try_from(self.jitter >> 16).unwrap_or_default()
    }

    fn limit(&self) -> u32 {
        let fits = PAGE_BYTES.checked_div(self.object_bytes).unwrap_or_else(|| PAGE_FIRST.into());
        u32::try_from(fits).unwrap_or(PAGE_LARGEST).clamp(1, PAGE_LARGEST)
    }

    const fn read(&self, tell: Tell) -> Next {
        Next { tell, then: Then::Read }
    }

    const fn call(&self, tell: Tell, call: Call) -> Next {
        Next { tell, then: Then::Call(call) }
    }
}

#[cfg(test)]
mod tests;
