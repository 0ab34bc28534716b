//! One connection: requests in, answers out, byte for byte.

use std::fmt::Write as _;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::answer::{Answer, Body};
use super::{Received, Shared};

/// Longest head and longest body that a client may send.
const REQUEST_MAX: usize = 1 << 20;

/// How long a client may take to send or to take something.
const PATIENCE: Duration = Duration::from_secs(60);

static ZEROS: [u8; 65_536] = [0; 65_536];

/// Both directions, through TLS or not.
trait Duplex: Read + Write + Send {}

impl<T: Read + Write + Send> Duplex for T {}

/// A connection, and what was read ahead.
pub struct Wire {
    io: Box<dyn Duplex>,
    ahead: Vec<u8>,
}

impl Wire {
    pub fn open(socket: TcpStream, tls: Option<Arc<ServerConfig>>) -> io::Result<Self> {
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        let io: Box<dyn Duplex> = match tls {
            None => Box::new(socket),
            Some(config) => Box::new(StreamOwned::new(ServerConnection::new(config).map_err(io::Error::other)?, socket)),
        };
        Ok(Self { io, ahead: Vec::new() })
    }

    fn read(&mut self) -> io::Result<()> {
        let mut buffer = [0; 16_384];
        let count = self.io.read(&mut buffer)?;
        self.ahead.extend_from_slice(&buffer[..count]);
        match (count, self.ahead.len()) {
            (0, _) => Err(ErrorKind::UnexpectedEof.into()),
            (_, length) if length > 2 * REQUEST_MAX => Err(io::Error::other("a request beyond all measure")),
            _ => Ok(()),
        }
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.io.write_all(bytes)?;
        self.io.flush()
    }

    fn request(&mut self) -> io::Result<Received> {
        let end = loop {
            if let Some(end) = self.ahead.windows(4).position(|four| four == b"\r\n\r\n") {
                break end;
            }
            self.read()?;
        };
        let head: Vec<u8> = self.ahead.drain(..end + 4).collect();
        let mut request = parse(&String::from_utf8_lossy(&head)).ok_or_else(|| io::Error::other("no HTTP request"))?;
        if request.header("transfer-encoding").is_some() {
            self.send(b"HTTP/1.1 411 Length Required\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")?;
            return Err(io::Error::other("a body in chunks"));
        }
        let length: usize = request.header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
        while self.ahead.len() < length {
            self.read()?;
        }
        request.body = self.ahead.drain(..length).collect();
        request.at = Instant::now();
        Ok(request)
    }
}

fn parse(head: &str) -> Option<Received> {
    let mut lines = head.split("\r\n");
    let mut first = lines.next()?.split(' ');
    let (method, target) = (first.next()?.to_owned(), first.next()?.to_owned());
    let local = match target.split_once("://") {
        None => target.as_str(),
        Some((_, rest)) => rest.find('/').map_or("/", |slash| &rest[slash..]),
    };
    let (path, query) = local.split_once('?').unwrap_or((local, ""));
    let (path, query) = (path.to_owned(), query.to_owned());
    let header = |line: &str| line.split_once(':').map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()));
    let headers = lines.filter_map(header).collect();
    Some(Received { method, target, path, query, headers, body: Vec::new(), at: Instant::now(), sent: 0 })
}

/// Answers one request after the other until the connection ends.
pub fn serve(shared: &Shared, mut wire: Wire) -> io::Result<()> {
    loop {
        let request = wire.request()?;
        let (method, conditions) = (request.method.clone(), Conditions::of(&request));
        let (number, answer) = shared.receive(request);
        if shared.pause(answer.delay) {
            return Ok(());
        }
        if answer.hangs {
            while !shared.pause(PATIENCE) {}
            return Ok(());
        }
        if conditions.met_by(&answer) {
            wire.send(head(&answer, 304, "").as_bytes())?;
            continue;
        }
        let mut out = Out { wire: &mut wire, shared, number };
        out.answer(&answer, &method)?;
    }
}

/// What the client has already.
struct Conditions {
    tags: Option<String>,
    since: Option<String>,
}

impl Conditions {
    fn of(request: &Received) -> Self {
        let header = |name| request.header(name).map(str::to_owned);
        Self { tags: header("if-none-match"), since: header("if-modified-since") }
    }

    /// RFC 9110, 13.2.2: If-Modified-Since does not count beside If-None-Match. Dates are compared as text.
    fn met_by(&self, answer: &Answer) -> bool {
        match (&self.tags, &self.since) {
            (Some(tags), _) => answer.value("etag").is_some_and(|tag| tags.split(',').any(|known| known.trim() == tag)),
            (None, Some(since)) => answer.value("last-modified") == Some(since),
            (None, None) => false,
        }
    }
}

fn head(answer: &Answer, status: u16, framing: &str) -> String {
    let mut head = format!("HTTP/1.1 {status} {}\r\n{framing}", reason(status));
    for (name, value) in &answer.headers {
        write!(head, "{name}: {value}\r\n").expect("writing to a string");
    }
    head.push_str("\r\n");
    head
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        304 => "Not Modified",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "As Told",
    }
}

/// The way of one answer.
struct Out<'a> {
    wire: &'a mut Wire,
    shared: &'a Shared,
    number: usize,
}

impl Out<'_> {
    fn answer(&mut self, answer: &Answer, method: &str) -> io::Result<()> {
        let announced = |length: u64| head(answer, answer.status, &format!("Content-Length: {length}\r\n"));
        let length = |bytes: &[u8]| u64::try_from(bytes.len()).expect("a length fits in 64 bits");
        let head = match &answer.body {
            Body::Whole(_) if answer.status == 204 => head(answer, 204, ""),
            Body::Whole(bytes) | Body::Cut(bytes, _) | Body::Trickle(bytes, _) => announced(length(bytes)),
            Body::Sized(bytes) => announced(*bytes),
            Body::Endless => head(answer, answer.status, "Transfer-Encoding: chunked\r\n"),
        };
        self.wire.send(head.as_bytes())?;
        match &answer.body {
            _ if method == "HEAD" || answer.status == 204 => Ok(()),
            Body::Whole(bytes) => self.body(bytes),
            Body::Cut(bytes, after) => {
                self.body(&bytes[..*after])?;
                Err(io::Error::other("cut as told"))
            }
            Body::Trickle(bytes, interval) => bytes.iter().try_for_each(|byte| {
                if self.shared.pause(*interval) { Err(io::Error::other("the server has ended")) } else { self.body(&[*byte]) }
            }),
            Body::Sized(bytes) => self.zeros(*bytes),
            Body::Endless => loop {
                self.wire.send(format!("{:x}\r\n", ZEROS.len()).as_bytes())?;
                self.body(&ZEROS)?;
                self.wire.send(b"\r\n")?;
            },
        }
    }

    fn body(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.wire.send(bytes)?;
        self.shared.sent(self.number, bytes.len());
        Ok(())
    }

    fn zeros(&mut self, mut left: u64) -> io::Result<()> {
        while left > 0 {
            let now = usize::try_from(left).unwrap_or(usize::MAX).min(ZEROS.len());
            self.body(&ZEROS[..now])?;
            left -= u64::try_from(now).expect("a length fits in 64 bits");
        }
        Ok(())
    }
}
