//! The subcommands: each asks or looks, prints, and ends. What all of them and `run` begin with is here, too.

pub(crate) mod asking;
pub(crate) mod check;
pub(crate) mod healthcheck;
pub(crate) mod plan;
pub(crate) mod release;
pub(crate) mod status;

use std::env::consts::{ARCH, OS};
use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;

use crate::api::ApiError;
use crate::api::found::context_namespace;
use crate::aside::{self, AT_START};
use crate::cli::{OutputFormat, Tool};
use crate::commands::healthcheck::Off;
use crate::commands::status::StatusView;
use crate::config::context::{program, vars};
use crate::config::problems::Problems;
use crate::config::read::release::ReleaseScope;
use crate::config::{self, Arguments, Config, Context, LogSettings, Looks};
use crate::source::manifests::places::Overlap;
use crate::telemetry;
use crate::web::error::with_causes;

/// Why a command ended before its end.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// By its settings.
    #[error(transparent)]
    Settings(#[from] Problems),
    /// By the world.
    #[error("{}", with_causes(.0.to_string(), .0.source()))]
    Run(#[from] anyhow::Error),
}

impl CommandError {
    /// What the process ends with: 2 where a person has to correct something.
    pub fn code(&self) -> u8 {
        match self {
            Self::Run(error) if !error.is::<ApiError>() && !error.is::<Overlap>() => 1,
            Self::Settings(_) | Self::Run(_) => 2,
        }
    }
}

/// Context, settings, log.
///
/// # Errors
/// Problems with the settings, or a log that cannot be opened.
pub async fn settings(arguments: &Arguments, looks: Looks) -> Result<Config, CommandError> {
    let config = Config::from_vars(vars(), arguments, &Context::read(looks, context_namespace).await)?;
    log(&config.log).await?;
    Ok(config)
}

/// Runs a tool.
///
/// # Errors
/// As [`settings`], and what each cannot cope with.
pub async fn run(tool: Tool, arguments: &Arguments) -> Result<ExitCode, CommandError> {
    match tool {
        Tool::Plan { output } => Ok(plan::plan(settings(arguments, Looks::Only).await?, output).await?),
        Tool::Check { output } => match settings(arguments, Looks::Only).await {
            Ok(config) => Ok(check::check(config, output).await),
            Err(CommandError::Settings(problems)) => Ok(check::unusable(&problems, output)),
            Err(failed) => Err(failed),
        },
        Tool::Release { all, dry_run, .. } => {
            let scope = if all { ReleaseScope::Domain } else { ReleaseScope::Deployment };
            let context = Context::read(Looks::ToAct, context_namespace).await;
            let release = Config::for_release(vars(), arguments, &context, scope)?;
            log(&release.log).await?;
            Ok(release::release(release, dry_run).await?)
        }
        Tool::Healthcheck { or_off } => {
            let off = if or_off { Off::Well } else { Off::Unknown };
            Ok(healthcheck::healthcheck(config::health_address(vars(), &program())?, off).await)
        }
        Tool::Status { watch, output } => {
            Ok(status::status(config::status_address(vars(), &program())?, StatusView::new(output, watch)).await)
        }
        Tool::Version { output } => {
            say(&version(output));
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Name and version; for programs also for which system and processor.
fn version(output: OutputFormat) -> String {
    let (name, version) = (env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
    match output {
        OutputFormat::Table => format!("{name} {version}"),
        OutputFormat::Json => serde_json::json!({ "name": name, "version": version, "os": OS, "arch": ARCH }).to_string(),
    }
}

async fn log(settings: &LogSettings) -> anyhow::Result<()> {
    let settings = settings.clone();
    aside::once(AT_START, move || telemetry::init(&settings)).await.context("LOG_CONFIG: opening the log files")??;
    Ok(())
}

/// Prints a line on standard output. A reader that went away is no failure of ours.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
