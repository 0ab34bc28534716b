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
        let (shown, most) = (shortened(text, SHOWN_MAX), most(text, bounds));
        (self.value, self.cut.then(|| format!("={shown} is more than {most}, which is used")))
    }
}

/// The most that a number may be, with the unit where the text has one.
fn most(text: &str, bounds: Bounds) -> String {
    let unit = if text.ends_with(|last: char| last.is_ascii_lowercase()) { " seconds" } else { "" };
    format!("{}{unit}", bounds.most)
}

/// So many characters of a text at most, and a mark where there are more.
pub(crate) fn shortened(text: &str, longest: usize) -> String {
    let mut shown: String = text.chars().take(longest).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

/// Whole seconds, as a number of them or as a time.
pub(crate) fn seconds(text: &str, bounds: Bounds) -> Result<Number<Duration>, Expected> {
    let whole = whole(text, bounds).map(|Number { value, cut }| Number { value: Duration::from_secs(value.into()), cut });
    let time = || time(text, bounds).filter(|time| time.value.subsec_nanos() == 0);
    whole.or_else(time).ok_or_else(|| expected("a whole number of seconds", bounds, "60, 5m or 1h30m"))
}

/// Seconds with a fraction or an exponent, or a time.
pub(crate) fn decimal_seconds(text: &str, bounds: Bounds) -> Result<Number<Duration>, Expected> {
    // Only these, and a digit first: no sign, and none of the words that mean a number too.
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-'));
    let begins = text.starts_with(|first: char| first.is_ascii_digit() || first == '.');
    let given: Option<f64> = text.parse().ok().filter(|given| is_plain && begins && *given >= f64::from(bounds.least));
    let cut = given.is_some_and(|given| given > f64::from(bounds.most));
    let value = given.and_then(|given| Duration::try_from_secs_f64(given.min(f64::from(bounds.most))).ok());
    let number = value.map(|value| Number { value, cut });
    number.or_else(|| time(text, bounds)).ok_or_else(|| expected("a number of seconds", bounds, "10, 0.5, 250ms or 1h30m"))
}

/// Units of times and how many nanoseconds each has, in the order in which a time names them.
const UNITS: [(&str, u64); 5] =
    [("d", 86_400_000_000_000), ("h", 3_600_000_000_000), ("m", 60_000_000_000), ("s", SECOND), ("ms", 1_000_000)];
/// Nanoseconds.
const SECOND: u64 = 1_000_000_000;

/// A time such as `1h30m`, `1.5h` or `250ms`: numbers with units, larger ones first, each at most once.
fn time(text: &str, bounds: Bounds) -> Option<Number<Duration>> {
    let (mut rest, mut units, mut nanoseconds) = (text, UNITS.as_slice(), 0_u128);
    while !rest.is_empty() {
        let after_number = rest.trim_start_matches(|next: char| next.is_ascii_digit() || next == '.');
        let number = rest.strip_suffix(after_number)?;
        rest = after_number.trim_start_matches(|next: char| next.is_ascii_lowercase());
        let unit = after_number.strip_suffix(rest)?;
        let at = units.iter().position(|(name, _)| *name == unit)?;
        nanoseconds = nanoseconds.saturating_add(amount(number, units.get(at)?.1)?);
        units = units.get(at + 1..)?;
    }
    let (seconds, left) = (nanoseconds / u128::from(SECOND), nanoseconds % u128::from(SECOND));
    let given = Duration::new(u64::try_from(seconds).unwrap_or(u64::MAX), u32::try_from(left).ok()?);
    let [least, most] = [bounds.least, bounds.most].map(|bound| Duration::from_secs(bound.into()));
    (!text.is_empty() && given >= least).then_some(Number { value: given.min(most), cut: given > most })
}

/// So many nanoseconds as a number of a unit is: digits, and perhaps a point and digits, of which nine count.
fn amount(number: &str, unit: u64) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let is_plain = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !is_plain(whole) || !is_plain(fraction) {
        return None;
    }
    let fraction: u64 = format!("{fraction:0<9.9}").parse().ok()?;
    let whole: u64 = whole.parse().unwrap_or(u64::MAX);
    Some(u128::from(whole) * u128::from(unit) + u128::from(fraction) * u128::from(unit) / u128::from(SECOND))
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
