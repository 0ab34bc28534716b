//! SCRIPT: runs a program after a change, with a bound on its time and on what is kept of its output.
//!
//! It never writes a file: what changed lies in memory, in descriptors that the script inherits and that PROJECTOR_CHANGED and
//! PROJECTOR_CHANGES name under `/proc/self`, so that a root file system that cannot be written and a missing `/tmp` do no harm, and a
//! FOLDER that is `/tmp` holds nothing but projected files. Our own `/proc/PID/fd` is closed to the script, as our environment is.
//! A script that fails is tried again, unless SCRIPT_RETRIES is 0.

use std::fmt::Write as _;
use std::fs::File;
use std::future::ready;
use std::io::{self, Write as _};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::Path;
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use rustix::fs::{Access, AtFlags, CWD, MemfdFlags, accessat, memfd_create};
use rustix::io::{Errno, FdFlags, fcntl_dupfd_cloexec, fcntl_setfd};
use rustix::process::Pid;
use tokio::process::{Child, Command};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::api::ApiServer;
use crate::aside;
use crate::config::read::reload;
use crate::config::{Config, Wording, table};
use crate::core::discretion::{Frankness, Listener};
use crate::core::retry::{Retry, RetryReason};
use crate::core::tell::pace::FaultKind;
use crate::core::tell::queue::FileChange;
use crate::tell::group::ProcessGroup;
use crate::tell::words::{self, OutputHead, warn_once};
use crate::tell::{Diagnostic, Fault, Fired, Level, Means, Reaction, Way, withhold_secrets};

/// The variable that names the file with the changed paths, one per line. It can be read while the script runs.
const CHANGED: &str = "PROJECTOR_CHANGED";
/// The variable that names the file with what became of each of them: `written` or `removed`, path, kind, namespace and name, with tabs
/// between them.
const CHANGES: &str = "PROJECTOR_CHANGES";
/// The descriptors of those files have this number or a greater one: shells and scripts number their own from below.
const CHANGED_FD_MIN: i32 = 100;
/// Children that a script leaves behind may hold its outputs open: they are read for this long after its end.
const LINGER: Duration = Duration::from_millis(500);
/// How long a killed script may take to be gone.
const GONE: Duration = Duration::from_secs(1);

/// SCRIPT.
pub(super) const WAY: Way = Way { check, ..Way::new(|config| config.script.is_some(), from_config, whom) };

/// See the module's header.
pub(crate) struct RunScript {
    settings: reload::ScriptSettings,
    wording: Wording,
    listener: Listener,
    /// What was told last of a failure, so that it is told once.
    told: Option<[String; 3]>,
    /// REQ_RETRY_BACKOFF_FACTOR.
    backoff: Duration,
    /// Held by whoever starts it: a file system that hangs would keep one thread after the other.
    starts: Arc<Semaphore>,
    /// What became of the files that it is to be told of.
    file_changes: Vec<(Arc<str>, FileChange)>,
}

/// What a script can read of a change.
struct Lists {
    changed: OwnedFd,
    changes: OwnedFd,
}

/// How a script ended.
struct CompletedScript {
    /// Nothing when its time was up.
    status: Option<ExitStatus>,
    stdout: OutputHead,
    stderr: OutputHead,
}

impl RunScript {
    /// A reaction that runs SCRIPT.
    pub(crate) fn new(settings: reload::ScriptSettings, wording: Wording, listener: Listener, backoff: Duration) -> Self {
        Self { settings, wording, listener, told: None, backoff, starts: Arc::new(Semaphore::new(1)), file_changes: Vec::new() }
    }

    fn fault(&self, why: String) -> Fault {
        let is_final = self.settings.retries == 0;
        Fault::new(if is_final { FaultKind::Permanent } else { FaultKind::Trouble(RetryReason::Later, None) }, why)
    }

    async fn run(&mut self, changed: &[String]) -> Result<(), Fault> {
        let since = self.listener.begins();
        let ended =
            self.execute(changed).await.map_err(|error| self.fault(format!("SCRIPT: {}: {error}", self.settings.path.display())))?;
        self.log(&ended, self.listener.frankness(since));
        let script = self.settings.path.display();
        let why = match ended.status {
            Some(status) if status.success() => {
                self.listener.told(since);
                return Ok(());
            }
            // `exit status: 3`, or `signal: 9 (SIGKILL)`.
            Some(status) => format!("{script}: {status}"),
            None => format!("{script}: killed after {} s (SCRIPT_TIMEOUT)", self.settings.timeout.as_secs_f32()),
        };
        Err(self.fault(words::told(why, ended.said())))
    }

