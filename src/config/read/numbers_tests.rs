//! S12: numbers of any size.

use std::time::Instant;

use proptest::prelude::*;

use super::*;
use crate::config::Arguments;
use crate::config::profiles::PROFILES;
use crate::config::read::exec::ExecSettings;
use crate::config::read::parse::tests::check;
use crate::config::setting::Fallback;
use crate::config::table::SETTINGS;
use crate::config::tests::{LEAST, exactly, read};
use crate::config::{Config, Method};
use crate::core::policy::Batching;

const SOME: Bounds = Bounds { least: 1, most: 100 };
const ANY: Bounds = Bounds { least: 0, most: 100 };

fn is<T>(value: T) -> Number<T> {
    Number { value, cut: false }
}

fn cut<T>(value: T) -> Number<T> {
    Number { value, cut: true }
}

#[test]
fn whole_numbers_are_plain_digits_of_any_length() {
    let time = Duration::from_secs;
    let huge = "9".repeat(400);
    check(|text| seconds(text, ANY), &[("0", is(time(0))), ("007", is(time(7))), (&huge, cut(time(100)))], &["", "-1", "+5", "1.5"]);
    check(|text| seconds(text, SOME), &[("1", is(time(1))), ("101", cut(time(100)))], &["0", "00", "x", " 1", "1e3", "NaN"]);
    check(|text| count(text, ANY), &[("100", is(100)), ("18446744073709551616", cut(100))], &["", "-0", "1.0", "inf"]);
    assert_eq!(seconds("x", SOME), Err("a whole number of seconds from 1 to 100, for example 60, 5m or 1h30m".into()));
    assert_eq!(decimal_seconds("x", ANY), Err("a number of seconds from 0 to 100, for example 10, 0.5, 250ms or 1h30m".into()));
}

/// What is no time, wherever one is taken.
const NO_TIMES: &[&str] = &[
    "m", "s", ".s", "1.s", ".5s", "1..5s", "1.5.5s", "5 m", " 5m", "5m ", "-5m", "+5m", "5m-1s", "1h30", "30m1h", "1m1m", "1ms1s", "5M",
    "5min", "5sec", "1w", "1y", "5us", "5ns", "5µs", "1e3s", "0x5s", "5m,1s", "PT5M", "٥m", "5ｍ", "1s\0",
];

#[test]
fn a_time_has_numbers_with_units_larger_ones_first() {
    const LONG: Bounds = from(0, YEAR);
    let time = |seconds, milliseconds: u64| is(Duration::from_secs(seconds) + Duration::from_millis(milliseconds));
    let whole = [
        ("5m", time(300, 0)),
        ("1h30m", time(5_400, 0)),
        ("1.5h", time(5_400, 0)),
        ("10s", time(10, 0)),
        ("0s", time(0, 0)),
        ("0m0s", time(0, 0)),
        ("007s", time(7, 0)),
        ("2000ms", time(2, 0)),
        ("1d2h3m4s", time(93_784, 0)),
        ("0.5m", time(30, 0)),
    ];
    let fractions = [
        ("250ms", time(0, 250)),
        ("1s1ms", time(1, 1)),
        ("1.5s", time(1, 500)),
        ("0.25s", time(0, 250)),
        ("0.0000000019s", is(Duration::from_nanos(1))),
    ];
    check(|text| seconds(text, LONG), &whole, &[NO_TIMES, &["250ms", "1.5s", "1m1ms"]].concat());
    check(|text| decimal_seconds(text, LONG), &[&whole[..], &fractions].concat(), NO_TIMES);
    let bounded = [("100s", is(Duration::from_secs(100))), ("1m41s", cut(Duration::from_secs(100))), ("1h", cut(Duration::from_secs(100)))];
    let endless = format!("{}d", "9".repeat(400));
    check(|text| seconds(text, SOME), &[&bounded[..], &[(&endless, cut(Duration::from_secs(100)))]].concat(), &["0s", "999ms"]);
    check(|text| decimal_seconds(text, SOME), &bounded, &["0s", "999ms", "0.999s"]);
    // What is counted is no time.
    check(|text| count(text, SOME), &[], &["5m", "5s"]);
}

