//! SIGNAL_PROCESS and SIGNAL_PIDFILE: sends a signal to another process, also of another container (shareProcessNamespace).
//!
//! A process is held by a descriptor (pidfd) before it is looked at, so that the one that was looked at gets the signal, and never
//! a stranger that was given its number since.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, geteuid, pidfd_open, pidfd_send_signal};

use crate::aside::{self, Look, WITHIN};
use crate::config::Config;
use crate::config::read::reload::{SignalSettings, SignalTarget, signal_name};
use crate::core::retry::RetryReason;
use crate::core::tell::pace::FaultKind;
use crate::tell::proc::{self, is_for_handlers};
use crate::tell::{Fault, Fired, Reaction, Way};

/// What the clock of a file system may be behind that of the kernel.
const CLOCKS_DIFFER: Duration = Duration::from_secs(2);

/// SIGNAL_PROCESS, SIGNAL_PIDFILE.
pub(super) const WAY: Way =
    Way::new(|config| config.signal.is_some(), |config, _| Some(Box::new(Signal::new(config.signal.clone()?))), whom);

/// See the module's header.
#[derive(Clone)]
pub(crate) struct Signal {
    settings: SignalSettings,
    proc: PathBuf,
    look: Look<Result<(), Fault>>,
}

fn whom(config: &Config) -> String {
    let Some(SignalSettings { signal, target }) = &config.signal else { return String::new() };
    let target = match target {
        SignalTarget::Process(name) => format!("the process {name}"),
        SignalTarget::Pidfile(file) => format!("the process of {}", file.display()),
    };
    format!("{} to {target}", signal_name(*signal))
}

/// A process, held.
struct HeldProcess {
    pid: i32,
    parent: i32,
    /// The first argument and the executable, as far as they can be seen.
    names: Vec<Vec<u8>>,
    uid: u32,
    descriptor: OwnedFd,
}

impl Signal {
    /// A reaction that sends a signal.
    pub(crate) fn new(settings: SignalSettings) -> Self {
        Self { settings, proc: "/proc".into(), look: Look::default() }
    }

    fn send(&self) -> Result<(), Fault> {
        let found = match &self.settings.target {
            SignalTarget::Process(name) => self.named(name)?,
            SignalTarget::Pidfile(file) => vec![self.of_pidfile(file)?],
        };
        let (signal, raw) = (self.settings.signal, self.settings.signal.as_raw());
        // All or none: a retry would tell some of them twice.
        found.iter().try_for_each(|process| self.may_be_told(process))?;
        for process in found {
            match pidfd_send_signal(&process.descriptor, signal) {
                Ok(()) => tracing::debug!(pid = process.pid, signal = raw, "signal sent"),
                Err(Errno::SRCH) => return Err(Fault::later(format!("process {} ended just now", process.pid))),
                Err(Errno::PERM) => {
                    let (theirs, ours) = (process.uid, geteuid().as_raw());
                    let pid = process.pid;
                    return Err(Fault::later(format!(
                        "process {pid} runs as uid {theirs} and we as {ours}: run both as one (runAsUser), or give us the capability KILL"
                    )));
                }
                Err(error) => return Err(Fault::later(format!("process {}: {error}", process.pid))),
            }
        }
        Ok(())
    }

    /// The setting that says who is told.
    fn sought(&self) -> String {
        match &self.settings.target {
            SignalTarget::Process(name) => format!("SIGNAL_PROCESS={name:?}"),
            SignalTarget::Pidfile(file) => format!("SIGNAL_PIDFILE={file:?}"),
        }
    }

    /// Whether the signal reaches a handler. One that is not there yet would be the end of the process.
    fn may_be_told(&self, process: &HeldProcess) -> Result<(), Fault> {
        let (signal, pid) = (self.settings.signal, process.pid);
        if !is_for_handlers(signal) {
            return Ok(());
        }
        let age = self.started(pid).and_then(|started| SystemTime::now().duration_since(started).ok());
        let young = CLOCKS_DIFFER.saturating_sub(age.unwrap_or_default());
        if !young.is_zero() {
            // Some runtimes (Go) catch signals before the program handles them.
            let why = format!("process {pid} was started just now");
            return Err(Fault::new(FaultKind::Trouble(RetryReason::Connect, Some(young)), why));
        }
        let status = proc::status(&self.proc.join(pid.to_string()));
        match status.and_then(|status| status.disposition(signal).objection(pid, signal_name(signal))) {
            Some(objection) => Err(Fault::later(format!("{objection} (SIGNAL)"))),
            None => Ok(()),
        }
    }

    /// The processes of this name, without those whose parent has it too: a master tells its workers itself.
    fn named(&self, name: &str) -> Result<Vec<HeldProcess>, Fault> {
        let entries = fs::read_dir(&self.proc).map_err(|error| Fault::later(format!("{}: {error}", self.proc.display())))?;
        let own = i32::try_from(std::process::id()).unwrap_or_default();
        let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        let mut found: Vec<HeldProcess> = Vec::new();
        let (mut others, mut closed) = (0, 0);
        for pid in pids.filter(|pid| *pid != own) {
            closed += usize::from(self.is_closed(pid));
            let Some(process) = self.hold(pid) else { continue };
            others += 1;
            if process.names.iter().any(|known| is_named(known, name)) {
                found.push(process);
            }
        }
        let pids: Vec<i32> = found.iter().map(|process| process.pid).collect();
        found.retain(|process| !pids.contains(&process.parent));
        let why = match (found.is_empty(), others, closed) {
            (false, ..) => return Ok(found),
            (true, _, 1..) => {
                let ours = geteuid().as_raw();
                format!(
                    "no process {name:?} among those that we may look into (SIGNAL_PROCESS), but {closed} more: they run as another uid than \
                     {ours}, or /proc hides what they are (hidepid)"
                )
            }
            (true, others, 0) if self.hides() => format!(
                "no process {name:?} among the {others} that we see (SIGNAL_PROCESS): /proc shows none but those of our uid (hidepid)"
            ),
            (true, 0, 0) => format!("no process {name:?}: we see none but our own, so the pod needs shareProcessNamespace: true"),
            (true, others, 0) => format!("no process {name:?} among the {others} that we see (SIGNAL_PROCESS)"),
        };
        Err(Fault::later(why))
    }

