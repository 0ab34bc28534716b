//! `healthcheck`: asks the endpoint of the instance on this machine, for images without a shell.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// An answer must come within this.
const WITHIN: Duration = Duration::from_secs(3);

/// 0 when it is well. `None`: LIVENESS is off, nobody can be asked.
///
/// # Errors
/// When nobody answers.
pub async fn healthcheck(address: Option<SocketAddr>) -> anyhow::Result<ExitCode> {
    let Some(address) = address else {
        tracing::warn!("LIVENESS is off: there is nobody to ask");
        return Ok(ExitCode::SUCCESS);
    };
    let answer = timeout(WITHIN, ask(address)).await.with_context(|| format!("no answer from {address} within {} s", WITHIN.as_secs()))?;
    let answer = answer.with_context(|| format!("asking {address}"))?;
    let well = answer.starts_with("HTTP/1.1 200 ");
    if !well {
        tracing::error!(answer = answer.rsplit("\r\n\r\n").next().unwrap_or_default(), "not well");
    }
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn ask(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await?;
    let mut answer = Vec::new();
    stream.take(64 << 10).read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
