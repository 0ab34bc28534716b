//! `kube-projector`: keeps a folder equal to what labelled Kubernetes objects say it should hold.

use std::process::ExitCode;

use kube_projector::app::{self, process, shutdown::Shutdown};
use kube_projector::cli::{Cli, Subcommand};
use kube_projector::commands::{self, CommandError};
use kube_projector::config::Looks;
use kube_projector::telemetry;

fn main() -> ExitCode {
    let runtime = match process::prepared() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("starting: {error}"), 1),
    };
    let ended = runtime.block_on(run(Cli::read(std::env::args_os())));
    // A disk that hangs must not keep us.
    runtime.shutdown_background();
    telemetry::drain();
    ended.unwrap_or_else(|failed| fail(&failed.to_string(), failed.code()))
}

async fn run(cli: Cli) -> Result<ExitCode, CommandError> {
    let arguments = cli.arguments();
    if let Some(Subcommand::Tool(tool)) = cli.command {
        return commands::run(tool, &arguments).await;
    }
    let mut shutdown = Shutdown::on_signals().map_err(anyhow::Error::from)?;
    let config = tokio::select! {
        config = commands::settings(&arguments, Looks::ToAct) => config?,
        () = shutdown.asked() => return Ok(ExitCode::SUCCESS),
    };
    Ok(app::run(config, arguments, shutdown).await?)
}

fn fail(text: &str, code: u8) -> ExitCode {
    telemetry::last_words(text);
    ExitCode::from(code)
}
