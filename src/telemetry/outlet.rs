//! Where log lines wait for a thread of their own to write them, so that nobody who logs ever waits for whoever reads.
//!
//! The queue is bounded in lines and bytes. Where it is full, DEBUG and INFO are lost before WARN and ERROR; what is lost is counted,
//! and told when lines flow again. Lines keep their order.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Builder;
use std::time::{Duration, Instant};

use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

/// Lines that wait at most.
const LINES_MAX: usize = 2048;
/// Their bytes.
const BYTES_MAX: usize = 256 << 10;
/// Writing a line needs little.
const STACK_BYTES: usize = 128 << 10;

/// One output of the log. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Outlet(Arc<OutletShared>);

/// Takes one line.
pub(crate) struct LineWriter<'a> {
    outlet: &'a Outlet,
    is_grave: bool,
}

#[derive(Default)]
struct OutletShared {
    // A mutex, because every thread logs; held for bookkeeping only, never while something is written.
    state: Mutex<Backlog>,
    /// There is something to write.
    filled: Condvar,
    /// A line was written.
    written: Condvar,
}

#[derive(Default)]
struct Backlog {
    lines: VecDeque<Waiting>,
    bytes: usize,
    /// Lines that were lost and not told of.
    lost: u64,
    /// Lines that were lost, ever.
    lost_ever: u64,
    /// The thread has a line in hand.
    writes: bool,
    /// Lines written so far, or failed to be.
    done: u64,
}

struct Waiting {
    text: Vec<u8>,
    is_grave: bool,
}

impl Outlet {
    /// An output whose lines a thread of its own writes to `writer`; `lost` is told how many were lost, once they flow again.
    ///
    /// # Errors
    /// When there can be no more threads.
    pub(crate) fn start(mut writer: impl Write + Send + 'static, lost: fn(u64)) -> io::Result<Self> {
        let outlet = Self(Arc::default());
        let shared = outlet.0.clone();
        Builder::new().name("log".to_owned()).stack_size(STACK_BYTES).spawn(move || {
            loop {
                let line = shared.next();
                // Whoever cannot be written to cannot be told of it either.
                let _ = writer.write_all(&line.text).and_then(|()| writer.flush());
                let missing = shared.written();
                if missing > 0 {
                    lost(missing);
                }
            }
        })?;
        Ok(outlet)
    }

    /// Waits until every line is written, at most until none was for this long, and never longer than ten times that.
    pub(crate) fn drain(&self, patience: Duration) {
        let end = Instant::now() + patience * 10;
        let mut state = self.0.state();
        while state.writes || !state.lines.is_empty() {
            let done = state.done;
            let left = patience.min(end.saturating_duration_since(Instant::now()));
            let (next, _) =
                self.0.written.wait_timeout_while(state, left, |state| state.done == done).unwrap_or_else(PoisonError::into_inner);
            state = next;
            if state.done == done {
                return;
            }
        }
    }

    /// How many lines were lost so far.
    pub(crate) fn lost_lines(&self) -> u64 {
        self.0.state().lost_ever
    }

    fn put(&self, text: &[u8], is_grave: bool) {
        let mut state = self.0.state();
        state.put(text, is_grave);
        drop(state);
        self.0.filled.notify_one();
    }
}

impl<'a> MakeWriter<'a> for Outlet {
    type Writer = LineWriter<'a>;

    fn make_writer(&'a self) -> Self::Writer {
        LineWriter { outlet: self, is_grave: true }
    }

    fn make_writer_for(&'a self, meta: &Metadata<'_>) -> Self::Writer {
        LineWriter { outlet: self, is_grave: *meta.level() <= Level::WARN }
    }
}

