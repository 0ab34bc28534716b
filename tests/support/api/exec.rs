//! `pods/exec` over a WebSocket: commands of pods run as processes of this machine.
//!
//! The WebSocket is a library's, so that the client is held to the standard and not to its own idea of it.

use std::process::Stdio;

use bytes::Bytes;
use futures::{SinkExt as _, StreamExt as _};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, Command};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::failure::Failure;
use super::object::text;
use super::route::Asked;

/// The protocol that is served.
pub const PROTOCOL: &str = "v5.channel.k8s.io";

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// A command that is to run.
pub struct Exec {
    argv: Vec<String>,
    environment: [(&'static str, String); 3],
    runs: bool,
    /// Answers the client's key.
    pub accept: String,
}

/// The socket has ended.
struct Gone;

impl Exec {
    /// Reads the request for a pod that is there.
    pub fn new(asked: &Asked, pod: &Value, key: &str, protocols: &str) -> Result<Self, Failure> {
        if key.is_empty() || !protocols.split(',').any(|protocol| protocol.trim() == PROTOCOL) {
            return Err(Failure::bad_request("Upgrade request required"));
        }
        let name = text(pod, "/metadata/name");
        let containers: Vec<&str> =
            pod["spec"]["containers"].as_array().into_iter().flatten().map(|container| text(container, "/name")).collect();
        let container = match (asked.parameter("container"), containers.as_slice()) {
            ("", [only]) => *only,
            ("", all) => {
                let all = all.join(" ");
                return Err(Failure::bad_request(&format!("a container name must be specified for pod {name}, choose one of: [{all}]")));
            }
            (wanted, all) if all.contains(&wanted) => wanted,
            (wanted, _) => return Err(Failure::bad_request(&format!("container {wanted} is not valid for pod {name}"))),
        };
        let argv: Vec<String> = asked.parameters.iter().filter(|(name, _)| name == "command").map(|(_, value)| value.clone()).collect();
        if argv.is_empty() || !["stdout", "stderr"].iter().any(|stream| asked.parameter(stream) == "true") {
            return Err(Failure::bad_request("you must specify at least 1 of stdin, stdout, stderr, and a command"));
        }
        let environment = [
            ("POD_NAME", name.to_owned()),
            ("POD_NAMESPACE", text(pod, "/metadata/namespace").to_owned()),
            ("CONTAINER_NAME", container.to_owned()),
        ];
        let accept = tokio_tungstenite::tungstenite::handshake::derive_accept_key(key.as_bytes());
        Ok(Self { argv, environment, runs: text(pod, "/status/phase") == "Running", accept })
    }

    /// Runs the command once the client has changed its protocol. A client that goes ends the command.
    pub async fn run(self, upgrade: OnUpgrade) {
        let Ok(upgraded) = upgrade.await else { return };
        let mut socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await;
        let status = match self.start() {
            Ok(child) => match stream(child, &mut socket).await {
                Ok(status) => status,
                Err(Gone) => return,
            },
            Err(message) => internal(&message),
        };
        if send(&mut socket, 3, status.to_string().as_bytes()).await.is_ok() {
            // The client may be gone by now: it knows everything.
            let _ = socket.close(None).await;
        }
    }

    fn start(&self) -> Result<Child, String> {
        let Some((program, arguments)) = self.argv.split_first().filter(|_| self.runs) else {
            return Err("unable to upgrade connection: container not found".to_owned());
        };
        let mut command = Command::new(program);
        command.args(arguments).envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command.spawn().map_err(|error| format!("error executing command in container: exec: \"{program}\": {error}"))
    }
}

/// Sends what the command writes; its end as the `Status` of the real server.
async fn stream(mut child: Child, socket: &mut Socket) -> Result<Value, Gone> {
    let (mut stdout, mut stderr) = (child.stdout.take().ok_or(Gone)?, child.stderr.take().ok_or(Gone)?);
    let (mut first, mut second) = (vec![0; 4096], vec![0; 4096]);
    let (mut stdout_ended, mut stderr_ended) = (false, false);
    while !(stdout_ended && stderr_ended) {
        tokio::select! {
            count = stdout.read(&mut first), if !stdout_ended => match count.unwrap_or(0) {
                0 => stdout_ended = true,
                count => send(socket, 1, &first[..count]).await?,
            },
            count = stderr.read(&mut second), if !stderr_ended => match count.unwrap_or(0) {
                0 => stderr_ended = true,
                count => send(socket, 2, &second[..count]).await?,
            },
            message = socket.next() => match message {
                Some(Ok(message)) if !message.is_close() => {}
                _ => return Err(Gone),
            },
        }
    }
    let ended = child.wait().await.map_err(|_| Gone)?;
    Ok(match ended.code() {
        Some(0) => json!({"metadata": {}, "status": "Success"}),
        code => {
            let code = code.unwrap_or(137);
            let causes = json!([{"reason": "ExitCode", "message": code.to_string()}]);
            let message = format!("command terminated with non-zero exit code: exit status {code}");
            json!({"metadata": {}, "status": "Failure", "reason": "NonZeroExitCode", "message": message, "details": {"causes": causes}})
        }
    })
}

async fn send(socket: &mut Socket, channel: u8, bytes: &[u8]) -> Result<(), Gone> {
    let message = [&[channel], bytes].concat();
    socket.send(Message::Binary(Bytes::from(message))).await.map_err(|_| Gone)
}

fn internal(message: &str) -> Value {
    let causes = json!([{"message": message}]);
    json!({"metadata": {}, "status": "Failure", "reason": "InternalError", "message": format!("Internal error occurred: {message}"),
        "details": {"causes": causes}, "code": 500})
}
