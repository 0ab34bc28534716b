//! How `healthcheck` and `status` ask the instance on this machine: one request, one answer, both small.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// What is asked, and for how long and how much of an answer is waited.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LocalRequest {
    pub(crate) address: SocketAddr,
    /// Path and query.
    pub(crate) path: &'static str,
    pub(crate) within: Duration,
    /// Bytes of an answer that are read.
    pub(crate) most: u64,
    /// The setting that says where it is asked, for whoever gets no answer.
    pub(crate) settings: &'static str,
}

/// What was answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct LocalAnswer {
    /// The number and its words, such as `200 OK`.
    pub(crate) status: String,
    pub(crate) body: String,
}

impl LocalRequest {
    /// Asks. An error says who was asked and what came of it.
    pub(crate) async fn send(self) -> Result<LocalAnswer, String> {
        let Self { address, within, settings, .. } = self;
        match timeout(within, self.exchange()).await {
            Ok(Ok(answer)) => LocalAnswer::read(&answer).ok_or_else(|| format!("what answers at {address} does not speak HTTP/1")),
            Ok(Err(error)) => Err(format!("asking {address}: {error} (does it run, with this {settings}?)")),
            Err(_) => Err(format!("no answer from {address} within {} s", within.as_secs())),
        }
    }

    async fn exchange(self) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(self.address).await?;
        // By this protocol an answer has no chunks, and ends with its connection.
        stream.write_all(format!("GET {} HTTP/1.0\r\nHost: localhost\r\n\r\n", self.path).as_bytes()).await?;
        let mut answer = Vec::new();
        stream.take(self.most).read_to_end(&mut answer).await?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }
}

impl LocalAnswer {
    /// None for what is no answer of HTTP/1.
    fn read(answer: &str) -> Option<Self> {
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((answer, ""));
        let status = head.lines().next()?.strip_prefix("HTTP/1.")?.get(1..)?.strip_prefix(' ')?;
        let is_number = |code: &str| code.len() == 3 && code.bytes().all(|digit| digit.is_ascii_digit());
        status.split(' ').next().is_some_and(is_number).then(|| Self { status: status.to_owned(), body: body.to_owned() })
    }

    /// Whether all is well with it.
    pub(crate) fn is_ok(&self) -> bool {
        self.status.starts_with("200")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_a_status_and_a_body() {
        for (answer, status, body) in [
            ("HTTP/1.0 200 OK\r\ncontent-type: x\r\n\r\n{}\r\n\r\n", "200 OK", "{}\r\n\r\n"),
            ("HTTP/1.1 503 Service Unavailable\r\n\r\n", "503 Service Unavailable", ""),
            ("HTTP/1.1 204\r\n", "204", ""),
        ] {
            let expected = LocalAnswer { status: status.to_owned(), body: body.to_owned() };
            assert_eq!(expected.is_ok(), status.starts_with("200"));
            assert_eq!(LocalAnswer::read(answer), Some(expected));
        }
    }

    #[test]
    fn what_is_no_answer_is_none() {
        for answer in ["", "SSH-2.0-x\r\n", "HTTP/2 200 OK\r\n\r\n", "HTTP/1.1 2000 OK\r\n\r\n", "HTTP/1.1200 OK\r\n\r\n", "HTTP/1.é 200"]
        {
            assert_eq!(LocalAnswer::read(answer), None, "{answer:?}");
        }
    }
}
