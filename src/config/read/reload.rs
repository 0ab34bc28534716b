//! Settings about what follows a change: request, script, signal.

use std::path::PathBuf;
use std::time::Duration;

use rustix::process::Signal;

use crate::config::profiles::Dialect;
use crate::config::read::SettingsReader;
use crate::config::read::parse::Expected;
use crate::config::read::web::Redacted;
use crate::config::table::SettingValues;
use crate::core::policy::Batching;

/// The script that follows a change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct ScriptSettings {
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
pub(crate) struct SignalSettings {
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

/// The request that follows a change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct ReloadRequest {
    /// REQ_URL. It may carry credentials: show its origin only.
    pub(crate) url: Redacted,
    /// REQ_METHOD, in upper case.
    pub(crate) method: String,
    /// REQ_PAYLOAD as JSON; `None`: an empty body without a type.
    pub(crate) payload: Option<Redacted>,
    /// REQ_SKIP_INIT: not after the initial pass.
    pub(crate) skips_initial: bool,
}

/// What follows a change.
pub(crate) struct Reactions {
    pub(crate) signal: Option<SignalSettings>,
    pub(crate) request: Option<ReloadRequest>,
    pub(crate) script: Option<ScriptSettings>,
    pub(crate) timing: Timing,
}

impl Reactions {
    fn are_none(&self) -> bool {
        self.request.is_none() && self.script.is_none() && self.signal.is_none()
    }
}

impl SettingsReader<'_> {
    pub(crate) fn reactions(&mut self, set: &SettingValues) -> Option<Reactions> {
        let (signal, timing) = (self.signalling(set), self.timing(set));
        let url = set.REQ_URL.optional()?;
        let (skips_initial, timing) = (set.REQ_SKIP_INIT.value()?, timing?);
        if skips_initial && timing.on_start && url.is_some() {
            self.warn("REQ_SKIP_INIT has no effect with REACT_ON_START=true");
        }
        let (method, payload) = (set.REQ_METHOD.value()?, set.REQ_PAYLOAD.optional()?);
        let (timeout, environment) = (set.SCRIPT_TIMEOUT.value()?, set.SCRIPT_ENV.value()?);
        let retries = set.SCRIPT_RETRIES.value()?;
        Some(Reactions {
            signal: signal?,
            request: url.zip(method).map(|(url, method)| ReloadRequest { url, method, payload, skips_initial }),
            script: set.SCRIPT.optional()?.map(|path| ScriptSettings { path, timeout, environment, retries }),
            timing,
        })
    }

    fn timing(&mut self, set: &SettingValues) -> Option<Timing> {
        let (on_start, jitter) = (set.REACT_ON_START.value()?, set.REACT_JITTER.value()?);
        if on_start && !self.projects() {
            self.warn("REACT_ON_START has no effect where nothing is projected: EXEC_ON_START is for that");
        }
        let batching = match (set.REACT_WINDOW.optional()?, set.REQ_ONCE_PER_BATCH.value()?) {
            (Some(Duration::ZERO), _) | (None, false) => Batching::Each,
            (Some(window), _) => Batching::Window(window),
            (None, true) => Batching::Window(WINDOW),
        };
        Some(Timing { batching, on_start, jitter })
    }

    fn signalling(&mut self, set: &SettingValues) -> Option<Option<SignalSettings>> {
        let target = match (set.SIGNAL_PROCESS.optional()?, set.SIGNAL_PIDFILE.optional()?) {
            (Some(_), Some(_)) => {
                self.note("SIGNAL_PIDFILE", "cannot be used together with SIGNAL_PROCESS");
                return None;
            }
            (Some(name), None) => Some(SignalTarget::Process(name)),
            (None, Some(file)) => Some(SignalTarget::Pidfile(file)),
            (None, None) => None,
        };
        let signal = set.SIGNAL.value()?;
        Some(target.map(|target| SignalSettings { signal, target }))
    }

    /// Notes what is to be told of files where there are none.
    pub(crate) fn tells_of_files(&mut self) {
        if self.projects() {
            return;
        }
        let texts = self.texts;
        for name in ["REQ_URL", "SCRIPT", "SIGNAL_PROCESS", "SIGNAL_PIDFILE"].into_iter().filter(|name| texts.given(name).is_some()) {
            self.note(name, "is told of files, and there are none: set FOLDER, and LABEL or OBJECT");
        }
    }

    /// Notes a problem where a profile asks for somebody who is told of changes and there is nobody: `None` if somebody else is.
    /// Commands that only look need nobody.
    pub(crate) fn somebody_is_told(&mut self, reactions: Option<&Reactions>) {
        if self.dialect() == Dialect::Controller && reactions.is_some_and(Reactions::are_none) {
            self.note("REQ_URL", "nobody is told of changes: give a command after --, or a URL as --reload-http or REQ_URL");
        }
    }
}

