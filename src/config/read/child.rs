//! Settings about the child process, and about what a failed reload means for health.

use std::ffi::OsString;
use std::time::Duration;

use rustix::process::Signal;

use crate::config::Method;
use crate::config::read::Reader;
use crate::config::read::parse::{self, Expected};
use crate::config::read::{numbers, reload};
use crate::core::discretion::Output;
use crate::core::policy::OnReloadFailure;

/// The application as a child of ours.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Child {
    /// The program and its arguments; never empty.
    pub(crate) command: Vec<OsString>,
    /// CHILD_START.
    pub(crate) start: Start,
    /// RELOAD_SIGNAL, RELOAD_RESTART.
    pub(crate) reload: Reload,
    /// KILL_SIGNAL: what ends it when it is started again.
    pub(crate) kill_signal: Signal,
    /// KILL_TIMEOUT: how long it may take to end.
    pub(crate) kill_timeout: Duration,
    /// CHILD_RESTART.
    pub(crate) restart: Restart,
}

/// When the child is started.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Start {
    /// After the first complete projection.
    Ready,
    /// At once.
    Now,
}

/// How the child is told of a change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reload {
    /// By this signal.
    Signal(Signal),
    /// It is stopped and started again.
    Restart,
}

/// What follows when the child ends by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Restart {
    /// We end too, with its code.
    Never,
    /// It is started again.
    Always,
}

impl Reader<'_> {
    /// The child, where there is a command.
    pub(crate) fn child(&mut self, command: &[OsString], method: Option<Method>) -> Option<Option<Child>> {
        let start = self.value("CHILD_START", &self.raw.child_start, start);
        let signal = self.value("RELOAD_SIGNAL", &self.raw.reload_signal, telling_signal);
        let restarts = self.value("RELOAD_RESTART", &self.raw.reload_restart, parse::boolean);
        let kill_signal = self.value("KILL_SIGNAL", &self.raw.kill_signal, reload::signal);
        let kill_timeout = self.number("KILL_TIMEOUT", &self.raw.kill_timeout, numbers::decimal_seconds);
        let restart = self.value("CHILD_RESTART", &self.raw.child_restart, restart);
        let (start, signal, restarts) = (start?, signal?, restarts?);
        if command.is_empty() {
            return Some(None);
        }
        if method == Some(Method::List) {
            self.note("METHOD", "LIST ends after one list, so that nothing would follow for the command: it needs WATCH or SLEEP");
            return None;
        }
        if !self.projects() {
            self.note("FOLDER", "the command behind -- is told of files, and there are none: set FOLDER, and LABEL or OBJECT");
            return None;
        }
        Some(Some(Child {
            command: command.to_vec(),
            start,
            reload: if restarts { Reload::Restart } else { Reload::Signal(signal) },
            kill_signal: kill_signal?,
            kill_timeout: kill_timeout?,
            restart: restart?,
        }))
    }

    pub(crate) fn react_output(&mut self) -> Option<Output> {
        self.value("REACT_OUTPUT", &self.raw.react_output, react_output)
    }

    pub(crate) fn on_reload_failure(&mut self) -> Option<OnReloadFailure> {
        self.value("ON_RELOAD_FAILURE", &self.raw.on_reload_failure, on_reload_failure)
    }
}

/// What is repeated of what the application says.
fn react_output(text: &str) -> Result<Output, Expected> {
    parse::choice(text, &[("guarded", Output::Guarded), ("always", Output::Always)])
}

/// A signal that a process can handle.
fn telling_signal(text: &str) -> Result<Signal, Expected> {
    let signal = reload::signal(text)?;
    match signal {
        Signal::KILL | Signal::STOP => Err("a signal that a process can handle, which KILL and STOP are not".into()),
        signal => Ok(signal),
    }
}

fn start(text: &str) -> Result<Start, Expected> {
    parse::choice(text, &[("ready", Start::Ready), ("now", Start::Now)])
}

fn restart(text: &str) -> Result<Restart, Expected> {
    parse::choice(text, &[("never", Restart::Never), ("always", Restart::Always)])
}

fn on_reload_failure(text: &str) -> Result<OnReloadFailure, Expected> {
    let words = [("report", OnReloadFailure::Report), ("unready", OnReloadFailure::Unready), ("unhealthy", OnReloadFailure::Unhealthy)];
    parse::choice(text, &words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Flags;
    use crate::config::tests::{LEAST, default_config, exactly};

    fn child(vars: &[(&str, &str)]) -> Result<Option<Child>, Vec<String>> {
        let flags = Flags { child: vec!["nginx".into(), "-g".into()], ..Flags::default() };
        exactly(&[vars, &LEAST].concat(), &flags).map(|config| config.child)
    }

    fn usual() -> Child {
        Child {
            command: vec!["nginx".into(), "-g".into()],
            start: Start::Ready,
            reload: Reload::Signal(Signal::HUP),
            kill_signal: Signal::TERM,
            kill_timeout: Duration::from_secs(10),
            restart: Restart::Never,
        }
    }

    #[test]
    fn a_command_is_enough() {
        assert_eq!(child(&[]), Ok(Some(usual())));
    }

    #[test]
    fn everything_about_the_child_can_be_set() {
        let vars = [
            ("CHILD_START", "NOW"),
            ("RELOAD_SIGNAL", "usr2"),
            ("KILL_SIGNAL", "SIGQUIT"),
            ("KILL_TIMEOUT", "0.5"),
            ("CHILD_RESTART", "Always"),
        ];
        let expected = Child {
            start: Start::Now,
            reload: Reload::Signal(Signal::USR2),
            kill_signal: Signal::QUIT,
            kill_timeout: Duration::from_millis(500),
            restart: Restart::Always,
            ..usual()
        };
        assert_eq!(child(&vars), Ok(Some(expected)));
        assert_eq!(child(&[("RELOAD_RESTART", "yes")]), Ok(Some(Child { reload: Reload::Restart, ..usual() })));
    }

    #[test]
    fn one_list_and_a_command_do_not_go_together() {
        let why = "METHOD: LIST ends after one list, so that nothing would follow for the command: it needs WATCH or SLEEP";
        assert_eq!(child(&[("METHOD", "LIST")]), Err(vec![why.to_owned()]));
    }

    #[test]
    fn r13_what_is_said_is_repeated_with_care_unless_always_is_asked_for() {
        let output = |vars: &[(&str, &str)]| exactly(&[vars, &LEAST].concat(), &Flags::default()).map(|config| config.react_output);
        assert_eq!(output(&[]), Ok(Output::Guarded));
        assert_eq!(output(&[("REACT_OUTPUT", "Always")]), Ok(Output::Always));
    }

    #[test]
    fn a_failed_reload_is_reported_unless_it_shall_mean_more() {
        let policy = |vars: &[(&str, &str)]| exactly(&[vars, &LEAST].concat(), &Flags::default()).map(|config| config.on_reload_failure);
        assert_eq!(policy(&[]), Ok(default_config().on_reload_failure));
        assert_eq!(policy(&[("ON_RELOAD_FAILURE", "unready")]), Ok(OnReloadFailure::Unready));
        assert_eq!(policy(&[("ON_RELOAD_FAILURE", "Unhealthy")]), Ok(OnReloadFailure::Unhealthy));
    }
}