#[test]
fn every_setting_that_takes_seconds_takes_a_time() {
    let (mut tried, given) = (0, [("OBJECT", "configmap/n/a"), ("EXEC_LABELS", "a"), ("EXEC_COMMAND", "x"), ("SCRIPT", "/s")]);
    for setting in SETTINGS.iter().filter(|setting| setting.bounds.is_some() && setting.meaning.contains("econds")) {
        for (time, same) in [("90s", "90"), ("1m30s", "90"), ("0.5h", "1800")] {
            let [of_time, of_number] = [time, same].map(|text| read(&[&[(setting.name, text)], &given[..]].concat()));
            let [of_time, of_number] = [of_time, of_number].map(|config| config.map(|config| Config { warnings: vec![], ..config }));
            assert_eq!(of_time, of_number, "{}={time}", setting.name);
            assert!(of_time.is_ok(), "{of_time:?}");
            tried += 1;
        }
    }
    assert_eq!(tried, 3 * 16, "settings that take seconds");
}

#[test]
fn decimal_numbers_have_a_fraction_or_an_exponent() {
    let time = Duration::from_millis;
    let good = [
        ("0.5", is(time(500))),
        (".5", is(time(500))),
        ("5e-1", is(time(500))),
        ("9e18", cut(time(100_000))),
        ("1e999", cut(time(100_000))),
    ];
    check(
        |text| decimal_seconds(text, ANY),
        &good,
        &["", ".", "e5", "-1", "-0.1", "+1", "NaN", "nan", "inf", "infinity", "1e", "1 ", "0x1"],
    );
}

#[test]
fn s12_a_number_that_is_too_large_is_cut_with_one_warning_that_names_it() {
    let config = read(&[("REACT_WINDOW", "9e18"), ("SLEEP_TIME", &"9".repeat(99)), ("REACT_JITTER", "25h")]).unwrap();
    assert_eq!((config.timing.batching, config.poll), (Batching::Window(Duration::from_secs(86_400)), Duration::from_secs(31_536_000)));
    let expected = [
        "SLEEP_TIME=999999999999999999999999… is more than 31536000, which is used",
        "REACT_WINDOW=9e18 is more than 86400, which is used",
        "REACT_JITTER=25h is more than 86400 seconds, which is used",
    ];
    assert_eq!(
        config.warnings.iter().filter(|warning| warning.contains(" is more than ")).collect::<Vec<_>>(),
        expected.iter().collect::<Vec<_>>()
    );
    for (name, value) in [("REACT_WINDOW", "NaN"), ("KILL_TIMEOUT", "-1"), ("REQ_TIMEOUT", "inf"), ("SLEEP_TIME", "0")] {
        let problems = read(&[(name, value)]).unwrap_err();
        assert!(problems.len() == 1 && problems[0].starts_with(&format!("{name}=\"{value}\": expected a ")), "{problems:?}");
    }
}

#[test]
fn s12_every_setting_that_takes_a_number_alone_has_bounds() {
    // Of a mode, a port, and what is said to be without effect the bounds are in the form.
    let others = ["DEFAULT_FILE_MODE", "FOLDER_MODE", "HEALTH_PORT", "ERROR_THROTTLE_SLEEP"];
    for setting in SETTINGS.iter().filter(|setting| !others.contains(&setting.name)) {
        let is_number = matches!(setting.default, Fallback::Value(text) if text.parse::<f64>().is_ok());
        assert_eq!(setting.bounds.is_some(), is_number, "{}", setting.name);
        if let (Fallback::Value(text), Some(Bounds { least, most })) = (setting.default, setting.bounds) {
            let value: f64 = text.parse().unwrap();
            assert!(f64::from(least) <= value && value <= f64::from(most), "{}", setting.name);
        }
    }
}

