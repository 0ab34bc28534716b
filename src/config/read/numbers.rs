//! Numbers and their bounds: what is more than the most is cut to it, with a warning. No clock overflows by a setting.

use std::borrow::Cow;
use std::time::Duration;

use crate::config::read::form::Remarked;
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
pub(crate) const DAY: u32 = 86_400;
/// A year, in seconds.
pub(crate) const YEAR: u32 = 365 * DAY;
/// More retries than anybody waits for.
pub(crate) const RETRIES: u32 = 1_000_000;

/// Longest part of a number that a warning repeats, in characters.
const SHOWN_MAX: usize = 24;

/// Bounds from the least to the most.
pub(crate) const fn from(least: u32, most: u32) -> Bounds {
    Bounds { least, most }
}

/// A number within its bounds, and whether more was asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Number<T> {
    value: T,
    cut: bool,
}

impl<T> Number<T> {
    /// The number, and a word on what was cut.
    pub(crate) fn remarked(self, text: &str, bounds: Bounds) -> Remarked<T> {
        let shown = shortened(text, SHOWN_MAX);
        (self.value, self.cut.then(|| format!("={shown} is more than {}, which is used", bounds.most)))
    }
}

/// So many characters of a text at most, and a mark where there are more.
pub(crate) fn shortened(text: &str, longest: usize) -> String {
    let mut shown: String = text.chars().take(longest).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
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

fn expected(what: &str, bounds: Bounds, example: &str) -> Expected {
    Cow::Owned(format!("{what} from {} to {}, for example {example}", bounds.least, bounds.most))
}

#[cfg(test)]
#[path = "numbers_tests.rs"]
mod tests;
