//! Text to value, one function per form. Each error says what would have been accepted, as the end of a sentence.

use std::borrow::Cow;
use std::net::IpAddr;

use crate::core::names;
use crate::core::object::Namespaces;
use crate::core::object::selector::Selector;

/// What would have been accepted: `three or four octal digits, for example 644`.
pub(crate) type Expected = Cow<'static, str>;

/// The spelling of METHOD, before SLEEP_TIME joins it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum MethodName {
    Watch,
    List,
    Sleep,
}

/// The words that are booleans.
pub(crate) const BOOLEANS: [(&str, bool); 6] = [("true", true), ("false", false), ("1", true), ("0", false), ("yes", true), ("no", false)];

pub(crate) fn boolean(text: &str) -> Result<bool, Expected> {
    choice(text, &BOOLEANS)
}

/// Any text.
pub(crate) fn text(text: &str) -> Result<String, Expected> {
    Ok(text.to_owned())
}

pub(crate) fn method(text: &str) -> Result<MethodName, Expected> {
    choice(text, &[("WATCH", MethodName::Watch), ("LIST", MethodName::List), ("SLEEP", MethodName::Sleep)])
}

/// Three or four octal digits.
pub(crate) fn mode(text: &str) -> Result<u32, Expected> {
    let is_octal = (3..=4).contains(&text.len()) && text.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
    let mode = u32::from_str_radix(text, 8).ok().filter(|_| is_octal);
    mode.ok_or(Cow::Borrowed("three or four octal digits, for example 644"))
}

pub(crate) fn selector(text: &str) -> Result<Selector, Expected> {
    Selector::parse(text).map_err(|_| Cow::Borrowed("a label selector, for example findme, a=1,!b or a in (1,2)"))
}

pub(crate) fn port(text: &str) -> Result<u16, Expected> {
    digits(text).ok_or(Cow::Borrowed("a port number from 0 (any free port) to 65535"))
}

/// As [`port`], of a dialect in which it may come to nothing.
pub(crate) fn some_port(text: &str) -> Result<Option<u16>, Expected> {
    port(text).map(Some)
}

/// An IP address, likewise.
pub(crate) fn some_ip_address(text: &str) -> Result<Option<IpAddr>, Expected> {
    text.parse().map(Some).map_err(|_| Cow::Borrowed("an IP address, for example 127.0.0.1 or ::"))
}

pub(crate) fn label_key(text: &str) -> Result<String, Expected> {
    accept(text, names::is_qualified_name, "a label key, for example findme or example.com/findme")
}

pub(crate) fn label_value(text: &str) -> Result<String, Expected> {
    accept(text, names::is_label_value, "a label value: up to 63 of A-Z a-z 0-9 . _ -, or nothing, with a letter or digit at both ends")
}

pub(crate) fn annotation_key(text: &str) -> Result<String, Expected> {
    accept(text, names::is_qualified_name, "an annotation key, for example example.com/folder")
}

pub(crate) fn instance(text: &str) -> Result<String, Expected> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let is_instance = |text: &str| (1..=63).contains(&text.len()) && text.bytes().all(is_plain);
    accept(text, is_instance, "1 to 63 of the characters A-Z a-z 0-9 . _ -")
}

/// As [`namespaces`], of a dialect in which there may be none.
pub(crate) fn some_namespaces(text: &str) -> Result<Option<Namespaces>, Expected> {
    namespaces(text).map(Some)
}

pub(crate) fn namespaces(text: &str) -> Result<Namespaces, Expected> {
    if text == "ALL" {
        return Ok(Namespaces::All);
    }
    let names = list(text);
    if names.is_empty() || !names.iter().all(|name| names::is_dns_label(name)) {
        return Err(Cow::Borrowed("ALL, or names of namespaces with commas between them, for example monitoring,default"));
    }
    Ok(Namespaces::Only(names))
}

pub(crate) fn finalizer(text: &str) -> Result<String, Expected> {
    accept(text, names::is_domain_qualified_name, "a domain and a name, for example example.com/rules")
}

pub(crate) fn finalizers(text: &str) -> Result<Vec<String>, Expected> {
    let names = list(text);
    if names.iter().all(|name| names::is_domain_qualified_name(name)) {
        return Ok(names);
    }
    Err(Cow::Borrowed("domains with names, with commas between them, for example example.com/rules,example.com/old-rules"))
}

/// Trimmed entries between commas, sorted, without duplicates and empty ones.
pub(crate) fn list(text: &str) -> Vec<String> {
    let mut entries: Vec<_> = text.split(',').map(str::trim).filter(|entry| !entry.is_empty()).map(str::to_owned).collect();
    entries.sort();
    entries.dedup();
    entries
}

pub(crate) fn accept(text: &str, is_valid: impl Fn(&str) -> bool, expected: &'static str) -> Result<String, Expected> {
    if is_valid(text) { Ok(text.to_owned()) } else { Err(Cow::Borrowed(expected)) }
}

/// A number in plain digits; `str::parse` alone would take a sign too.
fn digits<T: std::str::FromStr>(text: &str) -> Option<T> {
    text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
}

