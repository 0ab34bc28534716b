//! The log: where lines go, their form, and a filter that no setting can open.
//!
//! Our own lines follow LOG_LEVEL. Dependencies speak at WARN at most, and those that handle requests and bodies at ERROR:
//! kube's client prints whole bodies at WARN when it cannot decode them, and URLs at DEBUG. This module never reads the environment.

use std::io;

use tracing::level_filters::LevelFilter;
use tracing::{Dispatch, dispatcher};
use tracing_subscriber::Layer;
use tracing_subscriber::Registry;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;

use crate::config::{Log, LogFormat, LogLevel};

/// Targets of our own lines: this crate and its modules.
const OWN: &str = "kube_projector";
/// Beginnings of targets whose lines may hold bodies, URLs or names of hosts.
const QUIET: [&str; 6] = ["kube_client", "kube_runtime", "hyper", "rustls", "tower", "h2"];

/// Why no log could be set up.
#[derive(thiserror::Error, Debug)]
#[error("installing the log")]
pub struct Error(#[from] dispatcher::SetGlobalDefaultError);

/// Sends log lines of the whole process to stderr from now on.
///
/// # Errors
/// If the process has a log already.
pub fn init(log: &Log) -> Result<(), Error> {
    Ok(dispatcher::set_global_default(dispatch(log, io::stderr))?)
}

/// A subscriber that writes lines of this form to `writer`, filtered as the module says.
fn dispatch<W>(log: &Log, writer: W) -> Dispatch
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    // Without colours: escape codes do not belong in a log that a collector reads.
    let lines = fmt::layer().with_writer(writer).with_ansi(false);
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match log.format {
        LogFormat::Text => lines.compact().boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(false).boxed(),
    };
    Dispatch::new(tracing_subscriber::registry().with(lines).with(filter(log.level)))
}

fn filter(level: LogLevel) -> Targets {
    let level = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target(OWN, level)
        .with_targets(QUIET.map(|target| (target, LevelFilter::ERROR)))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use tracing::Level;

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

    fn captured(level: LogLevel, format: LogFormat, act: impl FnOnce()) -> String {
        let captured = Captured::default();
        let writer = captured.clone();
        dispatcher::with_default(&dispatch(&Log { level, format }, move || writer.clone()), act);
        String::from_utf8(captured.0.lock().unwrap().clone()).unwrap()
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
            for target in ["kube_client::client", "kube_runtime", "hyper", "hyper_util::client", "rustls", "tower_http", "h2::proto"] {
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
}