    /// Whether a process is there of which not everything that may be its name can be seen.
    fn is_closed(&self, pid: i32) -> bool {
        let folder = self.proc.join(pid.to_string());
        let denied = |error: std::io::Error| error.kind() == std::io::ErrorKind::PermissionDenied;
        match fs::read(folder.join("cmdline")) {
            // What has no arguments is the kernel's, or has ended.
            Ok(arguments) => !arguments.is_empty() && fs::read_link(folder.join("exe")).is_err_and(denied),
            Err(error) => denied(error),
        }
    }

    /// Whether processes of others are not even listed.
    fn hides(&self) -> bool {
        let mounts = fs::read_to_string(self.proc.join("self/mountinfo")).unwrap_or_default();
        let is_proc = |line: &&str| line.split(' ').nth(4).is_some_and(|place| Path::new(place) == self.proc);
        mounts.lines().rfind(is_proc).is_some_and(|line| line.contains("hidepid=") && !line.contains("hidepid=0"))
    }

    fn of_pidfile(&self, file: &Path) -> Result<HeldProcess, Fault> {
        let shown = self.sought();
        let text = aside::contents(file).and_then(aside::text).map_err(|error| Fault::later(format!("{shown}: {error}")))?;
        let pid = text.split_whitespace().next().and_then(|text| text.parse().ok()).filter(|pid| *pid > 0);
        let pid: i32 = pid.ok_or_else(|| Fault::later(format!("{shown}: expected a process id")))?;
        let written =
            fs::metadata(file).and_then(|metadata| metadata.modified()).map_err(|error| Fault::later(format!("{shown}: {error}")))?;
        let gone = || {
            Fault::later(format!(
                "{shown} names process {pid}, which we do not see: it ended, or the pod lacks shareProcessNamespace: true"
            ))
        };
        let process = self.hold(pid).ok_or_else(gone)?;
        let born = self.started(pid).ok_or_else(gone)?;
        if born > written + CLOCKS_DIFFER {
            return Err(Fault::later(format!("{shown} is older than process {pid}: that number was given to another process")));
        }
        Ok(process)
    }

    /// Holds a process, then looks at it. Nothing if it is not there, or no more.
    fn hold(&self, pid: i32) -> Option<HeldProcess> {
        let descriptor = pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()?;
        let folder = self.proc.join(pid.to_string());
        let arguments = fs::read(folder.join("cmdline")).ok()?;
        let first = arguments.split(|byte| *byte == 0).next().unwrap_or_default().to_vec();
        let executable = fs::read_link(folder.join("exe")).ok().map(|path| path.as_os_str().as_bytes().to_vec());
        let names = [Some(first), executable].into_iter().flatten().filter(|name| !name.is_empty()).collect();
        let parent = field(&folder, 1)?.parse().ok()?;
        let uid = fs::metadata(&folder).ok()?.uid();
        // Whatever was read is of the process that is held, unless that one has ended.
        if has_ended(&descriptor) {
            return None;
        }
        Some(HeldProcess { pid, parent, names, uid, descriptor })
    }

    /// When a process began.
    fn started(&self, pid: i32) -> Option<SystemTime> {
        let ticks: u64 = field(&self.proc.join(pid.to_string()), 19)?.parse().ok()?;
        let since_boot = Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second());
        let stat = fs::read_to_string(self.proc.join("stat")).ok()?;
        let boot: u64 = stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
        Some(SystemTime::UNIX_EPOCH + Duration::from_secs(boot) + since_boot)
    }
}

impl Reaction for Signal {
    fn name(&self) -> &'static str {
        "signal"
    }

    fn exhausted(&self) -> String {
        match &self.settings.target {
            SignalTarget::Process(name) => format!("the process {name:?} got no signal"),
            SignalTarget::Pidfile(file) => format!("the process that {} names got no signal", file.display()),
        }
    }

    fn fire<'a>(&'a mut self, _changed: &'a [String]) -> Fired<'a> {
        // A look at every process of a pod takes less than a millisecond, unless one of them or the file hangs.
        let this = self.clone();
        Box::pin(async move {
            let sent = this.look.clone().aside(WITHIN, move || this.send()).await;
            sent.unwrap_or_else(|error| Err(Fault::later(format!("{}: {error}", self.sought()))))
        })
    }
}

/// Whether the process of a descriptor has ended: such a descriptor can be read.
fn has_ended(descriptor: &OwnedFd) -> bool {
    let mut waiting = [PollFd::new(descriptor, PollFlags::IN)];
    poll(&mut waiting, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).is_ok_and(|ready| ready > 0)
}

/// Whether the path of a program is meant by a name: all of it, or its last part.
fn is_named(known: &[u8], name: &str) -> bool {
    let last = known.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    known == name.as_bytes() || last == name.as_bytes()
}

/// A field of `/proc/PID/stat`, counted from the one after the name, which may hold anything.
fn field(folder: &Path, index: usize) -> Option<String> {
    let stat = fs::read_to_string(folder.join("stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(index).map(str::to_owned)
}

#[cfg(test)]
#[path = "signal_tests.rs"]
mod tests;
