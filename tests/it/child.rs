//! The command behind `--`: real processes, started, told, ended and waited for.
//!
//! Children are shells that append a line to a log for whatever happens to them; absence is proven by a line that comes later.

mod ends;
mod failure;
mod first;
mod signals;
mod told;

use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};

use crate::common::Setup;
use crate::support::projector::Builder;
use crate::support::*;

/// Waits for signals, at most a hundred seconds: a child that a failed test leaves behind ends by itself.
const IDLE: &str = "sleep 100 & s=$!; while kill -0 $s 2>/dev/null; do wait $s; done";

/// A setup with one object, `a`, with one file, `a`.
struct Bench {
    setup: Setup,
}

impl Bench {
    /// On the server that the environment asks for.
    fn new() -> Self {
        Self::on(Setup::new())
    }

    /// On this server.
    fn on(setup: Setup) -> Self {
        setup.cluster.configmap("a", &[("a", "1")]).create();
        Self { setup }
    }

    /// A launch with a shell as the child. `$A` is the file, `note` appends to the log, `idle` waits for signals, `$D` is a folder.
    fn child(&self, script: &str) -> Builder {
        let (folder, file) = (self.setup.beside("").display().to_string(), self.setup.path("a").display().to_string());
        let script = format!("D={folder}; A={file}; note() {{ echo \"$*\" >> $D/log; }}; idle() {{ {IDLE}; }}; {script}");
        self.command(&["/bin/sh", "-c", &script])
    }

    /// A launch with any child.
    fn command(&self, command: &[&str]) -> Builder {
        self.setup.projector().env("PATH", "/usr/local/bin:/usr/bin:/bin").args(&["run", "--"]).args(command)
    }

    /// What the child noted.
    fn log(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.setup.beside("log")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Waits until the child has noted exactly this.
    fn noted(&self, expected: &[&str]) {
        wait_until(&format!("{expected:?} in the child's log"), DEADLINE, || {
            let log = self.log();
            if log == expected { Ok(()) } else { Err(log) }
        });
    }

    /// Changes the file.
    fn set(&self, value: &str) {
        self.setup.cluster.set_data("a", &[("a", value)]);
    }

    /// A number that the child wrote to a file.
    fn pid_in(&self, name: &str) -> i32 {
        wait_until(&format!("a number in {name}"), DEADLINE, || {
            let text = std::fs::read_to_string(self.setup.beside(name)).unwrap_or_default();
            text.ends_with('\n').then(|| text.trim().parse::<i32>().unwrap()).ok_or(text)
        })
    }
}

/// Whether a process runs; one that only waits to be waited for does not.
fn runs(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}

fn gone(pid: i32) {
    wait_for("the end of a process", DEADLINE, || !runs(pid));
}

fn send(pid: i32, signal: Signal) {
    kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
}

fn touch(path: &Path) {
    std::fs::write(path, "").unwrap();
}
