//! `kube-projector`: keeps a folder equal to what labelled Kubernetes objects say it should hold.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use kube_projector::api::ApiError;
use kube_projector::api::found::context_namespace;
use kube_projector::app::shutdown::Shutdown;
use kube_projector::aside::{self, AT_START};
use kube_projector::cli::{Cli, Command};
use kube_projector::config::read::release::ReleaseScope;
use kube_projector::config::{self, Config, Context, Log, LogFormat, LogLevel, problems::Problems};
use kube_projector::source::manifests::places::Overlap;
use kube_projector::{app, commands, telemetry};

/// Where a pod finds its own namespace.
const NAMESPACE_FILE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";

fn main() -> ExitCode {
    // Passwords may stand in our environment: nobody of our uid reads it, and no core holds it. What cannot be refused is no reason to end.
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    let cli = Cli::read(std::env::args_os());
    telemetry::tell_panics();
    // Modes are set exactly by fchmod; a mask that takes the owner's own bits would lock us out before.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        // What hangs keeps its thread, and nobody hangs twice: this is more than there are files, names and programs that can.
        .max_blocking_threads(64)
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("starting: {error}"), 1),
    };
    let ended = runtime.block_on(run(cli));
    // A disk that hangs must not keep us.
    runtime.shutdown_background();
    telemetry::drain();
    match ended {
        Ok(code) => code,
        Err(Failed::Settings(problems)) => fail(&problems.to_string(), 2),
        Err(Failed::Run(error)) => fail(&format!("{error:#}"), if error.is::<ApiError>() || error.is::<Overlap>() { 2 } else { 1 }),
    }
}

enum Failed {
    Settings(Problems),
    Run(anyhow::Error),
}

impl From<Problems> for Failed {
    fn from(problems: Problems) -> Self {
        Self::Settings(problems)
    }
}

impl From<anyhow::Error> for Failed {
    fn from(error: anyhow::Error) -> Self {
        Self::Run(error)
    }
}

async fn run(cli: Cli) -> Result<ExitCode, Failed> {
    let vars = || config::as_text(std::env::vars_os());
    let only_looks = matches!(cli.command, Some(Command::Plan { .. } | Command::Check { .. }));
    let flags = cli.settings();
    let settings = async || -> Result<Config, Failed> {
        let config = Config::from_vars(vars(), &flags, &context(only_looks).await)?;
        log(&config.log).await?;
        Ok(config)
    };
    match cli.command.unwrap_or(Command::Run { child: Vec::new() }) {
        Command::Run { .. } => {
            let mut shutdown = Shutdown::on_signals().map_err(anyhow::Error::from)?;
            let config = tokio::select! {
                config = settings() => config?,
                () = shutdown.asked() => return Ok(ExitCode::SUCCESS),
            };
            Ok(app::run(config, shutdown).await?)
        }
        Command::Plan { output } => Ok(commands::plan::plan(settings().await?, output).await?),
        Command::Check { output } => match settings().await {
            Ok(config) => Ok(commands::check::check(config, output).await),
            Err(Failed::Settings(problems)) => Ok(commands::check::unusable(&problems, output)),
            Err(failed) => Err(failed),
        },
        Command::Release { all, dry_run, .. } => {
            let scope = if all { ReleaseScope::Domain } else { ReleaseScope::Deployment };
            let release = Config::for_release(vars(), &flags, &context(only_looks).await, scope)?;
            log(&release.log).await?;
            Ok(commands::release::release(release, dry_run).await?)
        }
        Command::Healthcheck => {
            let address = config::health_address(vars(), &program())?;
            log(&Log::to_stderr(LogLevel::Warn, LogFormat::Text)).await?;
            Ok(commands::healthcheck::healthcheck(address).await?)
        }
    }
}

/// What the world around tells the settings. Nothing of it is waited for longer than it takes a person to notice.
async fn context(only_looks: bool) -> Context {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    // One look each: none of them may spoil the others.
    let text = |path: PathBuf| async move {
        let read = aside::once(AT_START, move || aside::handed(&path).and_then(aside::text)).await;
        read.and_then(|read| read).map_err(|error| error.to_string())
    };
    let home = async {
        let file = Path::new(&set("HOME")?).join(".kube/config");
        aside::once(AT_START, move || file.exists().then_some(file)).await.ok()?
    };
    let planned = async { Some(text(set("LOG_CONFIG")?.into()).await) };
    let (own_namespace, mounts, home_kubeconfig, log_config) =
        tokio::join!(text(NAMESPACE_FILE.into()), text("/proc/self/mountinfo".into()), home, planned);
    let own_namespace = own_namespace.ok().map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
    let in_pod = own_namespace.is_some() || set("KUBERNETES_SERVICE_HOST").is_some();
    // Read only where it may count.
    let kubeconfig = set("KUBECONFIG").map(PathBuf::from).or_else(|| home_kubeconfig.clone());
    let kubeconfig_namespace = match kubeconfig.filter(|_| !in_pod && set("NAMESPACE").is_none()) {
        Some(file) => aside::once(AT_START, move || context_namespace(&file)).await.ok().flatten(),
        None => None,
    };
    Context {
        in_pod,
        kubeconfig_namespace,
        only_looks,
        current_dir: std::env::current_dir().unwrap_or_else(|_| "/".into()),
        stderr_is_terminal: std::io::stderr().is_terminal(),
        program: program(),
        own_namespace,
        home_kubeconfig,
        log_config,
        tmp_is_mounted: mounts.is_ok_and(|mounts| mounts.lines().any(is_at_tmp)),
    }
}

/// The name under which we were started: an image may carry us under the name of what we replace.
fn program() -> String {
    let name = std::env::args_os().next().unwrap_or_default();
    Path::new(&name).file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Whether a line of mountinfo (proc(5)) is about `/tmp`.
fn is_at_tmp(line: &str) -> bool {
    line.split(' ').nth(4) == Some("/tmp")
}

async fn log(settings: &Log) -> Result<(), Failed> {
    let settings = settings.clone();
    let begun = aside::once(AT_START, move || telemetry::init(&settings)).await;
    begun.context("LOG_CONFIG: opening the log files").and_then(|begun| Ok(begun?)).map_err(Failed::Run)
}

fn fail(text: &str, code: u8) -> ExitCode {
    telemetry::last_words(text);
    ExitCode::from(code)
}
