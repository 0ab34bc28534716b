//! A small blocking HTTP/1.1 client, over TLS or not, that shows answers as they arrive.
//!
//! It works in any test, with or without a runtime, and in `drop`.

use std::io::{self, ErrorKind};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

mod stream;

use stream::{Connection, Duplex, Length};
pub use stream::{Line, Stream};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server, a token, and a connection that is kept between requests.
pub struct Client {
    host: String,
    port: u16,
    tls: Option<Arc<ClientConfig>>,
    token: Option<String>,
    idle: Mutex<Option<Connection>>,
}

/// A complete answer.
#[derive(Clone, Debug)]
pub struct Response {
    /// HTTP status.
    pub status: u16,
    /// Headers in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    /// The body as JSON; null if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The JSON of a 2xx answer.
    pub fn ok(&self, what: &str) -> Value {
        assert!((200..300).contains(&self.status), "{what}: {} {}", self.status, self.text());
        self.json()
    }
}

impl Client {
    /// A client without TLS.
    pub fn http(host: &str, port: u16) -> Self {
        Self { host: host.to_owned(), port, tls: None, token: None, idle: Mutex::new(None) }
    }

    /// A client that trusts only this authority, and shows a certificate (PEM, with its key) if there is one.
    pub fn https(host: &str, port: u16, authority_pem: &str, identity: Option<(&str, &str)>) -> Self {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(authority_pem.as_bytes()) {
            roots.add(certificate.expect("a PEM certificate")).expect("a usable authority");
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring speaks the default versions")
            .with_root_certificates(roots);
        let config = match identity {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = CertificateDer::pem_slice_iter(certificate.as_bytes()).collect::<Result<_, _>>().expect("a PEM certificate");
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a PEM key");
                builder.with_client_auth_cert(chain, key).expect("key and certificate belong together")
            }
        };
        Self { tls: Some(Arc::new(config)), ..Self::http(host, port) }
    }

    /// The same server with a bearer token.
    pub fn with_token(self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self }
    }

    /// A second client for the same server, with another token.
    pub fn for_token(&self, token: &str) -> Self {
        Self { host: self.host.clone(), port: self.port, tls: self.tls.clone(), token: Some(token.to_owned()), idle: Mutex::new(None) }
    }

    /// GET.
    pub fn get(&self, path: &str) -> Response {
        self.send("GET", path, &[], &[])
    }

    /// POST of JSON.
    pub fn post(&self, path: &str, body: &Value) -> Response {
        self.send("POST", path, &[("Content-Type", "application/json")], body.to_string().as_bytes())
    }

    /// PUT of JSON.
    pub fn put(&self, path: &str, body: &Value) -> Response {
        self.send("PUT", path, &[("Content-Type", "application/json")], body.to_string().as_bytes())
    }

    /// PATCH by JSON merge.
    pub fn merge_patch(&self, path: &str, body: &Value) -> Response {
        self.send("PATCH", path, &[("Content-Type", "application/merge-patch+json")], body.to_string().as_bytes())
    }

    /// PATCH by JSON patch.
    pub fn json_patch(&self, path: &str, body: &Value) -> Response {
        self.send("PATCH", path, &[("Content-Type", "application/json-patch+json")], body.to_string().as_bytes())
    }

    /// DELETE.
    pub fn delete(&self, path: &str) -> Response {
        self.send("DELETE", path, &[], &[])
    }

    /// Any request. Panics if no answer comes.
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
        self.try_send(method, path, headers, body).unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    /// Any request; an error if the connection breaks. A kept connection that has died is replaced once.
    pub fn try_send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> io::Result<Response> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(connection) = idle {
            // Whether a request on a dying connection was executed is unknown; only reads are tried again.
            match self.exchange(connection, method, path, headers, body) {
                Err(error) if method != "GET" && error.kind() == ErrorKind::TimedOut => return Err(error),
                Err(_) => {}
                Ok(response) => return Ok(response),
            }
        }
        self.exchange(self.connect()?, method, path, headers, body)
    }

    fn exchange(&self, connection: Connection, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> io::Result<Response> {
        let mut stream = self.begin(connection, method, path, headers, body)?;
        let deadline = Instant::now() + PATIENCE;
        while stream.fill(deadline)? {}
        let keep = stream.length != Length::UntilClose && !stream.header("connection").eq_ignore_ascii_case("close");
        if keep {
            *self.idle.lock().unwrap_or_else(PoisonError::into_inner) = Some(stream.connection);
        }
        Ok(Response { status: stream.status, headers: stream.headers, body: stream.body })
    }

    /// GET whose answer is read line by line, such as a watch.
    pub fn open(&self, path: &str) -> io::Result<Stream> {
        self.begin(self.connect()?, "GET", path, &[], &[])
    }

    fn connect(&self) -> io::Result<Connection> {
        let socket = TcpStream::connect((self.host.as_str(), self.port))?;
        socket.set_nodelay(true)?;
        socket.set_write_timeout(Some(PATIENCE))?;
        let plain = socket.try_clone()?;
        let io: Box<dyn Duplex> = match &self.tls {
            None => Box::new(plain),
            Some(config) => {
                let name = ServerName::try_from(self.host.clone()).map_err(io::Error::other)?;
                let session = ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
                Box::new(StreamOwned::new(session, plain))
            }
        };
        Ok(Connection { io, socket, raw: Vec::new() })
    }

    fn begin(&self, mut connection: Connection, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> io::Result<Stream> {
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: {}:{}\r\nContent-Length: {}\r\n", self.host, self.port, body.len());
        if let Some(token) = &self.token {
            request.push_str(&format!("Authorization: Bearer {token}\r\n"));
        }
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str("\r\n");
        let mut bytes = request.into_bytes();
        bytes.extend_from_slice(body);
        connection.io.write_all(&bytes)?;
        connection.io.flush()?;
        Stream::head(connection)
    }
}
