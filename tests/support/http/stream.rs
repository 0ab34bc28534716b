//! An answer as it arrives: head, framing, lines.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::PATIENCE;

/// A way in both directions.
pub trait Duplex: Read + Write + Send {}

impl<T: Read + Write + Send> Duplex for T {}

/// A connection, and what was read from it ahead.
pub struct Connection {
    /// The bytes, through TLS or not.
    pub io: Box<dyn Duplex>,
    /// The socket below, for time-outs.
    pub socket: TcpStream,
    /// Read, but not decoded yet.
    pub raw: Vec<u8>,
}

impl Connection {
    /// Reads some bytes; false at the end.
    fn read(&mut self, deadline: Instant) -> io::Result<bool> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        self.socket.set_read_timeout(Some(left))?;
        let mut buffer = [0; 16_384];
        match self.io.read(&mut buffer) {
            Ok(count) => {
                self.raw.extend_from_slice(buffer.get(..count).unwrap_or_default());
                Ok(count > 0)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Err(ErrorKind::TimedOut.into()),
            Err(error) => Err(error),
        }
    }

    /// Takes a line that is there as a whole, without its end.
    fn line(&mut self) -> Option<String> {
        let end = self.raw.windows(2).position(|two| two == b"\r\n")?;
        let line: Vec<u8> = self.raw.drain(..end + 2).collect();
        Some(String::from_utf8_lossy(line.get(..end)?).into_owned())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
/// How much of a body is still to come.
pub enum Length {
    /// So many bytes to come.
    Left(usize),
    /// In the middle of a chunk with so many bytes to come, its line end included; 0: before a chunk.
    Chunk(usize),
    /// As much as comes before the end of the connection.
    UntilClose,
}

/// What a stream has to say.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Line {
    /// A line, without its line feed.
    Text(Vec<u8>),
    /// The clean end; what came after the last line feed.
    End(Vec<u8>),
    /// The connection broke; what came after the last line feed.
    Broken(Vec<u8>),
    /// Nothing within the time given.
    Quiet,
}

/// An answer that is still coming.
pub struct Stream {
    /// HTTP status.
    pub status: u16,
    /// Headers in lower case.
    pub headers: Vec<(String, String)>,
    pub(super) connection: Connection,
    pub(super) length: Length,
    pub(super) body: Vec<u8>,
    finished: bool,
}

impl Stream {
    pub(super) fn head(mut connection: Connection) -> io::Result<Self> {
        let deadline = Instant::now() + PATIENCE;
        let mut lines: Vec<String> = Vec::new();
        loop {
            match connection.line() {
                Some(line) if line.is_empty() => break,
                Some(line) => lines.push(line),
                None if connection.read(deadline)? => {}
                None => return Err(ErrorKind::UnexpectedEof.into()),
            }
        }
        let wrong = || io::Error::other("no HTTP answer");
        let status = lines.first().and_then(|line| line.split(' ').nth(1)?.parse().ok()).ok_or_else(wrong)?;
        let header = |line: &String| line.split_once(':').map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()));
        let headers = lines.iter().skip(1).filter_map(header).collect();
        let mut stream = Self { status, headers, connection, length: Length::UntilClose, body: Vec::new(), finished: false };
        if matches!(status, 204 | 304) {
            stream.length = Length::Left(0);
        } else if stream.header("transfer-encoding") == "chunked" {
            stream.length = Length::Chunk(0);
        } else if let Ok(length) = stream.header("content-length").parse() {
            stream.length = Length::Left(length);
        }
        Ok(stream)
    }

    /// A header, or nothing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// The next line, as soon as it is there.
    pub fn line(&mut self, within: Duration) -> Line {
        let deadline = Instant::now() + within;
        let mut searched = 0;
        loop {
            // A line of a megabyte comes in many pieces: each byte is looked at once.
            let found = self.body.iter().skip(searched).position(|byte| *byte == b'\n');
            if let Some(end) = found {
                let mut line: Vec<u8> = self.body.drain(..=searched + end).collect();
                line.pop();
                return Line::Text(line);
            }
            searched = self.body.len();
            match self.fill(deadline) {
                Ok(true) => {}
                Ok(false) => return Line::End(std::mem::take(&mut self.body)),
                Err(error) if error.kind() == ErrorKind::TimedOut => return Line::Quiet,
                Err(_) => return Line::Broken(std::mem::take(&mut self.body)),
            }
        }
    }

    /// The next event of a watch that is no bookmark but an end bookmark: `("ADDED", object)`. Panics if none comes.
    pub fn event(&mut self) -> (String, Value) {
        loop {
            let line = self.line(PATIENCE);
            let Line::Text(text) = &line else { panic!("expected an event, found {line:?}") };
            let event: Value = serde_json::from_slice(text).unwrap_or_else(|error| panic!("{error} in {}", String::from_utf8_lossy(text)));
            let is_end = event.pointer("/object/metadata/annotations/k8s.io~1initial-events-end").is_some();
            if event["type"] != "BOOKMARK" || is_end {
                return (event["type"].as_str().unwrap_or_default().to_owned(), event["object"].clone());
            }
        }
    }

    /// Bytes that are there, but make no line yet.
    pub fn partial(&self) -> &[u8] {
        &self.body
    }

    /// Reads on; false at the clean end, an error if the connection broke before it.
    pub(super) fn fill(&mut self, deadline: Instant) -> io::Result<bool> {
        let before = self.body.len();
        loop {
            self.decode();
            if self.body.len() > before {
                return Ok(true);
            }
            if self.finished {
                return Ok(false);
            }
            if !self.connection.read(deadline)? {
                return if self.length == Length::UntilClose { Ok(false) } else { Err(ErrorKind::UnexpectedEof.into()) };
            }
        }
    }

    /// Moves what has arrived into the body, without the framing.
    fn decode(&mut self) {
        loop {
            let raw = &mut self.connection.raw;
            match &mut self.length {
                Length::UntilClose => {
                    self.body.append(raw);
                    return;
                }
                Length::Left(left) => {
                    let count = raw.len().min(*left);
                    self.body.extend(raw.drain(..count));
                    *left -= count;
                    self.finished = *left == 0;
                    return;
                }
                Length::Chunk(0) => {
                    let Some(line) = self.connection.line() else { return };
                    let size = usize::from_str_radix(line.split(';').next().unwrap_or_default().trim(), 16).unwrap_or(0);
                    if size == 0 {
                        // The empty line after the last chunk.
                        self.connection.raw.clear();
                        self.finished = true;
                        return;
                    }
                    self.length = Length::Chunk(size + 2);
                }
                Length::Chunk(left) => {
                    let count = raw.len().min(*left);
                    if count == 0 {
                        return;
                    }
                    // The last two bytes of a chunk are its line end.
                    let content = count.min(left.saturating_sub(2));
                    self.body.extend(raw.drain(..content));
                    drop(raw.drain(..count - content));
                    *left -= count;
                }
            }
        }
    }
}
