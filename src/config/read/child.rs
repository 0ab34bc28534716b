//! Settings about the child process, and about what a failed reload means for health.

use std::ffi::OsString;
use std::time::Duration;

use rustix::process::Signal;

use crate::config::Method;
use crate::config::read::SettingsReader;
use crate::config::read::parse::Expected;
use crate::config::read::reload;
use crate::config::table::SettingValues;

/// The application as a child of ours.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct ChildSettings {
    /// The program and its arguments; never empty.
    pub(crate) command: Vec<OsString>,
    /// CHILD_START.
    pub(crate) start: ChildStart,
    /// RELOAD_SIGNAL, RELOAD_RESTART.
    pub(crate) reload: ChildReload,
    /// KILL_SIGNAL: what ends it when it is started again.
    pub(crate) kill_signal: Signal,
    /// KILL_TIMEOUT: how long it may take to end.
    pub(crate) kill_timeout: Duration,
    /// CHILD_RESTART.
    pub(crate) restart: RestartPolicy,
}

/// When the child is started.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ChildStart {
    /// After the first complete projection.
    Ready,
    /// At once.
    Now,
}

/// How the child is told of a change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ChildReload {
    /// By this signal.
    Signal(Signal),
    /// It is stopped and started again.
    Restart,
}

/// What follows when the child ends by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum RestartPolicy {
    /// We end too, with its code.
    Never,
    /// It is started again.
    Always,
}

impl SettingsReader<'_> {
    /// The child, where there is a command.
    pub(crate) fn child(&mut self, set: &SettingValues, command: &[OsString], method: Option<Method>) -> Option<Option<ChildSettings>> {
        let (start, signal, restarts) = (set.CHILD_START.value()?, set.RELOAD_SIGNAL.value()?, set.RELOAD_RESTART.value()?);
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
        if set.DRY_RUN.value() == Some(true) {
            let program = command.first().map(|program| program.to_string_lossy()).unwrap_or_default();
            let why = format!("true runs nothing, and the command behind -- would be run ({program}): leave one of the two out");
            self.note("DRY_RUN", &why);
            return None;
        }
        Some(Some(ChildSettings {
            command: command.to_vec(),
            start,
            reload: if restarts { ChildReload::Restart } else { ChildReload::Signal(signal) },
            kill_signal: set.KILL_SIGNAL.value()?,
            kill_timeout: set.KILL_TIMEOUT.value()?,
            restart: set.CHILD_RESTART.value()?,
        }))
    }
}

/// A signal that a process can handle.
pub(crate) fn telling_signal(text: &str) -> Result<Signal, Expected> {
    match reload::signal(text)? {
        Signal::KILL | Signal::STOP => Err("a signal that a process can handle, which KILL and STOP are not".into()),
        signal => Ok(signal),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Arguments;
    use crate::config::tests::{LEAST, default_config, exactly};
    use crate::core::discretion::ReactOutput;
    use crate::core::policy::OnReloadFailure;

    fn child(vars: &[(&str, &str)]) -> Result<Option<ChildSettings>, Vec<String>> {
        let arguments = Arguments { child: vec!["nginx".into(), "-g".into()], ..Arguments::default() };
        exactly(&[vars, &LEAST].concat(), &arguments).map(|config| config.child)
    }

    fn usual() -> ChildSettings {
        ChildSettings {
            command: vec!["nginx".into(), "-g".into()],
            start: ChildStart::Ready,
            reload: ChildReload::Signal(Signal::HUP),
            kill_signal: Signal::TERM,
            kill_timeout: Duration::from_secs(10),
            restart: RestartPolicy::Never,
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
        let expected = ChildSettings {
            start: ChildStart::Now,
            reload: ChildReload::Signal(Signal::USR2),
            kill_signal: Signal::QUIT,
            kill_timeout: Duration::from_millis(500),
            restart: RestartPolicy::Always,
            ..usual()
        };
        assert_eq!(child(&vars), Ok(Some(expected)));
        assert_eq!(child(&[("RELOAD_RESTART", "yes")]), Ok(Some(ChildSettings { reload: ChildReload::Restart, ..usual() })));
    }

    #[test]
    fn one_list_and_a_command_do_not_go_together() {
        let why = "METHOD: LIST ends after one list, so that nothing would follow for the command: it needs WATCH or SLEEP";
        assert_eq!(child(&[("METHOD", "LIST")]), Err(vec![why.to_owned()]));
    }

    #[test]
    fn a_dry_run_and_a_command_do_not_go_together() {
        let why = "DRY_RUN: true runs nothing, and the command behind -- would be run (nginx): leave one of the two out";
        assert_eq!(child(&[("DRY_RUN", "true")]), Err(vec![why.to_owned()]));
        assert_eq!(child(&[("DRY_RUN", "no")]), Ok(Some(usual())));
    }

    #[test]
    fn r13_what_is_said_is_repeated_with_care_unless_always_is_asked_for() {
        let output = |vars: &[(&str, &str)]| exactly(&[vars, &LEAST].concat(), &Arguments::default()).map(|config| config.react_output);
        assert_eq!(output(&[]), Ok(ReactOutput::Guarded));
        assert_eq!(output(&[("REACT_OUTPUT", "Always")]), Ok(ReactOutput::Always));
    }

    #[test]
    fn a_failed_reload_is_reported_unless_it_shall_mean_more() {
        let policy =
            |vars: &[(&str, &str)]| exactly(&[vars, &LEAST].concat(), &Arguments::default()).map(|config| config.on_reload_failure);
        assert_eq!(policy(&[]), Ok(default_config().on_reload_failure));
        assert_eq!(policy(&[("ON_RELOAD_FAILURE", "unready")]), Ok(OnReloadFailure::Unready));
        assert_eq!(policy(&[("ON_RELOAD_FAILURE", "Unhealthy")]), Ok(OnReloadFailure::Unhealthy));
    }
}
