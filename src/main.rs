//! `kube-projector`: keeps a folder equal to what labelled Kubernetes objects say it should hold.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use kube_projector::app::shutdown::Shutdown;
use kube_projector::cli::{Cli, Command};
use kube_projector::config::release::ReleaseScope;
use kube_projector::config::{self, Config, Context, Log, LogFormat, LogLevel, problems::Problems};
use kube_projector::source::api::ApiError;
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
        .max_blocking_threads(4)
        .thread_keep_alive(Duration::from_secs(3600))
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
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let own_namespace = std::fs::read_to_string(NAMESPACE_FILE).ok().map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
    let in_pod = own_namespace.is_some() || set("KUBERNETES_SERVICE_HOST").is_some();
    let home_kubeconfig = set("HOME").map(|home| Path::new(&home).join(".kube/config")).filter(|file| file.exists());
    let kubeconfig = set("KUBECONFIG").map(PathBuf::from).or_else(|| home_kubeconfig.clone()).filter(|_| !in_pod);
    let context = Context {
        in_pod,
        // Read only where it may count.
        kubeconfig_namespace: kubeconfig
            .filter(|_| set("NAMESPACE").is_none())
            .and_then(|file| kube_projector::source::api::context_namespace(&file)),
        only_looks: matches!(cli.command, Some(Command::Plan { .. } | Command::Check { .. })),
        current_dir: std::env::current_dir().unwrap_or_else(|_| "/".into()),
        stderr_is_terminal: std::io::stderr().is_terminal(),
        program: program(),
        own_namespace,
        home_kubeconfig,
        log_config: set("LOG_CONFIG").map(|path| std::fs::read_to_string(path).map_err(|error| error.to_string())),
        tmp_is_mounted: std::fs::read_to_string("/proc/self/mountinfo").is_ok_and(|mounts| mounts.lines().any(is_at_tmp)),
    };
    let flags = cli.settings();
    let settings = || Config::from_vars(vars(), &flags, &context);
    match cli.command.unwrap_or(Command::Run { child: Vec::new() }) {
        Command::Run { .. } => {
            let config = settings()?;
            log(&config.log)?;
            let shutdown = Shutdown::on_signals().map_err(anyhow::Error::from)?;
            Ok(app::run(config, shutdown).await?)
        }
        Command::Plan { output } => {
            let config = settings()?;
            log(&config.log)?;
            Ok(commands::plan::plan(config, output).await?)
        }
        Command::Check { output } => match settings() {
            Ok(config) => {
                log(&config.log)?;
                Ok(commands::check::check(config, output).await)
            }
            Err(problems) => Ok(commands::check::unusable(&problems, output)),
        },
        Command::Release { all, dry_run, .. } => {
            let scope = if all { ReleaseScope::Domain } else { ReleaseScope::Deployment };
            let release = Config::for_release(vars(), &flags, &context, scope)?;
            log(&release.log)?;
            Ok(commands::release::release(release, dry_run).await?)
        }
        Command::Healthcheck => {
            let address = config::health_address(vars(), &context.program)?;
            log(&Log::to_stderr(LogLevel::Warn, LogFormat::Text))?;
            Ok(commands::healthcheck::healthcheck(address).await?)
        }
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

fn log(settings: &Log) -> Result<(), Failed> {
    telemetry::init(settings).map_err(|error| Failed::Run(error.into()))
}

fn fail(text: &str, code: u8) -> ExitCode {
    telemetry::last_words(text);
    ExitCode::from(code)
}