/// One of some words, in any case.
pub(crate) fn choice<T: Clone>(text: &str, choices: &[(&str, T)]) -> Result<T, Expected> {
    let found = choices.iter().find(|(word, _)| word.eq_ignore_ascii_case(text));
    found.map(|(_, value)| value.clone()).ok_or_else(|| Cow::Owned(alternatives(choices.iter().map(|(word, _)| *word))))
}

/// `a, b or c`
pub(crate) fn alternatives<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let words: Vec<_> = words.collect();
    match words.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => words.concat(),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::config::Config;
    use crate::config::read::log::{self, LogFormat, LogLevel};
    use crate::config::tests::read;
    use crate::core::object::Kind;
    use crate::core::policy::{Adopt, Durability, OnDelete, Precedence};

    pub(crate) fn check<T: PartialEq + std::fmt::Debug>(parse: impl Fn(&str) -> Result<T, Expected>, good: &[(&str, T)], bad: &[&str]) {
        for (text, expected) in good {
            assert_eq!(parse(text).as_ref(), Ok(expected), "{text:?}");
        }
        for text in bad {
            assert!(parse(text).is_err(), "{text:?} was accepted as {:?}", parse(text));
        }
    }

    #[test]
    fn booleans_take_six_words_in_any_case() {
        let good = [("true", true), ("False", false), ("1", true), ("0", false), ("YES", true), ("nO", false)];
        check(boolean, &good, &["", "on", "t", "2", " true", "truee"]);
        assert_eq!(boolean("on"), Err("true, false, 1, 0, yes or no".into()));
    }

    #[test]
    fn modes_have_three_or_four_octal_digits() {
        let good = [("644", 0o644), ("0440", 0o440), ("4755", 0o4755), ("000", 0)];
        check(mode, &good, &["", "9x9", "888", "64", "06440", "+64", "-64", "0o644", " 644"]);
    }

    #[test]
    fn ports_and_addresses() {
        check(port, &[("0", 0), ("65535", 65535)], &["65536", "-1", "+80", "http", ""]);
        let good = [("::", "::".parse().ok()), ("10.0.0.1", "10.0.0.1".parse().ok())];
        check(some_ip_address, &good, &["localhost", "[::]", "10.0.0.1:80", "*"]);
    }

    /// What a setting becomes of a text.
    fn of<T>(name: &str, value: impl Fn(Config) -> T) -> impl Fn(&str) -> Result<T, Expected> {
        move |text| read(&[(name, text)]).map(&value).map_err(|problems| problems.join("\n").into())
    }

    #[test]
    fn words_are_taken_in_any_case() {
        let good = [("watch", MethodName::Watch), ("List", MethodName::List), ("SLEEP", MethodName::Sleep)];
        check(method, &good, &["FOO", "", "LISTS"]);
        let good = [("Both", Kind::ALL.to_vec()), ("SECRET", vec![Kind::Secret]), ("configmap", vec![Kind::ConfigMap])];
        check(of("RESOURCE", |config| config.kinds), &good, &["configmaps", "all"]);
        let conflict = of("CONFLICT", |config| config.ownership.conflict);
        check(conflict, &[("Oldest", Precedence::Oldest), ("newest", Precedence::Newest)], &["old"]);
        let good = [("overwrite", Adopt::Overwrite), ("EQUAL", Adopt::Equal), ("never", Adopt::Never)];
        check(of("ADOPT", |config| config.ownership.adopt), &good, &["no"]);
        let good = [("none", Durability::None), ("Each", Durability::Each), ("batch", Durability::Batch)];
        check(of("DURABILITY", |config| config.files.durability), &good, &["all"]);
        let on_delete = of("ON_DELETE", |config| config.on_delete);
        check(on_delete, &[("Keep", OnDelete::Keep), ("remove", OnDelete::Remove)], &["delete"]);
        let good = [
            ("ERROR", LogLevel::Error),
            ("warn", LogLevel::Warn),
            ("Warning", LogLevel::Warn),
            ("info", LogLevel::Info),
            ("debug", LogLevel::Debug),
            ("TRACE", LogLevel::Trace),
        ];
        check(log::level, &good, &["warnings", "fatal", "kube_client=trace", "2"]);
        check(log::format, &[("JSON", LogFormat::Json), ("text", LogFormat::Text)], &["logfmt"]);
    }

    #[test]
    fn namespaces_are_all_or_a_sorted_list() {
        let only = |names: &[&str]| Namespaces::Only(names.iter().map(|name| (*name).to_owned()).collect());
        let good = [("ALL", Namespaces::All), ("a", only(&["a"])), ("all", only(&["all"])), (" b ,a,, b,", only(&["a", "b"]))];
        check(namespaces, &good, &["ALL,a", ",", " ", "a b", "A", "a.b", "a,-b"]);
    }

    #[test]
    fn finalizers_are_lists_of_qualified_names() {
        let good = [("b.dev/x, a.dev/y,b.dev/x", vec!["a.dev/y".to_owned(), "b.dev/x".to_owned()]), (",", vec![])];
        check(finalizers, &good, &["orphan", "a.dev/x,orphan", "a.dev/x b.dev/y"]);
    }

    #[test]
    fn instances_are_short_plain_names() {
        let longest = "i".repeat(63);
        check(instance, &[("Az0._-", "Az0._-".to_owned()), (&longest, longest.clone())], &["", "a/b", "a b", "ä", &format!("{longest}i")]);
    }
}