/// Every time in a configuration.
fn times(config: &Config) -> Vec<Duration> {
    let Config { poll, downloads, web, script, triggers, child, resync, watch_server_timeout, watch_client_timeout, .. } = config;
    let mut times = vec![*poll, web.timeout, web.answer_timeout, web.retry.backoff, *watch_server_timeout, *watch_client_timeout];
    times.extend(downloads.refresh.iter().chain(resync).chain(script.as_ref().map(|script| &script.timeout)));
    times.extend(triggers.pods.as_ref().map(|pods| pods.delay).into_iter().chain(triggers.secrets.as_ref().map(|secrets| secrets.delay)));
    times.extend(child.as_ref().map(|child| child.kill_timeout));
    times.extend(config.health.and_then(|health| health.stale_after));
    times.extend(config.exec.as_ref().map(|ExecSettings { timeout, .. }| *timeout));
    times.extend(match config.timing.batching {
        Batching::Window(window) => Some(window),
        Batching::Each => None,
    });
    times.extend(match config.method {
        Method::Sleep(pause) => Some(pause),
        Method::Watch | Method::List => None,
    });
    times
}

/// Numbers of all sizes, what is nearly one, words that mean something, and noise.
fn value() -> impl Strategy<Value = String> {
    let numbers = (any::<u64>(), -400..400_i32).prop_map(|(digits, exponent)| format!("{digits}e{exponent}"));
    const WORDS: &[&str] = &[
        "",
        "-1",
        "NaN",
        "inf",
        "1e300",
        "9e18",
        "1h30m",
        "0.001ms",
        "99999999999999999999d",
        "true",
        "ALL",
        "a",
        "a=b",
        "a/b",
        "SLEEP",
        "LIST",
        "newest",
        "http://h/x",
        "[\"a\"]",
        "HUP",
    ];
    let noise = proptest::collection::vec(any::<char>(), 0..12).prop_map(String::from_iter);
    let many = (0..60_usize).prop_map(|length| "9".repeat(length));
    prop_oneof![
        any::<u64>().prop_map(|number| number.to_string()),
        any::<f64>().prop_map(|number| number.to_string()),
        numbers,
        many,
        proptest::sample::select(WORDS).prop_map(str::to_owned),
        noise
    ]
}

proptest! {
    #[test]
    fn s12_no_value_of_any_setting_panics_and_every_time_fits_a_clock(
        given in proptest::collection::vec((0..SETTINGS.len(), value()), 0..6),
        profile in 0..PROFILES.len(),
        has_child in any::<bool>(),
    ) {
        let least = [("PROFILE", PROFILES[profile].name), ("OBJECT", "configmap/n/a"), ("EXEC_LABELS", "a"), ("EXEC_NAMESPACE", "n")];
        let more = [("EXEC_COMMAND", "x"), ("WATCH_PODS_LABELS", "a"), ("SCRIPT", "/s"), ("REQ_URL", "http://h/")];
        let given: Vec<(&str, &str)> = given.iter().map(|(index, value)| (SETTINGS[*index].name, value.as_str())).collect();
        let child = if has_child { vec!["x".into()] } else { vec![] };
        let arguments = Arguments { child, ..Arguments::default() };
        let one_by_one = given.iter().map(std::slice::from_ref).chain([&given[..]]);
        for vars in one_by_one {
            // The first value of a name counts.
            if let Ok(config) = exactly(&[vars, &least, &more, &LEAST].concat(), &arguments) {
                for time in times(&config) {
                    prop_assert!(Instant::now().checked_add(time * 10).is_some() && time * 10 <= Duration::from_secs(10 * 366 * 86_400), "{time:?}");
                }
            }
        }
    }
}