/// REQ_METHOD, in upper case.
pub(crate) fn request_method(text: &str) -> Result<Option<String>, Expected> {
    let method = text.to_ascii_uppercase();
    match method.as_str() {
        "GET" | "POST" | "PUT" | "PATCH" => Ok(Some(method)),
        _ => Err("GET, POST, PUT or PATCH".into()),
    }
}

/// REQ_PAYLOAD: JSON stays as it is; any other text becomes a JSON string.
pub(crate) fn payload(text: &str) -> Result<Redacted, Expected> {
    Ok(Redacted(match serde_json::from_str::<serde::de::IgnoredAny>(text) {
        Ok(_) => text.to_owned(),
        Err(_) => serde_json::Value::from(text).to_string(),
    }))
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
pub(crate) fn signal(text: &str) -> Result<Signal, Expected> {
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let named = NAMES.iter().find(|(known, signal)| *known == name || signal.as_raw().to_string() == name).map(|(_, signal)| *signal);
    named.ok_or_else(|| format!("{} or the number of one of them", NAMES.map(|(name, _)| name).join(", ")).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::config::read::parse::tests::check;
    use crate::config::read::web::{CredentialOrigins, Downloads};
    use crate::config::tests::{at, default_config, read};
    use crate::core::discretion::ReactOutput;
    use crate::core::policy::OnReloadFailure;

    #[test]
    fn payloads_are_json_or_become_a_json_string() {
        for (text, expected) in [("{\"a\": 1}", "{\"a\": 1}"), ("hello", "\"hello\""), ("", "\"\""), ("1", "1"), ("a\"b", "\"a\\\"b\"")] {
            assert_eq!(payload(text), Ok(Redacted(expected.to_owned())));
        }
    }

    #[test]
    fn methods_are_taken_in_any_case() {
        check(request_method, &[("post", Some("POST".to_owned())), ("Get", Some("GET".to_owned()))], &["DELETE", ""]);
    }

    #[test]
    fn everything_that_is_told_can_be_set() {
        let vars = [
            ("REQ_URL", "http://c/reload"),
            ("REQ_METHOD", "post"),
            ("REQ_PAYLOAD", "text"),
            ("REQ_SKIP_INIT", "true"),
            ("SCRIPT", "s.sh"),
            ("SCRIPT_TIMEOUT", "9"),
            ("SCRIPT_RETRIES", "7"),
            ("SIGNAL_PROCESS", "nginx"),
            ("SIGNAL", "sigusr1"),
            ("REACT_OUTPUT", "always"),
            ("ON_RELOAD_FAILURE", "unready"),
            ("REACT_WINDOW", "3"),
            ("REACT_JITTER", "0.5"),
        ];
        let (url, payload) = (Redacted("http://c/reload".into()), Some(Redacted("\"text\"".into())));
        let (timeout, environment) = (Duration::from_secs(9), Environment::Clean);
        let batching = Batching::Window(Duration::from_secs(3));
        let config = default_config();
        let credential_origins = CredentialOrigins::Only(vec![at("c")]);
        let expected = Config {
            request: Some(ReloadRequest { url, method: "POST".into(), payload, skips_initial: true }),
            script: Some(ScriptSettings { path: "/work/s.sh".into(), timeout, environment, retries: 7 }),
            signal: Some(SignalSettings { signal: Signal::USR1, target: SignalTarget::Process("nginx".into()) }),
            react_output: ReactOutput::Always,
            on_reload_failure: OnReloadFailure::Unready,
            timing: Timing { batching, on_start: false, jitter: Duration::from_millis(500) },
            downloads: Downloads { credential_origins, ..config.downloads.clone() },
            ..config
        };
        assert_eq!(read(&vars), Ok(expected));
    }
}
