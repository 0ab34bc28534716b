//! One command in one container: `pods/exec` over a WebSocket (v5.channel.k8s.io), as `kubectl exec` does it without terminal and input.
//!
//! The request goes the way of all others, so that token and deadlines are the same; from the server's consent on the library that
//! kube uses for this (feature `ws`) speaks.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::StreamExt as _;
use http::header::{CONNECTION, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE};
use kube::core::Status;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Message, Role, WebSocketConfig};

use crate::api::failure::Failure;
use crate::api::{self, ApiServer};
use crate::core::backoff::random;
use crate::core::object::Kind;

/// The only protocol that is spoken; every server since Kubernetes 1.30 knows it.
const PROTOCOL: &str = "v5.channel.k8s.io";
/// What a value of a query cannot hold as it is.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// What is kept of each output: its end.
const TAIL_BYTES: usize = 1 << 10;
/// The longest word of the server about how the command ended.
const STATUS_BYTES_MAX: usize = 64 << 10;
/// The longest message that is taken.
const MESSAGE_BYTES_MAX: usize = 1 << 20;

/// Which command, and where.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ContainerCommand<'a> {
    /// Namespace of the pod.
    pub(crate) namespace: &'a str,
    /// Name of the pod.
    pub(crate) pod: &'a str,
    /// Name of the container.
    pub(crate) container: &'a str,
    /// The program and its arguments.
    pub(crate) argv: &'a [String],
}

/// How a command ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Exit {
    /// With exit code 0.
    Done,
    /// With another exit code.
    Code(i32),
    /// It did not even begin, or the node could not say: the node's words.
    Other(String),
}

/// The ends of what a command wrote.
#[derive(Default)]
pub(crate) struct CommandOutput {
    /// Standard output.
    pub(crate) stdout: Tail,
    /// Standard error.
    pub(crate) stderr: Tail,
}

/// The end of a text, at most a kilobyte. Without `Debug`: nobody knows what a command prints.
#[derive(Default)]
pub(crate) struct Tail {
    kept: Vec<u8>,
    bytes: usize,
}

impl Tail {
    fn push(&mut self, bytes: &[u8]) {
        self.bytes = self.bytes.saturating_add(bytes.len());
        self.kept.extend_from_slice(bytes);
        self.kept.drain(..self.kept.len().saturating_sub(TAIL_BYTES));
    }

    /// How long the whole text is.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// The text without white space around it. What is no text is shown as the replacement character.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.kept).trim().to_owned()
    }
}

/// Runs a command and waits for its end. What it wrote goes to `output` as it comes, so that it is there after a time-out, too.
///
/// # Errors
/// The server's refusal, and a connection that ends before the command does. The command may run on then, or may never have begun.
///
/// # Cancel safety
/// The connection is cut; the command may run on.
pub(crate) async fn run(api: &ApiServer, command: ContainerCommand<'_>, output: &mut CommandOutput) -> Result<Exit, Failure> {
    let upgraded = api.upgrade(request(command)?).await?;
    // The server's messages are some kilobytes long.
    let limits = WebSocketConfig::default().read_buffer_size(8 << 10).max_message_size(Some(MESSAGE_BYTES_MAX));
    let mut socket = WebSocketStream::from_raw_socket(upgraded, Role::Client, Some(limits)).await;
    let mut ended = Vec::new();
    // Pings are answered by the library as long as it is asked for messages.
    while let Some(message) = socket.next().await {
        let message = message.map_err(|error| Failure::Transport(error.to_string()))?;
        let Message::Binary(bytes) = message else { continue };
        // The first byte of a message is its channel.
        match bytes.split_first() {
            Some((1, bytes)) => output.stdout.push(bytes),
            Some((2, bytes)) => output.stderr.push(bytes),
            Some((3, bytes)) => {
                ended.extend_from_slice(bytes);
                // It comes last, after all output. In parts it can be read only once it is whole.
                if let Some(exit) = exit(&ended) {
                    // Only politeness: it is over.
                    let _ = socket.close(None).await;
                    return Ok(exit);
                }
                if ended.len() > STATUS_BYTES_MAX {
                    return Err(Failure::TooLarge { limit_bytes: STATUS_BYTES_MAX });
                }
            }
            _ => {}
        }
    }
    Err(Failure::Transport("the connection ended before the command did".to_owned()))
}

fn request(command: ContainerCommand<'_>) -> Result<http::Request<Vec<u8>>, Failure> {
    let ContainerCommand { namespace, pod, container, argv } = command;
    let options = [("container", container), ("stdin", "false"), ("stdout", "true"), ("stderr", "true"), ("tty", "false")];
    let query = options.into_iter().chain(argv.iter().map(|part| ("command", part.as_str())));
    let query: Vec<String> = query.map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, RESERVED))).collect();
    let key = STANDARD.encode([random().to_be_bytes(), random().to_be_bytes()].concat());
    http::Request::get(format!("{}/{pod}/exec?{}", api::objects(Kind::Pod, Some(namespace)).url_path, query.join("&")))
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "websocket")
        .header(SEC_WEBSOCKET_KEY, key)
        .header(SEC_WEBSOCKET_VERSION, "13")
        .header(SEC_WEBSOCKET_PROTOCOL, PROTOCOL)
        .body(Vec::new())
        .map_err(|error| Failure::Request(error.to_string()))
}

/// How the command ended, by the `Status` on the third channel; nothing while that is not there as a whole.
fn exit(text: &[u8]) -> Option<Exit> {
    let status: Status = serde_json::from_slice(text).ok()?;
    if status.is_success() {
        return Some(Exit::Done);
    }
    let causes = status.details.map(|details| details.causes).unwrap_or_default();
    let code = causes.iter().rfind(|cause| cause.reason == "ExitCode").and_then(|cause| cause.message.parse().ok());
    Some(code.map_or_else(|| Exit::Other(status.message.chars().take(TAIL_BYTES / 4).collect()), Exit::Code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_tells_how_the_command_ended() {
        let code = |code: &str| {
            format!(
                r#"{{"status":"Failure","reason":"NonZeroExitCode","message":"m","details":{{"causes":[{{"reason":"ExitCode","message":"{code}"}}]}}}}"#
            )
        };
        let table = [
            (r#"{"metadata":{},"status":"Success"}"#.to_owned(), Some(Exit::Done)),
            (code("3"), Some(Exit::Code(3))),
            (code("x"), Some(Exit::Other("m".to_owned()))),
            (r#"{"status":"Failure","reason":"InternalError","message":"no sh"}"#.to_owned(), Some(Exit::Other("no sh".to_owned()))),
            (r#"{"status":"Fail"#.to_owned(), None),
        ];
        for (text, expected) in table {
            assert_eq!(exit(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn only_the_end_of_an_output_is_kept() {
        let mut tail = Tail::default();
        tail.push(&[b'a'; 3000]);
        tail.push(b"end\n");
        assert_eq!((tail.text(), tail.bytes()), (format!("{}end", "a".repeat(TAIL_BYTES - 4)), 3004));
    }

    #[test]
    fn a_request_carries_each_part_of_the_command() {
        let argv = ["sh", "-c", "a b&c"].map(str::to_owned);
        let request = request(ContainerCommand { namespace: "n", pod: "p", container: "c", argv: &argv }).unwrap();
        let query = "container=c&stdin=false&stdout=true&stderr=true&tty=false&command=sh&command=-c&command=a%20b%26c";
        assert_eq!(request.uri().to_string(), format!("/api/v1/namespaces/n/pods/p/exec?{query}"));
    }
}
