//! One run of the child: a process in a group of its own.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

use crate::config::reload::signal_name;
use crate::core::retry::Trouble;
use crate::react::Fault;
use crate::react::group::Group;
use crate::react::proc::{self, Disposition};

/// A child that was not waited for yet. Dropping it kills what is left of its group.
pub struct Process {
    child: Child,
    pid: Pid,
    group: Group,
}

impl Process {
    /// Starts the program, which has our standard input and outputs.
    ///
    /// # Errors
    /// When there is no such program, or it cannot be executed.
    pub fn start(command: &[OsString]) -> io::Result<Self> {
        let (program, arguments) = command.split_first().ok_or(io::ErrorKind::NotFound)?;
        let child = Command::new(program).args(arguments).process_group(0).kill_on_drop(true).spawn()?;
        let pid = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let pid = pid.ok_or_else(|| io::Error::other("the child has no number"))?;
        Ok(Self { child, pid, group: Group::of(pid) })
    }

    /// Its number.
    pub fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Waits for its end, and gives its exit code; 128 and the number of the signal that ended it.
    ///
    /// # Cancel safety
    /// Yes.
    pub async fn ended(&mut self) -> u8 {
        let Ok(status) = self.child.wait().await else { return 1 };
        let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
        code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
    }

    /// Sends a signal to the process itself, not to its group.
    ///
    /// # Errors
    /// When it runs as another user.
    pub fn send(&self, signal: Signal) -> io::Result<()> {
        // It was not waited for, so the number is still its own.
        Ok(kill_process(self.pid, signal)?)
    }

    /// Kills the whole group.
    pub fn kill(&self) {
        self.group.kill();
    }

    /// Tells it of a change by a signal, unless that would end a child that does not handle it, or not yet.
    pub fn tell(&self, signal: Signal) -> Result<(), Fault> {
        let (pid, name) = (self.pid(), signal_name(signal));
        let why = match self.disposition(signal).filter(|_| is_for_handlers(signal)) {
            Some(Disposition::Default) => format!("process {pid} has no handler for {name} (RELOAD_SIGNAL), which would end it"),
            Some(Disposition::Ignored) => format!("process {pid} ignores {name} (RELOAD_SIGNAL)"),
            Some(Disposition::Caught) | None => match self.send(signal) {
                Ok(()) => return Ok(()),
                Err(error) => format!("process {pid}: {error}"),
            },
        };
        Err(Fault::Transient { trouble: Trouble::Connect, wish: None, why })
    }

    /// Nothing where it is not seen.
    fn disposition(&self, signal: Signal) -> Option<Disposition> {
        let children = proc::children(Path::new("/proc"));
        children.iter().find(|status| status.pid == self.pid()).map(|status| status.disposition(signal))
    }
}

/// Whether a signal says nothing by itself, and ends a process that does not handle it. TERM and the like end it on purpose.
fn is_for_handlers(signal: Signal) -> bool {
    [Signal::HUP, Signal::USR1, Signal::USR2, Signal::ALARM].contains(&signal)
}