impl Write for LineWriter<'_> {
    /// Takes one line, whole.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.outlet.put(line, self.is_grave);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl OutletShared {
    fn state(&self) -> MutexGuard<'_, Backlog> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a line.
    fn next(&self) -> Waiting {
        let mut state = self.state();
        loop {
            if let Some(line) = state.lines.pop_front() {
                state.bytes -= line.text.len();
                state.writes = true;
                return line;
            }
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Notes that the line in hand is written. How many were lost before, once there is room again to say so.
    fn written(&self) -> u64 {
        let mut state = self.state();
        state.writes = false;
        state.done += 1;
        self.written.notify_all();
        let flows = state.lines.len() < LINES_MAX / 2 && state.bytes < BYTES_MAX / 2;
        if flows { std::mem::take(&mut state.lost) } else { 0 }
    }
}

impl Backlog {
    fn put(&mut self, text: &[u8], is_grave: bool) {
        if is_grave {
            self.make_room(text.len());
        }
        if !self.has_room(text.len()) {
            self.lose(1);
            return;
        }
        self.bytes += text.len();
        self.lines.push_back(Waiting { text: text.to_vec(), is_grave });
    }

    fn has_room(&self, bytes: usize) -> bool {
        self.lines.len() < LINES_MAX && self.bytes + bytes <= BYTES_MAX
    }

    /// Loses what is not grave, half of the queue at once so that the next grave line need not look again.
    fn make_room(&mut self, bytes: usize) {
        if self.has_room(bytes) {
            return;
        }
        let before = self.lines.len();
        let mut spare = self.lines.iter().filter(|line| !line.is_grave).count().div_ceil(2);
        self.lines.retain(|line| {
            let goes = !line.is_grave && spare > 0;
            spare -= usize::from(goes);
            !goes
        });
        self.bytes = self.lines.iter().map(|line| line.text.len()).sum();
        self.lose(u64::try_from(before - self.lines.len()).unwrap_or_default());
    }

    fn lose(&mut self, lines: u64) {
        self.lost += lines;
        self.lost_ever += lines;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// Writes one line for each permission.
    struct Gated {
        permissions: Receiver<()>,
        begun: Sender<()>,
        written: Sender<String>,
    }

    impl Write for Gated {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            let _ = self.begun.send(());
            self.permissions.recv().map_err(io::Error::other)?;
            let _ = self.written.send(String::from_utf8_lossy(line).into_owned());
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// An outlet that stands still with its first line in hand.
    fn blocked() -> (Outlet, Sender<()>, Receiver<String>) {
        let ((permit, permissions), (begin, begun), (write, written)) = (channel(), channel(), channel());
        let outlet = Outlet::start(Gated { permissions, begun: begin, written: write }, |_| {}).unwrap();
        outlet.put(b"first", false);
        begun.recv_timeout(Duration::from_secs(20)).unwrap();
        (outlet, permit, written)
    }

    #[test]
    fn s6_lines_that_nobody_reads_are_lost_by_their_weight_and_counted() {
        let (outlet, permit, written) = blocked();
        for number in 0..LINES_MAX {
            outlet.put(format!("light {number}").as_bytes(), false);
        }
        outlet.put(b"light", false);
        outlet.put(b"grave", true);
        let state = outlet.0.state();
        let (kept, lost) = (state.lines.len(), state.lost);
        drop(state);
        assert_eq!((kept, lost), (LINES_MAX / 2 + 1, u64::try_from(LINES_MAX / 2).unwrap() + 1));
        (0..=kept).for_each(|_| permit.send(()).unwrap());
        let all: Vec<_> = (0..=kept).map(|_| written.recv_timeout(Duration::from_secs(20)).unwrap()).collect();
        let newest = format!("light {}", LINES_MAX - 1);
        assert_eq!([&all[0], &all[kept - 1], &all[kept]], ["first", &newest, "grave"], "in order");
        assert_eq!(outlet.lost_lines(), lost, "counted also once it was told");
    }

    #[test]
    fn s6_the_queue_is_bounded_in_bytes_also_where_all_of_it_is_grave() {
        let (outlet, _permit, _written) = blocked();
        let large = vec![b'x'; BYTES_MAX / 4];
        (0..9).for_each(|_| outlet.put(&large, true));
        let state = outlet.0.state();
        assert_eq!((state.lines.len(), state.bytes, state.lost), (4, BYTES_MAX, 5));
    }

    #[test]
    fn s6_a_drain_ends_with_the_last_line_or_with_its_patience() {
        let (outlet, permit, written) = blocked();
        outlet.put(b"second", true);
        outlet.drain(Duration::from_millis(1));
        assert_eq!(written.try_recv().ok(), None);
        (0..2).for_each(|_| permit.send(()).unwrap());
        outlet.drain(Duration::from_secs(20));
        assert_eq!(written.try_iter().collect::<Vec<_>>(), ["first", "second"]);
    }
}
