//! Requests without a pause: one connection for each of them, and no second try.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::Program;

/// How many ask at the same time.
const ASKERS: usize = 2;
/// Between two requests of one of them: a thousandth, so that the program under test has the machine, too.
const BREATH: Duration = Duration::from_millis(1);
/// How long an answer may take: as long as a machine that does much else needs.
const PATIENCE: Duration = Duration::from_secs(30);

/// What became of the requests.
#[derive(Default)]
pub struct Count {
    pub requests: usize,
    /// How often each failure happened.
    pub failures: BTreeMap<String, usize>,
}

impl Count {
    pub fn failed(&self) -> usize {
        self.failures.values().sum()
    }

    fn note(&mut self, answered: Result<usize, String>) {
        self.requests += 1;
        if let Err(failure) = answered {
            *self.failures.entry(failure).or_default() += 1;
        }
    }

    fn add(&mut self, other: Self) {
        self.requests += other.requests;
        other.failures.into_iter().for_each(|(failure, times)| *self.failures.entry(failure).or_default() += times);
    }
}

impl Display for Count {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{} of {} requests failed", self.failed(), self.requests)?;
        if self.failures.is_empty() { Ok(()) } else { write!(to, " ({:?})", self.failures) }
    }
}

/// Ends the requests, also when a test fails.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Asks a program all the time while something is done to it.
pub fn on(program: &dyn Program, what: impl FnOnce()) -> Count {
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let end = End(&ended);
        let ask = || {
            let mut count = Count::default();
            while !ended.load(Ordering::Relaxed) {
                count.note(program.version());
                std::thread::sleep(BREATH);
            }
            count
        };
        let askers: Vec<_> = (0..ASKERS).map(|_| scope.spawn(ask)).collect();
        what();
        drop(end);
        let mut all = Count::default();
        askers.into_iter().for_each(|asker| all.add(asker.join().expect("who asks does not fail")));
        all
    })
}

/// A conversation on a connection of its own.
pub struct Talk(TcpStream);

impl Talk {
    pub fn open(port: u16) -> Result<Self, String> {
        let stream = TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), PATIENCE);
        let stream = stream.map_err(|error| format!("connecting: {error}"))?;
        stream.set_read_timeout(Some(PATIENCE)).and_then(|()| stream.set_write_timeout(Some(PATIENCE))).expect("a socket has timeouts");
        Ok(Self(stream))
    }

    pub fn say(&mut self, text: &str) -> Result<(), String> {
        self.0.write_all(text.as_bytes()).map_err(|error| format!("writing: {error}"))
    }

    /// What the other side says, up to this text, or to its end.
    pub fn hear(&mut self, until: Option<&str>) -> Result<String, String> {
        let (mut heard, mut buffer) = (Vec::new(), [0; 4096]);
        loop {
            let text = String::from_utf8_lossy(&heard);
            if until.is_some_and(|until| text.contains(until)) {
                return Ok(text.into_owned());
            }
            match self.0.read(&mut buffer).map_err(|error| format!("reading: {error}"))? {
                0 if until.is_none() => return Ok(text.into_owned()),
                0 => return Err(format!("closed after {text:?}")),
                count => heard.extend_from_slice(&buffer[..count]),
            }
        }
    }
}

/// GET of a path: the version in an answer of 200 that came to its end.
pub fn http_version(port: u16, path: &str) -> Result<usize, String> {
    let mut talk = Talk::open(port)?;
    talk.say(&format!("GET {path} HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n"))?;
    let answer = talk.hear(None)?;
    let status = answer.lines().next().unwrap_or_default();
    if status.split(' ').nth(1) != Some("200") {
        return Err(format!("answered {status:?}"));
    }
    version_in(&answer).ok_or_else(|| format!("an answer without a version, of {} bytes", answer.len()))
}

/// The number of `version-NUMBER;`.
pub fn version_in(text: &str) -> Option<usize> {
    text.split_once("version-")?.1.split_once(';')?.0.parse().ok()
}
