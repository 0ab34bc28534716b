//! Settings about what follows a change on this machine: script, signal.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;

use crate::config::read::Reader;
use crate::config::read::parse::{self, Expected};
use crate::config::read::{numbers, paths};
use crate::core::policy::Batching;

/// The script that follows a change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Script {
    /// SCRIPT.
    pub(crate) path: PathBuf,
    /// SCRIPT_TIMEOUT.
    pub(crate) timeout: Duration,
    /// SCRIPT_ENV.
    pub(crate) environment: Environment,
    /// SCRIPT_RETRIES: quick ones, after which it is tried at the slow pace; none at all if this is 0.
    pub(crate) retries: u32,
}

/// What a program that we start has of our environment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Environment {
    /// All of it.
    All,
    /// All but [what may not be shown](crate::config::table::SECRETS).
    Clean,
}

/// The window that REQ_ONCE_PER_BATCH stands for.
const WINDOW: Duration = Duration::from_millis(200);

/// How often and when the application is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Timing {
    /// How often script and request run.
    pub(crate) batching: Batching,
    /// REACT_ON_START: once when all files are there, whatever changed.
    pub(crate) on_start: bool,
    /// REACT_JITTER: at most so much later.
    pub(crate) jitter: Duration,
}

/// The signal that follows a change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Signalling {
    /// SIGNAL.
    pub(crate) signal: Signal,
    /// Who gets it.
    pub(crate) target: SignalTarget,
}

/// Who gets a signal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum SignalTarget {
    /// SIGNAL_PROCESS: a program by its name or path.
    Process(String),
    /// SIGNAL_PIDFILE: the process whose number this file holds.
    Pidfile(PathBuf),
}

impl Reader<'_> {
    pub(crate) fn timing(&mut self) -> Option<Timing> {
        let window = self.defaulted_number("REACT_WINDOW", &self.raw.react_window, numbers::decimal_seconds);
        let per_batch = self.value("REQ_ONCE_PER_BATCH", &self.raw.req_once_per_batch, parse::boolean);
        let on_start = self.value("REACT_ON_START", &self.raw.react_on_start, parse::boolean);
        let jitter = self.number("REACT_JITTER", &self.raw.react_jitter, numbers::decimal_seconds);
        let (on_start, jitter) = (on_start?, jitter?);
        if on_start && !self.projects() {
            self.warnings.push("REACT_ON_START has no effect where nothing is projected: EXEC_ON_START is for that".to_owned());
        }
        let batching = match (window?, per_batch?) {
            (Some(Duration::ZERO), _) | (None, false) => Batching::Each,
            (Some(window), _) => Batching::Window(window),
            (None, true) => Batching::Window(WINDOW),
        };
        Some(Timing { batching, on_start, jitter })
    }

    pub(crate) fn signalling(&mut self, current_dir: &Path) -> Option<Option<Signalling>> {
        let process = self.optional("SIGNAL_PROCESS", &self.raw.signal_process, |text| Ok(text.to_owned()));
        let pidfile = self.optional("SIGNAL_PIDFILE", &self.raw.signal_pidfile, |text| Ok(paths::path(text, current_dir)));
        let signal = self.value("SIGNAL", &self.raw.signal, signal);
        let target = match (process?, pidfile?) {
            (Some(_), Some(_)) => {
                self.note("SIGNAL_PIDFILE", "cannot be used together with SIGNAL_PROCESS");
                return None;
            }
            (Some(name), None) => Some(SignalTarget::Process(name)),
            (None, Some(file)) => Some(SignalTarget::Pidfile(file)),
            (None, None) => None,
        };
        let signal = signal?;
        Some(target.map(|target| Signalling { signal, target }))
    }
}

/// What a script has of our environment.
pub(super) fn environment(text: &str) -> Result<Environment, Expected> {
    parse::choice(text, &[("clean", Environment::Clean), ("all", Environment::All)])
}

const NAMES: [(&str, Signal); 12] = [
    ("HUP", Signal::HUP),
    ("INT", Signal::INT),
    ("QUIT", Signal::QUIT),
    ("KILL", Signal::KILL),
    ("USR1", Signal::USR1),
    ("USR2", Signal::USR2),
    ("ALRM", Signal::ALARM),
    ("TERM", Signal::TERM),
    ("CONT", Signal::CONT),
    ("STOP", Signal::STOP),
    ("WINCH", Signal::WINCH),
    ("CHLD", Signal::CHILD),
];

/// A signal's name, without SIG.
pub(crate) fn signal_name(signal: Signal) -> &'static str {
    NAMES.iter().find(|(_, known)| *known == signal).map_or("signal", |(name, _)| name)
}

/// A signal by its name, with or without SIG, or its number.
pub(super) fn signal(text: &str) -> Result<Signal, Expected> {
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let named = NAMES.iter().find(|(known, signal)| *known == name || signal.as_raw().to_string() == name).map(|(_, signal)| *signal);
    named.ok_or_else(|| format!("{} or the number of one of them", NAMES.map(|(name, _)| name).join(", ")).into())
}
