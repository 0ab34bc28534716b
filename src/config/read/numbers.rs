//! Numbers and their bounds: what is more than the most is cut to it, with a warning. No clock overflows by a setting.

use std::borrow::Cow;
use std::time::Duration;

use crate::config::read::Reader;
use crate::config::read::parse::Expected;

/// What a number may be. Less has no meaning, more means the most.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Bounds {
    /// The least.
    pub(crate) least: u32,
    /// The most: a clock that ten times this is added to does not overflow.
    pub(crate) most: u32,
}

/// A day, in seconds.
const DAY: u32 = 86_400;
/// A year, in seconds.
const YEAR: u32 = 365 * DAY;
/// More retries than anybody waits for.
const RETRIES: u32 = 1_000_000;

/// The bounds of every setting that is a number. Ports and modes have forms of their own.
const BOUNDS: [(&str, Bounds); 23] = [
    ("SOURCE_SETTLE", Bounds { least: 0, most: DAY }),
    ("SLEEP_TIME", Bounds { least: 1, most: YEAR }),
    ("RESYNC", Bounds { least: 0, most: YEAR }),
    ("URL_MAX_BYTES", Bounds { least: 0, most: u32::MAX }),
    ("REQ_TIMEOUT", Bounds { least: 0, most: DAY }),
    ("REQ_ANSWER_TIMEOUT", Bounds { least: 0, most: DAY }),
    ("REQ_RETRY_TOTAL", Bounds { least: 0, most: RETRIES }),
    ("REQ_RETRY_CONNECT", Bounds { least: 0, most: RETRIES }),
    ("REQ_RETRY_READ", Bounds { least: 0, most: RETRIES }),
    ("REQ_RETRY_BACKOFF_FACTOR", Bounds { least: 0, most: 120 }),
    ("SCRIPT_TIMEOUT", Bounds { least: 1, most: YEAR }),
    ("SCRIPT_RETRIES", Bounds { least: 0, most: RETRIES }),
    ("EXEC_TIMEOUT", Bounds { least: 1, most: DAY }),
    ("EXEC_RETRIES", Bounds { least: 0, most: RETRIES }),
    ("EXEC_CONCURRENCY", Bounds { least: 1, most: 1000 }),
    ("EXEC_DELAY", Bounds { least: 0, most: DAY }),
    ("EXEC_SECRET_DELAY", Bounds { least: 0, most: DAY }),
    ("KILL_TIMEOUT", Bounds { least: 0, most: YEAR }),
    ("REACT_WINDOW", Bounds { least: 0, most: DAY }),
    ("REACT_JITTER", Bounds { least: 0, most: DAY }),
    ("WATCH_SERVER_TIMEOUT", Bounds { least: 1, most: YEAR }),
    ("WATCH_CLIENT_TIMEOUT", Bounds { least: 1, most: YEAR }),
    ("HEALTH_STALE_AFTER", Bounds { least: 0, most: YEAR }),
];

/// Longest part of a number that a warning repeats, in characters.
const SHOWN_MAX: usize = 24;

/// A number within its bounds, and whether more was asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Number<T> {
    value: T,
    cut: bool,
}

/// How a number is read.
pub(crate) type Form<T> = fn(&str, Bounds) -> Result<Number<T>, Expected>;

impl Reader<'_> {
    /// A number that is required or has a default.
    pub(crate) fn number<T>(&mut self, name: &'static str, given: &Option<String>, form: Form<T>) -> Option<T> {
        let number = self.value(name, given, |text| form(text, bounds(name)))?;
        Some(self.taken(name, given, number))
    }

    /// A number that has a default in some profiles, and may be absent in others: `Some(None)`.
    pub(crate) fn defaulted_number<T>(&mut self, name: &'static str, given: &Option<String>, form: Form<T>) -> Option<Option<T>> {
        let number = self.defaulted(name, given, |text| form(text, bounds(name)))?;
        Some(number.map(|number| self.taken(name, given, number)))
    }

    fn taken<T>(&mut self, name: &'static str, given: &Option<String>, number: Number<T>) -> T {
        if let Some(text) = given.as_deref().filter(|_| number.cut) {
            let mut shown: String = text.chars().take(SHOWN_MAX).collect();
            if shown.len() < text.len() {
                shown.push('…');
            }
            let (subject, most) = (self.subject(name), bounds(name).most);
            self.warnings.push(format!("{subject}={shown} is more than {most}, which is used"));
        }
        number.value
    }
}

/// The bounds of a setting that is a number.
pub(crate) fn bounds_of(name: &str) -> Option<Bounds> {
    BOUNDS.iter().find(|(known, _)| *known == name).map(|(_, bounds)| *bounds)
}

/// Whole seconds.
pub(crate) fn seconds(text: &str, bounds: Bounds) -> Result<Number<Duration>, Expected> {
    let whole = whole(text, bounds).ok_or_else(|| expected("a whole number of seconds", bounds, "60"))?;
    Ok(Number { value: Duration::from_secs(whole.value.into()), cut: whole.cut })
}

/// Seconds with a fraction, or an exponent.
pub(crate) fn decimal_seconds(text: &str, bounds: Bounds) -> Result<Number<Duration>, Expected> {
    // Only these, and a digit first: no sign, and none of the words that mean a number too.
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-'));
    let begins = text.starts_with(|first: char| first.is_ascii_digit() || first == '.');
    let given: Option<f64> = text.parse().ok().filter(|given| is_plain && begins && *given >= f64::from(bounds.least));
    let cut = given.is_some_and(|given| given > f64::from(bounds.most));
    let value = given.and_then(|given| Duration::try_from_secs_f64(given.min(f64::from(bounds.most))).ok());
    value.map(|value| Number { value, cut }).ok_or_else(|| expected("a number of seconds", bounds, "10 or 0.5"))
}

/// A whole number of anything.
pub(crate) fn count(text: &str, bounds: Bounds) -> Result<Number<u32>, Expected> {
    whole(text, bounds).ok_or_else(|| expected("a whole number", bounds, "5"))
}

/// A time, of which zero means that the thing never happens.
pub(crate) fn never_if_zero(time: Duration) -> Option<Duration> {
    Some(time).filter(|time| !time.is_zero())
}

/// Plain digits, however many.
fn whole(text: &str, bounds: Bounds) -> Option<Number<u32>> {
    let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // What is too large for the type is too large for the bounds.
    let given: u64 = is_plain.then(|| text.parse().unwrap_or(u64::MAX))?;
    let value = u32::try_from(given).unwrap_or(u32::MAX).min(bounds.most);
    (value >= bounds.least).then_some(Number { value, cut: given > bounds.most.into() })
}

fn bounds(name: &str) -> Bounds {
    // Never without: a test has it that every number is in the table.
    bounds_of(name).unwrap_or(Bounds { least: 0, most: DAY })
}

fn expected(what: &str, bounds: Bounds, example: &str) -> Expected {
    Cow::Owned(format!("{what} from {} to {}, for example {example}", bounds.least, bounds.most))
}

#[cfg(test)]
#[path = "numbers_tests.rs"]
mod tests;
