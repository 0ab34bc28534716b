//! The log: where lines go, their form, and a filter that no setting can open.
//!
//! Our own lines follow LOG_LEVEL. Dependencies speak at WARN at most, and those that handle requests and bodies at ERROR:
//! kube's client prints whole bodies at WARN when it cannot decode them, and URLs at DEBUG. Of the environment, only the time zone is read here, when it is asked for.

use std::io;
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tracing::level_filters::LevelFilter;
use tracing::{Dispatch, Level, dispatcher};
use tracing_subscriber::Layer;
use tracing_subscriber::Registry;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::writer::MakeWriterExt as _;
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;

use crate::config::read::log::{LogOutput, LogTarget, LogZone};
use crate::config::{LogFormat, LogLevel, LogSettings};
use crate::telemetry::line::{LineForm, SidecarFormat};
use crate::telemetry::outlet::Outlet;
use crate::telemetry::rotate::LogFile;

mod line;
mod outlet;
mod rotate;

/// How long a panic or the end waits for whoever reads the log.
const PATIENCE: Duration = Duration::from_millis(100);
/// A pipe that takes anything takes so much at once (pipe(7)).
const AT_ONCE_BYTES: usize = 4096;
/// Where lines wait to be written, for the end.
static OUTLETS: OnceLock<Vec<Outlet>> = OnceLock::new();

/// Targets of our own lines: this crate and its modules.
const OWN: &str = "kube_projector";
/// Beginnings of targets whose lines may hold bodies, URLs or names of hosts.
const QUIET: [&str; 7] = ["kube_client", "kube_runtime", "reqwest", "hyper", "rustls", "tower", "h2"];

/// Lines of one form to one place.
type BoxedLayer = Box<dyn Layer<Registry> + Send + Sync>;

