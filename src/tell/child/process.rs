//! One run of the child: a process in a group of its own.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::time::Instant;

use crate::aside::{self, WITHIN};
use crate::config::read::reload::signal_name;
use crate::core::retry::RetryReason;
use crate::core::tell::pace::FaultKind;
use crate::tell::group::ProcessGroup;
use crate::tell::proc::{self, Disposition, is_for_handlers};
use crate::tell::{Fault, withhold_secrets};

/// A child is not told before it is so old. Some runtimes catch every signal from the start, only to end by those that the program has
/// no handler for yet (Go).
const OLD_ENOUGH: Duration = Duration::from_secs(1);

/// A child that was not waited for yet. Dropping it kills what is left of its group.
pub(crate) struct Process {
    child: Child,
    pid: Pid,
    group: ProcessGroup,
    since: Instant,
}

impl Process {
    /// Starts the program, which has our standard input and outputs, and our environment without what may not be shown.
    ///
    /// # Errors
    /// When there is no such program, or it cannot be executed.
    pub(crate) fn start(command: &[OsString]) -> io::Result<Self> {
        let (program, arguments) = command.split_first().ok_or(io::ErrorKind::NotFound)?;
        let since = Instant::now();
        let mut command = Command::new(program);
        withhold_secrets(&mut command);
        let child = command.args(arguments).process_group(0).kill_on_drop(true).spawn()?;
        let pid = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let pid = pid.ok_or_else(|| io::Error::other("the child has no number"))?;
        Ok(Self { child, pid, group: ProcessGroup::of(pid), since })
    }

    /// Its number.
    pub(crate) fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// When it was started: it reads what was on disk then.
    pub(crate) const fn since(&self) -> Instant {
        self.since
    }

    /// Waits for its end, and gives its exit code; 128 and the number of the signal that ended it.
    ///
    /// # Cancel safety
    /// Yes.
    pub(crate) async fn ended(&mut self) -> u8 {
        let Ok(status) = self.child.wait().await else { return 1 };
        let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
        code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
    }

    /// Sends a signal to the process itself, not to its group.
    ///
    /// # Errors
    /// When it runs as another user.
    pub(crate) fn send(&self, signal: Signal) -> io::Result<()> {
        // It was not waited for, so the number is still its own.
        Ok(kill_process(self.pid, signal)?)
    }

    /// Kills the whole group.
    pub(crate) fn kill(&self) {
        self.group.kill();
    }

    /// Tells it of a change by a signal, unless that would end a child that does not handle it, or not yet.
    pub(crate) async fn tell(&self, signal: Signal) -> Result<(), Fault> {
        let (pid, name) = (self.pid(), signal_name(signal));
        let young = OLD_ENOUGH.saturating_sub(self.since.elapsed());
        let judged = is_for_handlers(signal);
        if judged && !young.is_zero() {
            let why = format!("process {pid} was started just now");
            return Err(Fault::new(FaultKind::Trouble(RetryReason::Connect, Some(young)), why));
        }
        let objection = self.disposition(signal).await.filter(|_| judged).and_then(|disposition| disposition.objection(pid, name));
        match objection {
            Some(objection) => Err(Fault::later(format!("{objection} (RELOAD_SIGNAL)"))),
            None => self.send(signal).map_err(|error| Fault::later(format!("process {pid}: {error}"))),
        }
    }

    /// Nothing where it is not seen.
    async fn disposition(&self, signal: Signal) -> Option<Disposition> {
        let children = aside::once(WITHIN, || proc::children(Path::new("/proc"))).await.ok()?;
        children.iter().find(|(pid, _)| *pid == self.pid()).map(|(_, status)| status.disposition(signal))
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    /// A shell with these traps that are set already.
    async fn shell(traps: &str) -> Process {
        let script = format!("{traps}; trap : WINCH; while :; do sleep 0.01; done");
        let process = Process::start(&["sh".into(), "-c".into(), script.into()]).unwrap();
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        while process.disposition(Signal::WINCH).await != Some(Disposition::Caught) {
            assert!(std::time::Instant::now() < deadline, "the traps are set");
            std::thread::sleep(Duration::from_millis(2));
        }
        process
    }

    fn why(told: Result<(), Fault>) -> String {
        match told {
            Err(Fault { kind: FaultKind::Trouble(..), why }) => why,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_child_is_told_after_its_first_second() {
        let mut child = shell("trap 'exit 5' HUP").await;
        advance(Duration::from_millis(400)).await;
        let wish = Some(Duration::from_millis(600));
        assert!(matches!(child.tell(Signal::HUP).await, Err(Fault { kind: FaultKind::Trouble(_, until), .. }) if until == wish));
        advance(Duration::from_millis(600)).await;
        assert_eq!(child.tell(Signal::HUP).await, Ok(()));
        assert_eq!(child.ended().await, 5);
    }

    #[tokio::test(start_paused = true)]
    async fn signals_without_a_handler_are_held_back_but_for_those_that_are_meant_to_end_it() {
        let mut child = shell("trap '' USR1").await;
        advance(OLD_ENOUGH).await;
        assert!(why(child.tell(Signal::HUP).await).contains("no handler for HUP"));
        assert!(why(child.tell(Signal::USR1).await).contains("ignores USR1"));
        assert_eq!(child.tell(Signal::INT).await, Ok(()));
        assert_eq!(child.ended().await, 130);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_meant_to_end_a_child_waits_for_nothing() {
        let mut child = shell(":").await;
        assert_eq!(child.tell(Signal::TERM).await, Ok(()));
        assert_eq!(child.ended().await, 143);
    }
}
