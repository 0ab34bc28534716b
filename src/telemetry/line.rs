//! The sidecar's forms of a line: `{"time": …, "level": …, "msg": …}` and logfmt, with our fields behind these three.

use std::fmt::{self, Write as _};

use jiff::Timestamp;
use jiff::fmt::temporal::DateTimePrinter;
use jiff::tz::TimeZone;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Which of the two forms.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum LineForm {
    /// One JSON object a line.
    Json,
    /// `name=value` pairs.
    Logfmt,
}

/// Writes lines of the sidecar's forms. Spans are left out: we use none.
pub(crate) struct SidecarFormat {
    /// Which form.
    pub(crate) form: LineForm,
    /// The zone of times.
    pub(crate) zone: TimeZone,
    /// The clock.
    pub(crate) now: fn() -> Timestamp,
}

impl<S, N> FormatEvent<S, N> for SidecarFormat
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut fields = LineFields { form: self.form, message: String::new(), rest: String::new() };
        event.record(&mut fields);
        let time = time((self.now)(), &self.zone);
        let level = python_name(*event.metadata().level());
        let LineFields { message, rest, .. } = fields;
        match self.form {
            LineForm::Json => writeln!(writer, r#"{{"time": "{time}", "level": "{level}", "msg": {}{rest}}}"#, json(&message)),
            LineForm::Logfmt => writeln!(writer, "time={time} level={level} msg={}{rest}", json(&message)),
        }
    }
}

/// ISO 8601 with microseconds and the zone's offset.
fn time(now: Timestamp, zone: &TimeZone) -> String {
    DateTimePrinter::new().precision(Some(6)).timestamp_with_offset_to_string(&now, zone.to_offset(now))
}

/// Python knows nothing below DEBUG.
fn python_name(level: Level) -> &'static str {
    match level {
        Level::ERROR => "ERROR",
        Level::WARN => "WARNING",
        Level::INFO => "INFO",
        _ => "DEBUG",
    }
}

/// An event's message, and its other fields as they end the line.
struct LineFields {
    form: LineForm,
    message: String,
    rest: String,
}

impl LineFields {
    fn text(&mut self, field: &Field, text: &str) {
        match (field.name(), self.form) {
            ("message", _) => text.clone_into(&mut self.message),
            (_, LineForm::Json) => self.put(field, &json(text)),
            (_, LineForm::Logfmt) => self.put(field, &value(text)),
        }
    }

    fn put(&mut self, field: &Field, value: &str) {
        // No field may stand in for one of the first three.
        let taken = matches!(field.name(), "time" | "level" | "msg");
        let (name, mark) = (field.name(), if taken { "_" } else { "" });
        let _ = match self.form {
            LineForm::Json => write!(self.rest, ", {}: {value}", json(&format!("{name}{mark}"))),
            LineForm::Logfmt => write!(self.rest, " {name}{mark}={value}"),
        };
    }
}

impl Visit for LineFields {
    fn record_str(&mut self, field: &Field, text: &str) {
        self.text(field, text);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field, &format!("{value:?}"));
    }

    fn record_i64(&mut self, field: &Field, number: i64) {
        self.put(field, &number.to_string());
    }

    fn record_u64(&mut self, field: &Field, number: u64) {
        self.put(field, &number.to_string());
    }

    fn record_bool(&mut self, field: &Field, fact: bool) {
        self.put(field, if fact { "true" } else { "false" });
    }
}

/// A JSON string.
fn json(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A logfmt value: bare where that is unambiguous, else between quotes, where JSON's escapes are those of logfmt.
fn value(text: &str) -> String {
    let bare = |character: char| !character.is_whitespace() && !character.is_control() && !matches!(character, '"' | '=' | '\\');
    if !text.is_empty() && text.chars().all(bare) { text.to_owned() } else { json(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_microseconds_and_the_offset_of_their_zone() {
        let now: Timestamp = "2026-07-01T23:30:05.000123456Z".parse().unwrap();
        let check = |zone: &str, expected: &str| assert_eq!(time(now, &TimeZone::posix(zone).unwrap()), expected, "{zone}");
        check("UTC0", "2026-07-01T23:30:05.000123+00:00");
        check("CET-1CEST,M3.5.0,M10.5.0/3", "2026-07-02T01:30:05.000123+02:00");
        check("<-0330>3:30", "2026-07-01T20:00:05.000123-03:30");
    }

    #[test]
    fn logfmt_values_are_quoted_where_they_must_be() {
        let values = ["/rules/a.yaml", "", "a b", "a=b", "say \"x\"", "two\nlines", "ä", "c:\\d"].map(value);
        assert_eq!(values, ["/rules/a.yaml", "\"\"", "\"a b\"", "\"a=b\"", "\"say \\\"x\\\"\"", "\"two\\nlines\"", "ä", "\"c:\\\\d\""]);
    }
}