/// Why no log could be set up.
#[derive(thiserror::Error, Debug)]
pub enum LogError {
    /// The process has one already.
    #[error("installing the log")]
    Install(#[from] dispatcher::SetGlobalDefaultError),
    /// A file that LOG_CONFIG names.
    #[error("opening the log file {}", path.display())]
    File {
        /// Its path.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
    /// There can be no more threads.
    #[error("starting the thread that writes the log")]
    Thread(#[source] io::Error),
}

/// Sends log lines of the whole process where `log` says from now on.
///
/// # Errors
/// If the process has a log already, or a file cannot be opened.
pub fn init(log: &LogSettings) -> Result<(), LogError> {
    let outlets = log.outputs.iter().map(|output| outlet(&output.target)).collect::<Result<Vec<_>, _>>()?;
    let outputs = log.outputs.iter().zip(&outlets).map(|(output, outlet)| lines(log, output, outlet.clone(), Timestamp::now));
    dispatcher::set_global_default(dispatch(log, outputs.collect()))?;
    // It is set already only where a log was installed already.
    let _ = OUTLETS.set(outlets);
    Ok(())
}

/// From now on a panic is told without waiting for whoever reads standard error.
pub fn tell_panics() {
    std::panic::set_hook(Box::new(|panic| last_words(&panic.to_string())));
}

/// Waits until the log is written, if somebody reads it.
pub fn drain() {
    OUTLETS.get().into_iter().flatten().for_each(|outlet| outlet.drain(PATIENCE));
}

/// Writes a line to standard error behind the log, if somebody reads it.
pub fn last_words(text: &str) {
    drain();
    // Not by the standard library: whoever stands still in there holds its lock.
    let stderr = io::stderr();
    let end = Instant::now() + PATIENCE;
    let line = format!("{text}\n");
    for mut part in line.as_bytes().chunks(AT_ONCE_BYTES) {
        while !part.is_empty() {
            let left = Timespec::try_from(end.saturating_duration_since(Instant::now())).unwrap_or_default();
            let mut waiting = [PollFd::new(&stderr, PollFlags::OUT)];
            if !poll(&mut waiting, Some(&left)).is_ok_and(|ready| ready > 0) {
                return;
            }
            let Ok(written @ 1..) = rustix::io::write(stderr.as_fd(), part) else { return };
            part = part.get(written..).unwrap_or_default();
        }
    }
}

/// How many lines were lost so far, of all outputs.
pub(crate) fn lost_lines() -> u64 {
    OUTLETS.get().into_iter().flatten().map(Outlet::lost_lines).sum()
}

fn outlet(target: &LogTarget) -> Result<Outlet, LogError> {
    let outlet = match target {
        LogTarget::Stderr => Outlet::start(io::stderr(), lost),
        LogTarget::Stdout => Outlet::start(io::stdout(), lost),
        LogTarget::File { path, rotation } => {
            let file = LogFile::open(path, *rotation).map_err(|source| LogError::File { path: path.clone(), source })?;
            Outlet::start(file, lost)
        }
    };
    outlet.map_err(LogError::Thread)
}

fn lost(lines: u64) {
    tracing::warn!("{lines} log lines lost");
}

/// A subscriber that writes to these outputs, filtered as the module says.
fn dispatch(log: &LogSettings, outputs: Vec<BoxedLayer>) -> Dispatch {
    Dispatch::new(tracing_subscriber::registry().with(outputs).with(filter(log.level)))
}

/// An output that writes to `writer`.
fn lines<W>(log: &LogSettings, output: &LogOutput, writer: W, now: fn() -> Timestamp) -> BoxedLayer
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let sidecar = |form| SidecarFormat { form, zone: zone(log.zone), now };
    // Without colours: escape codes do not belong in a log that a collector reads.
    let lines = fmt::layer().with_writer(writer.with_max_level(severity(output.level))).with_ansi(false);
    match output.format.unwrap_or(log.format) {
        LogFormat::Text => lines.compact().boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(false).boxed(),
        LogFormat::SidecarJson => lines.event_format(sidecar(LineForm::Json)).boxed(),
        LogFormat::Logfmt => lines.event_format(sidecar(LineForm::Logfmt)).boxed(),
    }
}

/// UTC where nothing tells the local zone, as in an image without files.
fn zone(zone: LogZone) -> TimeZone {
    match zone {
        LogZone::Local => TimeZone::try_system().unwrap_or(TimeZone::UTC),
        LogZone::Utc => TimeZone::UTC,
    }
}

fn severity(level: LogLevel) -> Level {
    match level {
        LogLevel::Error => Level::ERROR,
        LogLevel::Warn => Level::WARN,
        LogLevel::Info => Level::INFO,
        LogLevel::Debug => Level::DEBUG,
        LogLevel::Trace => Level::TRACE,
    }
}

fn filter(level: LogLevel) -> Targets {
    let level = LevelFilter::from_level(severity(level));
    Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target(OWN, level)
        .with_targets(QUIET.map(|target| (target, LevelFilter::ERROR)))
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use crate::config::read::log::{LogPlan, Rotation};

    use super::*;

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What `act` logs.
    pub(crate) fn captured(level: LogLevel, format: LogFormat, act: impl FnOnce()) -> String {
        captured_by(&LogSettings::to_stderr(level, format), act)
    }

    /// What the first output of `log` gets, at a fixed time.
    fn captured_by(log: &LogSettings, act: impl FnOnce()) -> String {
        let captured = Captured::default();
        let writer = captured.clone();
        let now = || Timestamp::new(1_795_255_200, 123_456_789).unwrap();
        let output = lines(log, &log.outputs[0], move || writer.clone(), now);
        dispatcher::with_default(&dispatch(log, vec![output]), act);
        String::from_utf8(captured.0.lock().unwrap().clone()).unwrap()
    }

    /// One line of each level, with every type of field.
    fn say() {
        tracing::info!(path = "/rules/a.yaml", bytes = 3_u32, change = -1, fresh = true, why = %"a \"b\"", "file\nwritten");
        tracing::error!(level = "x", "bad");
        tracing::warn!("careful");
        tracing::debug!("Contents of {} haven't changed", "a");
        tracing::trace!("shape");
        tracing::error!(target: "kube_client::client", "quiet only below this");
        tracing::warn!(target: "kube_client::client", "canary");
        tracing::warn!(target: "hyper", "canary");
        tracing::info!(target: "axum", "canary");
    }

    #[test]
    fn own_lines_follow_the_level_and_dependencies_never_pass_their_bound() {
        for level in [LogLevel::Error, LogLevel::Warn, LogLevel::Info, LogLevel::Debug, LogLevel::Trace] {
            let filter = filter(level);
            let passes = |target: &str| {
                [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE]
                    .into_iter()
                    .take_while(|level| filter.would_enable(target, level))
                    .count()
            };
            let own = 1 + [LogLevel::Error, LogLevel::Warn, LogLevel::Info, LogLevel::Debug, LogLevel::Trace]
                .iter()
                .filter(|other| **other < level)
                .count();
            for target in ["kube_projector", "kube_projector::disk"] {
                assert_eq!(passes(target), own, "{target} at {level:?}");
            }
            for target in ["axum", "inotify", "tokio", "kube_core", "kube", ""] {
                assert_eq!(passes(target), own.min(2), "{target} at {level:?}");
            }
            for target in [
                "kube_client::client",
                "kube_runtime",
                "reqwest::retry",
                "hyper",
                "hyper_util::client",
                "rustls",
                "tower_http",
                "h2::proto",
            ] {
                assert_eq!(passes(target), 1, "{target} at {level:?}");
            }
        }
    }

    #[test]
    fn a_body_that_the_client_cannot_decode_is_not_printed_at_any_level() {
        let log = captured(LogLevel::Trace, LogFormat::Text, || {
            let _span = tracing::debug_span!(target: "kube_client::client::builder", "HTTP", http.url = "https://canary").entered();
            tracing::warn!(target: "kube_client::client", "{}, canary", "decoding");
            tracing::debug!(target: "hyper_util::client", "canary");
            tracing::info!(path = "/rules/a.yaml", bytes = 3, "file written");
        });
        assert!(!log.contains("canary"), "{log}");
        assert!(log.contains("file written path=\"/rules/a.yaml\" bytes=3"), "{log}");
    }

    #[test]
    fn json_lines_are_flat_objects() {
        let log = captured(LogLevel::Info, LogFormat::Json, || {
            tracing::info!(path = "/rules/a.yaml", bytes = 3, "file\nwritten");
            tracing::debug!("not at this level");
        });
        let line: serde_json::Value = serde_json::from_str(&log).unwrap();
        let fields = ["level", "message", "path", "bytes"].map(|name| line[name].clone());
        assert_eq!(fields, ["INFO".into(), "file\nwritten".into(), "/rules/a.yaml".into(), serde_json::json!(3)]);
        assert!(line["timestamp"].as_str().is_some_and(|time| time.ends_with('Z')), "{line}");
    }

    #[test]
    fn lines_of_the_sidecar_are_its_three_fields_and_ours() {
        let expected = concat!(
            r#"{"time": "2026-11-21T10:00:00.123456+00:00", "level": "INFO", "msg": "file\nwritten", "path": "/rules/a.yaml", "bytes": 3, "change": -1, "fresh": true, "why": "a \"b\""}"#,
            "\n",
            r#"{"time": "2026-11-21T10:00:00.123456+00:00", "level": "ERROR", "msg": "bad", "level_": "x"}"#,
            "\n",
            r#"{"time": "2026-11-21T10:00:00.123456+00:00", "level": "WARNING", "msg": "careful"}"#,
            "\n",
            r#"{"time": "2026-11-21T10:00:00.123456+00:00", "level": "DEBUG", "msg": "Contents of a haven't changed"}"#,
            "\n",
            r#"{"time": "2026-11-21T10:00:00.123456+00:00", "level": "DEBUG", "msg": "shape"}"#,
            "\n",
            r#"{"time": "2026-11-21T10:00:00.123456+00:00", "level": "ERROR", "msg": "quiet only below this"}"#,
            "\n",
        );
        let log = captured(LogLevel::Trace, LogFormat::SidecarJson, say);
        assert_eq!(log, expected);
        assert!(log.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
    }

    #[test]
    fn logfmt_lines_are_pairs_in_the_same_order() {
        let expected = concat!(
            r#"time=2026-11-21T10:00:00.123456+00:00 level=INFO msg="file\nwritten" path=/rules/a.yaml bytes=3 change=-1 fresh=true why="a \"b\"""#,
            "\n",
            "time=2026-11-21T10:00:00.123456+00:00 level=ERROR msg=\"bad\" level_=x\n",
            "time=2026-11-21T10:00:00.123456+00:00 level=WARNING msg=\"careful\"\n",
            "time=2026-11-21T10:00:00.123456+00:00 level=ERROR msg=\"quiet only below this\"\n",
        );
        assert_eq!(captured(LogLevel::Info, LogFormat::Logfmt, say), expected);
    }

    #[test]
    fn an_output_keeps_out_what_is_less_severe_than_its_level() {
        let output = LogOutput { target: LogTarget::Stdout, format: Some(LogFormat::Logfmt), level: LogLevel::Warn };
        let plan = LogPlan { level: LogLevel::Debug, outputs: vec![output] };
        let log = captured_by(&LogSettings::planned(plan, LogFormat::SidecarJson, LogZone::Utc), || {
            tracing::warn!("in");
            tracing::info!("out");
        });
        assert_eq!(log, "time=2026-11-21T10:00:00.123456+00:00 level=WARNING msg=\"in\"\n");
    }

    #[test]
    fn files_get_lines_filtered_as_stderr_does_and_are_exchanged() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        let file = LogTarget::File { path: path.clone(), rotation: Some(Rotation { max_bytes: 100, backups: 1 }) };
        let output = LogOutput { target: file.clone(), format: Some(LogFormat::Logfmt), level: LogLevel::Trace };
        let log = LogSettings { outputs: vec![output], ..LogSettings::to_stderr(LogLevel::Trace, LogFormat::Text) };
        let now = || Timestamp::UNIX_EPOCH;
        let outlet = outlet(&file).unwrap();
        let output = lines(&log, &log.outputs[0], outlet.clone(), now);
        dispatcher::with_default(&dispatch(&log, vec![output]), || {
            tracing::info!("one");
            tracing::warn!(target: "kube_client::client", "canary");
            tracing::info!("two");
        });
        outlet.drain(Duration::from_secs(20));
        let line = |text: &str| format!("time=1970-01-01T00:00:00.000000+00:00 level=INFO msg=\"{text}\"\n");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), line("two"));
        assert_eq!(std::fs::read_to_string(folder.path().join("a.log.1")).unwrap(), line("one"));
    }

    #[test]
    fn a_log_file_that_cannot_be_opened_is_named() {
        let missing = LogTarget::File { path: "/nonexistent/a.log".into(), rotation: None };
        let error = outlet(&missing).err().map(|error| error.to_string());
        assert_eq!(error.as_deref(), Some("opening the log file /nonexistent/a.log"));
    }
}