    /// Runs the script to its end, or to the end of its time.
    async fn execute(&self, changed: &[String]) -> io::Result<CompletedScript> {
        let paths = changed.iter().flat_map(|path| [path, "\n"]).collect();
        let lists = Lists { changed: list("changed", paths)?, changes: list("changes", lines(&self.file_changes))? };
        let (mut child, group) = self.start(lists).await?;
        let (mut stdout, mut stderr) = (OutputHead::default(), OutputHead::default());
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let status = {
            let mut outputs = pin!(async { tokio::join!(stdout.hear(out), stderr.hear(err)) });
            let mut open = true;
            // Outputs are read while it runs: it must not wait for us. Both arms are cancel-safe: the outputs are pinned outside.
            let end = async {
                loop {
                    tokio::select! {
                        status = child.wait() => return status,
                        _ = &mut outputs, if open => open = false,
                    }
                }
            };
            let status = match timeout(self.settings.timeout, end).await {
                Ok(status) => {
                    // What it leaves behind on purpose may stay.
                    group.map(ProcessGroup::release).unwrap_or_default();
                    Some(status?)
                }
                Err(_) => {
                    drop(group);
                    let _ = timeout(GONE, child.wait()).await;
                    None
                }
            };
            if open {
                let _ = timeout(LINGER, outputs).await;
            }
            status
        };
        Ok(CompletedScript { status, stdout, stderr })
    }

    /// On another thread, which the kernel keeps for as long as the script's file system hangs.
    async fn start(&self, lists: Lists) -> io::Result<(Child, Option<ProcessGroup>)> {
        let hangs = || io::Error::new(io::ErrorKind::TimedOut, "it hangs (SCRIPT_TIMEOUT)");
        let turn = self.starts.clone().try_acquire_owned().map_err(|_| hangs())?;
        let (path, environment) = (self.settings.path.clone(), self.settings.environment);
        let started = aside::once(self.settings.timeout, move || {
            let _turn = turn;
            let child = spawn(&path, environment, &lists).map_err(|error| explained(&path, error))?;
            let group = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)).map(ProcessGroup::of);
            Ok((child, group))
        });
        started.await.map_err(|_| hangs())?
    }

    /// Where it failed, people need to know why, once for the same words.
    fn log(&mut self, ended: &CompletedScript, frankness: Frankness) {
        let failed = !ended.status.is_some_and(|status| status.success());
        let (script, exit) = (self.settings.path.display(), ended.status.as_ref().map(ToString::to_string).unwrap_or_default());
        let (stdout, stderr) = words::outputs(&ended.stdout, &ended.stderr, frankness);
        if failed && ended.said() > 0 {
            let said = [exit, stdout, stderr];
            let [exit, stdout, stderr] = &said;
            warn_once!(self.told.as_ref() != Some(&said), %script, exit, stdout, stderr, "the script failed");
            self.told = Some(said);
        } else if self.wording == Wording::Own {
            tracing::debug!(%script, exit, stdout, stderr, "script ended");
        }
        if self.wording == Wording::Sidecar && tracing::enabled!(tracing::Level::DEBUG) {
            let shown = |said: &OutputHead| words::repeated(python_bytes(&said.kept), said.bytes, frankness);
            tracing::debug!("Script stdout: {}", shown(&ended.stdout));
            tracing::debug!("Script stderr: {}", shown(&ended.stderr));
            if let Some(status) = &ended.status {
                tracing::debug!("Script exit code: {}", python_code(status));
            }
        }
    }
}

impl CompletedScript {
    /// How much it said.
    const fn said(&self) -> usize {
        self.stdout.bytes.saturating_add(self.stderr.bytes)
    }
}

impl Reaction for RunScript {
    fn name(&self) -> &'static str {
        "script"
    }

    fn retry(&self) -> Retry {
        Retry::times(self.settings.retries, self.backoff)
    }

    fn exhausted(&self) -> String {
        format!("{}: the script failed, trying again later", self.settings.path.display())
    }

    fn renew(&mut self) {
        self.told = None;
    }

    fn learn(&mut self, file_changes: &dyn Fn() -> Vec<(Arc<str>, FileChange)>) {
        self.file_changes = file_changes();
    }

    fn fire<'a>(&'a mut self, changed: &'a [String]) -> Fired<'a> {
        Box::pin(async {
            let fired = self.run(changed).await;
            // They may be very many, and are asked for again.
            self.file_changes = Vec::new();
            fired
        })
    }
}

fn whom(config: &Config) -> String {
    config.script.as_ref().map(|script| script.path.display().to_string()).unwrap_or_default()
}

fn from_config(config: &Config, means: &Means<'_>) -> Option<Box<dyn Reaction>> {
    let script = config.script.clone()?;
    let listener = means.discretion.listener().of_who_knows_more(inherits_secrets(&script));
    Some(Box::new(RunScript::new(script, config.wording, listener, config.web.retry.backoff)))
}

