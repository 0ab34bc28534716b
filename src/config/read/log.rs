//! What is logged, how log lines look and where they go.

use std::path::PathBuf;

use crate::config::profiles::Dialect;
use crate::config::read::parse::{self, Expected};
use crate::config::read::{SettingsReader, log_config};
use crate::config::table::SettingValues;

/// What is logged, and how.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogSettings {
    /// Least severe level of our own lines.
    pub(crate) level: LogLevel,
    /// Form of a line.
    pub(crate) format: LogFormat,
    /// The zone of times, in the forms of the sidecar.
    pub(crate) zone: LogZone,
    /// Where lines go.
    pub(crate) outputs: Vec<LogOutput>,
}

/// Severity of log lines, most severe first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum LogLevel {
    /// Someone must act.
    Error,
    /// We coped; look later.
    Warn,
    /// A thing that the user asked for happened.
    Info,
    /// Decisions.
    Debug,
    /// Shapes of data.
    Trace,
}

/// Form of log lines.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
    /// One JSON object a line, as k8s-sidecar prints it: time, level, msg, then our fields.
    SidecarJson,
    /// `name=value` pairs, as k8s-sidecar prints them: time, level, msg, then our fields.
    Logfmt,
}

/// The zone in which the sidecar's forms print times. Our own forms are always in UTC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum LogZone {
    /// What TZ or else /etc/localtime says; UTC where there is neither.
    Local,
    /// UTC.
    Utc,
}

impl LogZone {
    /// LOG_TZ: whatever is not `UTC` is the local zone, as in the original.
    pub(crate) fn from_text(text: &str) -> Self {
        if text.eq_ignore_ascii_case("utc") { Self::Utc } else { Self::Local }
    }
}

/// One place where log lines go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct LogOutput {
    /// Where.
    pub(crate) target: LogTarget,
    /// Form of its lines; `None`: [`LogSettings::format`].
    pub(crate) format: Option<LogFormat>,
    /// Lines less severe than this stay out, whatever [`LogSettings::level`] says.
    pub(crate) level: LogLevel,
}

/// Where log lines can go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum LogTarget {
    /// Standard error.
    Stderr,
    /// Standard output.
    Stdout,
    /// A file that is appended to; a relative path starts in the current folder.
    File {
        /// Its path.
        path: PathBuf,
        /// When it is exchanged for an empty one.
        rotation: Option<Rotation>,
    },
}

/// When a log file is exchanged, and what becomes of the old one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Rotation {
    /// A line that would make the file this long goes to a new one; at least 1.
    pub(crate) max_bytes: u64,
    /// How many old files are kept, as `name.1` (the newest), `name.2` and so on; at least 1.
    pub(crate) backups: u32,
}

/// What a LOG_CONFIG file says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct LogPlan {
    /// Level of the root logger.
    pub(crate) level: LogLevel,
    /// The root logger's handlers; none: nothing is logged.
    pub(crate) outputs: Vec<LogOutput>,
}

impl LogSettings {
    /// Lines to standard error, as without any profile.
    pub fn to_stderr(level: LogLevel, format: LogFormat) -> Self {
        let output = LogOutput { target: LogTarget::Stderr, format: None, level: LogLevel::Trace };
        Self { level, format, zone: LogZone::Utc, outputs: vec![output] }
    }

    /// Lines as a LOG_CONFIG file says; handlers that name no form take `format`.
    pub(crate) fn planned(plan: LogPlan, format: LogFormat, zone: LogZone) -> Self {
        Self { level: plan.level, format, zone, outputs: plan.outputs }
    }
}

impl SettingsReader<'_> {
    pub(crate) fn log(&mut self, set: &SettingValues) -> Option<LogSettings> {
        let planned = self.planned(set);
        let (verbose, debug) = (set.VERBOSE.value()?, set.DEBUG.value()?);
        let level = if !set.LOG_LEVEL.is_given() && (verbose || debug) { LogLevel::Debug } else { set.LOG_LEVEL.value()? };
        let usual = if self.context.stderr_is_terminal { LogFormat::Text } else { LogFormat::Json };
        let (format, zone) = (set.LOG_FORMAT.optional()?.unwrap_or(usual), set.LOG_TZ.value()?);
        Some(match planned? {
            Some(plan) => LogSettings::planned(plan, format, zone),
            None if self.dialect() == Dialect::Sidecar => LogSettings { zone, ..LogSettings::to_stderr(level, format) },
            None => LogSettings::to_stderr(level, format),
        })
    }

    /// What the file says that LOG_CONFIG names.
    fn planned(&mut self, set: &SettingValues) -> Option<Option<LogPlan>> {
        let Some(path) = set.LOG_CONFIG.optional()? else { return Some(None) };
        let plan = match &self.context.log_config {
            Some(Ok(text)) => log_config::parse(text),
            Some(Err(error)) => Err(format!("a file that can be read: {error}")),
            None => Err("a file that can be read".to_owned()),
        };
        plan.map_err(|expected| self.refuse("LOG_CONFIG", &path, &expected)).ok().map(Some)
    }
}

/// LOG_LEVEL.
pub(crate) fn level(text: &str) -> Result<LogLevel, Expected> {
    parse::choice(
        text,
        &[
            ("error", LogLevel::Error),
            ("warn", LogLevel::Warn),
            ("warning", LogLevel::Warn),
            ("info", LogLevel::Info),
            ("debug", LogLevel::Debug),
            ("trace", LogLevel::Trace),
        ],
    )
}

/// LOG_FORMAT.
pub(crate) fn format(text: &str) -> Result<LogFormat, Expected> {
    parse::choice(text, &[("text", LogFormat::Text), ("json", LogFormat::Json)])
}

/// LOG_TZ.
pub(crate) fn zone(text: &str) -> Result<LogZone, Expected> {
    Ok(LogZone::from_text(text))
}

/// A level as Python's logging names it, in any case.
///
/// # Errors
/// What would have been accepted.
pub(crate) fn python_level(text: &str) -> Result<LogLevel, Expected> {
    parse::choice(
        text,
        &[
            // We have nothing more severe than errors.
            ("CRITICAL", LogLevel::Error),
            ("FATAL", LogLevel::Error),
            ("ERROR", LogLevel::Error),
            ("WARN", LogLevel::Warn),
            ("WARNING", LogLevel::Warn),
            ("INFO", LogLevel::Info),
            ("DEBUG", LogLevel::Debug),
            ("NOTSET", LogLevel::Trace),
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_pythons_in_any_case() {
        let good = [
            ("CRITICAL", LogLevel::Error),
            ("fatal", LogLevel::Error),
            ("Error", LogLevel::Error),
            ("WARN", LogLevel::Warn),
            ("warning", LogLevel::Warn),
            ("INFO", LogLevel::Info),
            ("debug", LogLevel::Debug),
            ("NotSet", LogLevel::Trace),
        ];
        parse::tests::check(python_level, &good, &["", "TRACE", "20", " INFO"]);
        assert_eq!(python_level("x"), Err("CRITICAL, FATAL, ERROR, WARN, WARNING, INFO, DEBUG or NOTSET".into()));
    }

    #[test]
    fn every_zone_but_utc_is_the_local_one() {
        let zones = ["UTC", "utc", "LOCAL", "", "Europe/Berlin"].map(LogZone::from_text);
        assert_eq!(zones, [LogZone::Utc, LogZone::Utc, LogZone::Local, LogZone::Local, LogZone::Local]);
    }
}
