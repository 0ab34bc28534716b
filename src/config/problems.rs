//! What is wrong with the settings: every problem at once, one line each.

use std::fmt;

use crate::config::read::numbers::shortened;
use crate::config::setting::Setting;
use crate::config::table;

/// Longest value that a problem repeats, in characters.
const VALUE_MAX: usize = 120;

/// Every problem with the settings that were given, in the order of the table. Not empty.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problems(Vec<Problem>);

/// One setting that cannot be used as it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Problem {
    subject: String,
    expected: String,
    position: usize,
}

impl Problems {
    /// The problems in the order of the table.
    pub(crate) fn new(mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|problem| problem.position);
        Self(problems)
    }

    /// One problem after the other; each displays as one line.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }
}

impl fmt::Display for Problems {
    /// One line each, without a line break at the end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            let line_break = if index == 0 { "" } else { "\n" };
            write!(f, "{line_break}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

impl Problem {
    /// A value that is not of the form that its setting takes. `subject` is the variable or flag that gave it.
    pub(crate) fn value(setting: &'static Setting, subject: &str, value: &str, expected: &str) -> Self {
        let value = if table::SECRETS.contains(&setting.name) || holds_url(value) { "***" } else { value };
        let shown = shortened(value, VALUE_MAX);
        Self { subject: format!("{subject}={shown:?}"), expected: format!("expected {expected}"), position: position(setting) }
    }

    /// A setting that is needed and has neither a value nor a default. `subject` is what would have given it.
    pub(crate) fn missing(setting: &'static Setting, subject: &str) -> Self {
        let flag = setting.flag.filter(|_| subject == setting.name).map(|flag| format!(" (or {})", flag.name)).unwrap_or_default();
        let expected = format!("{}{flag}", lower_fragment(setting.meaning));
        Self { subject: format!("{subject} is required"), expected, position: position(setting) }
    }

    /// Whether it is a problem of this setting.
    pub(crate) fn is_about(&self, setting: &'static Setting) -> bool {
        self.position == position(setting)
    }

    /// Anything else that stands in the way of using what was given.
    pub(crate) fn other(setting: &'static Setting, expected: impl Into<String>) -> Self {
        Self { subject: setting.name.to_owned(), expected: expected.into(), position: position(setting) }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.subject, self.expected)
    }
}

/// Whether a URL stands in it that is more than an origin.
fn holds_url(value: &str) -> bool {
    value.split("://").skip(1).any(|rest| rest.contains(['/', '?', '#', '@', '\\']))
}

fn position(setting: &'static Setting) -> usize {
    table::SETTINGS.iter().position(|other| other.name == setting.name).unwrap_or(usize::MAX)
}

/// The first sentence of a meaning, as a fragment: lower case, no full stop.
fn lower_fragment(meaning: &str) -> String {
    let sentence = meaning.split(". ").next().unwrap_or(meaning).trim_end_matches('.');
    let mut characters = sentence.chars();
    characters.next().map(|first| first.to_lowercase().chain(characters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use crate::config::Arguments;
    use crate::config::table::{SECRETS, SETTINGS};
    use crate::config::tests::{LEAST, exactly, flags, read};

    /// Values that are nearly right; what is far from it the rows themselves say.
    const NEARLY: &[(&str, &str)] = &[
        ("PROFILE", "other"),
        ("LABEL", "a=1"),
        ("LABEL_VALUE", "a b"),
        ("NAMESPACE", "ALL,a"),
        ("RESOURCE", "pod"),
        ("RESOURCE_NAME", "pod/x"),
        ("OBJECT", "configmap/x"),
        ("ON_DELETE", "forget"),
        ("METHOD", "FOO"),
        ("SLEEP_TIME", "0"),
        ("SOURCE_SETTLE", "soon"),
        ("KUBECONFIG", "/a:/b"),
        ("FOLDER_ANNOTATION", "a/b/c"),
        ("UNIQUE_FILENAMES", "on"),
        ("FOLDER_PER_NAMESPACE", "on"),
        ("DEFAULT_FILE_MODE", "9x9"),
        ("FOLDER_MODE", "rwx"),
        ("RESYNC", "-1"),
        ("DURABILITY", "all"),
        ("GZIP_KEYS", "on"),
        ("OBJECT_ANNOTATIONS", "on"),
        ("CONFLICT", "old"),
        ("ADOPT", "no"),
        ("INSTANCE", "a/b"),
        ("LEDGER", ".."),
        ("LEDGER_FORMER", "a,.."),
        ("PRUNE_EMPTY", "empty"),
        ("STAGING", "new"),
        ("URL_KEYS", "on"),
        ("URL_ALLOW", "example.com"),
        ("URL_CREDENTIAL_ORIGINS", "example.com"),
        ("URL_MAX_BYTES", "16M"),
        ("IGNORE_ALREADY_PROCESSED", "on"),
        ("ENABLE_5XX", "on"),
        ("REQ_TIMEOUT", "-1"),
        ("REQ_ANSWER_TIMEOUT", "x"),
        ("REQ_RETRY_TOTAL", "x"),
        ("REQ_RETRY_CONNECT", "x"),
        ("REQ_RETRY_READ", "x"),
        ("REQ_RETRY_BACKOFF_FACTOR", "x"),
        ("REQ_HEADERS", "no colon"),
        ("REQ_BASIC_AUTH_ENCODING", "ebcdic"),
        ("REQ_SKIP_TLS_VERIFY", "on"),
        ("REQ_URL", "ftp://x"),
        ("REQ_SERVER_NAME", "a b"),
        ("REQ_METHOD", "DELETE"),
        ("REQ_SKIP_INIT", "on"),
        ("SCRIPT_ENV", "empty"),
        ("SCRIPT_TIMEOUT", "0"),
        ("SCRIPT_RETRIES", "x"),
        ("SIGNAL", "HUPP"),
        ("EXEC_LABELS", "a b"),
        ("EXEC_NAMESPACE", "A"),
        ("EXEC_CONTAINER", "A"),
        ("EXEC_COMMAND", "[\"a\","),
        ("EXEC_TIMEOUT", "0"),
        ("EXEC_RETRIES", "x"),
        ("EXEC_ONLY_READY", "on"),
        ("EXEC_CONCURRENCY", "0"),
        ("EXEC_ON", "pods"),
        ("EXEC_ON_START", "on"),
        ("EXEC_DELAY", "soon"),
        ("WATCH_PODS_LABELS", "a b"),
        ("WATCH_SECRET_TYPE", "a=b"),
        ("WATCH_SECRET_LABELS", "a b"),
        ("EXEC_SECRET_DELAY", "1 m"),
        ("CHILD_START", "maybe"),
        ("RELOAD_SIGNAL", "HUPP"),
        ("RELOAD_RESTART", "on"),
        ("KILL_SIGNAL", "0"),
        ("KILL_TIMEOUT", "-1"),
        ("CHILD_RESTART", "maybe"),
        ("REACT_OUTPUT", "never"),
        ("ON_RELOAD_FAILURE", "end"),
        ("REACT_WINDOW", "soon"),
        ("REQ_ONCE_PER_BATCH", "on"),
        ("REACT_ON_START", "on"),
        ("REACT_JITTER", "1min"),
        ("WATCH_SERVER_TIMEOUT", "0"),
        ("WATCH_CLIENT_TIMEOUT", "1500ms"),
        ("SKIP_TLS_VERIFY", "on"),
        ("DISABLE_X509_STRICT_VERIFICATION", "on"),
        ("LIVENESS", "maybe"),
        ("HEALTH_PORT", "http://10.0.0.1:80"),
        ("HEALTHCHECK_PORT", "65536"),
        ("HEALTH_HOST", "localhost"),
        ("HEALTH_STALE_AFTER", "1.5"),
        ("STATUS_ADDR", "0.0.0.0:9090"),
        ("FINALIZERS", "y"),
        ("FINALIZER_NAME", "mine"),
        ("FINALIZER_FORMER", "orphan"),
        ("EVENT_LOGGING", "2"),
        ("LOG_LEVEL", "loud"),
        ("LOG_FORMAT", "xml"),
        ("VERBOSE", "v"),
        ("DEBUG", "d"),
    ];

    /// What a row says that it refuses.
    fn bad() -> Vec<(&'static str, &'static str)> {
        SETTINGS.iter().map(|setting| (setting.name, (setting.refused)())).collect()
    }

    #[test]
    fn all_problems_are_reported_at_once_in_the_order_of_the_table() {
        let problems = exactly(&bad(), &Arguments::default()).unwrap_err();
        let expected: Vec<_> = SETTINGS.iter().map(|setting| setting.name).collect();
        let named: Vec<_> = problems.iter().filter_map(|line| line.split_once('=').map(|(name, _)| name)).collect();
        assert_eq!(named, expected, "{problems:#?}");
        assert!(problems.iter().all(|line| line.contains(": expected ")), "{problems:#?}");
    }

    #[test]
    fn one_bad_setting_is_the_only_problem() {
        for (name, value) in bad().into_iter().chain(NEARLY.iter().copied()) {
            let problems = read(&[(name, value)]).unwrap_err();
            let shown = if SECRETS.contains(&name) { "***" } else { value };
            assert!(problems.len() == 1 && problems[0].starts_with(&format!("{name}={shown:?}: expected ")), "{problems:?}");
        }
    }

    #[test]
    fn problems_name_variable_value_and_what_is_accepted() {
        let problems = exactly(&[("LABEL", ""), ("DEFAULT_FILE_MODE", "9x9"), ("METHOD", "FOO")], &Arguments::default());
        let expected = [
            "LABEL is required: key of the label that an object must carry (or --label)",
            "METHOD=\"FOO\": expected WATCH, LIST or SLEEP",
            "FOLDER is required: folder that is kept equal to what the objects say (or --folder)",
            "DEFAULT_FILE_MODE=\"9x9\": expected three or four octal digits, for example 644",
        ];
        assert_eq!(problems, Err(expected.map(str::to_owned).to_vec()));
    }

    #[test]
    fn s7_no_problem_shows_more_of_a_url_than_its_origin() {
        for name in ["URL_ALLOW", "URL_CREDENTIAL_ORIGINS", "DEFAULT_FILE_MODE", "LOG_LEVEL", "NAMESPACE"] {
            for url in ["tcp://u:canary@h", "tcp://h/canary", "tcp://h?canary", "a,tcp://h#canary"] {
                let problems = read(&[(name, url)]).unwrap_err();
                assert_eq!(problems.iter().filter(|line| line.contains("canary")).count(), 0, "{problems:?}");
            }
            assert!(read(&[(name, "tcp://h:80")]).unwrap_err()[0].contains("tcp://h:80"));
        }
    }

    #[test]
    fn a_problem_with_a_flag_names_the_flag_and_stays_one_short_line() {
        let value = format!("a\nb{}", "c".repeat(1000));
        let arguments = flags(&[("--namespace", &value)]);
        let problems = exactly(&LEAST, &arguments).unwrap_err();
        let expected = format!("--namespace=\"a\\nb{}…\": expected ALL, or names of namespaces", "c".repeat(117));
        assert!(problems.len() == 1 && problems[0].starts_with(&expected), "{problems:?}");
    }
}