/// Whether it is there: what it does is not for us to find out.
fn check<'a>(config: &'a Config, api: Option<&ApiServer>) -> BoxFuture<'a, Option<Diagnostic>> {
    let found = config.script.as_ref().filter(|_| api.is_none()).map(|reload::ScriptSettings { path, .. }| {
        let (level, why) = match std::fs::metadata(path) {
            Ok(metadata) if metadata.is_file() => (Level::Ok, String::new()),
            Ok(_) => (Level::Problem, ": not a file".to_owned()),
            Err(error) => (Level::Problem, format!(": {error}")),
        };
        Diagnostic { level, text: format!("SCRIPT: {}{why}", path.display()) }
    });
    ready(found).boxed()
}

/// Whether a script has secrets of ours in its environment, which it prints as soon as it prints what it runs.
fn inherits_secrets(script: &reload::ScriptSettings) -> bool {
    let is_told = |name: &&str| match std::env::var_os(name) {
        // The script may know where the application listens, but not with what it is asked there.
        Some(value) if name.ends_with("_URL") => value.to_string_lossy().contains(['@', '?']),
        value => value.is_some_and(|value| !value.is_empty()),
    };
    script.environment == reload::Environment::All && table::SECRETS.iter().any(is_told)
}

/// Directly if it can be executed, else by `sh`.
fn spawn(script: &Path, environment: reload::Environment, lists: &Lists) -> io::Result<Child> {
    if !std::fs::metadata(script)?.is_file() {
        return Err(aside::irregular());
    }
    // Inherited by what is started from here on, until the lists are dropped when this script has begun. A child that is started at that
    // very moment has them too: two descriptors more, that tell it of its own files.
    fcntl_setfd(&lists.changed, FdFlags::empty())?;
    fcntl_setfd(&lists.changes, FdFlags::empty())?;
    let start = |mut command: Command| {
        if environment == reload::Environment::Clean {
            withhold_secrets(&mut command);
        }
        let name = |list: &OwnedFd| format!("/proc/self/fd/{}", list.as_raw_fd());
        let command = command.env(CHANGED, name(&lists.changed)).env(CHANGES, name(&lists.changes));
        let command = command.process_group(0).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
    };
    let by_shell = || {
        let mut command = Command::new("sh");
        command.arg(script);
        start(command)
    };
    // As the kernel will judge it: by the effective ids.
    match accessat(CWD, script, Access::EXEC_OK, AtFlags::EACCESS) {
        Ok(()) => match start(Command::new(script)) {
            // A script without a first line that names its interpreter.
            Err(error) if error.raw_os_error() == Some(Errno::NOEXEC.raw_os_error()) => by_shell(),
            started => started,
        },
        Err(Errno::ACCESS) => by_shell(),
        Err(error) => Err(error.into()),
    }
}

fn explained(script: &Path, error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::NotFound if script.exists() => io::Error::other(format!("its interpreter is not there: {error}")),
        _ => error,
    }
}

/// A line for each file. No field is empty, and none but a tab stands between them: what could be taken for one is escaped.
fn lines(file_changes: &[(Arc<str>, FileChange)]) -> String {
    let mut lines = String::new();
    for (path, FileChange { owner, is_gone }) in file_changes {
        lines.push_str(if *is_gone { "removed" } else { "written" });
        for field in [path, owner.kind.as_str(), &owner.namespace, &owner.name] {
            lines.push('\t');
            lines.push_str(&escaped(field));
        }
        lines.push('\n');
    }
    lines
}

/// As `printf %b` reads it.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\t', "\\t").replace('\n', "\\n").replace('\r', "\\r")
}

/// Text as a file without a place.
fn list(name: &str, lines: String) -> io::Result<OwnedFd> {
    let mut file = File::from(memfd_create(name, MemfdFlags::CLOEXEC)?);
    file.write_all(lines.as_bytes())?;
    // A low limit on descriptors leaves it the number that it has.
    Ok(fcntl_dupfd_cloexec(&file, CHANGED_FD_MIN).unwrap_or_else(|_| file.into()))
}

/// Bytes as Python shows them: `b'…'`.
fn python_bytes(bytes: &[u8]) -> String {
    let quote = if bytes.contains(&b'\'') && !bytes.contains(&b'"') { '"' } else { '\'' };
    let mut text = format!("b{quote}");
    for byte in bytes {
        match char::from(*byte) {
            other @ ('"' | '\'') if other != quote => text.push(other),
            _ => drop(write!(text, "{}", byte.escape_ascii())),
        }
    }
    text.push(quote);
    text
}

/// An exit code as Python counts them: that of a signal is negative.
fn python_code(status: &ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt as _;
    status.code().or_else(|| status.signal().map(|signal| -signal)).unwrap_or_default()
}

#[cfg(test)]
#[path = "script_tests.rs"]
mod tests;
