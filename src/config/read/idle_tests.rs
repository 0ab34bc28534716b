//! What does nothing, and what does something though it may look as if it did not.

use super::*;
use crate::config::Arguments;
use crate::config::tests::{LEAST, context, exactly, owned, read};

/// What is warned of with these variables beside LABEL and FOLDER.
fn warnings(vars: &[(&str, &str)]) -> Vec<String> {
    read(vars).unwrap_or_else(|problems| panic!("{vars:?}: {problems:?}")).warnings
}

const EXEC: [(&str, &str); 2] = [("EXEC_LABELS", "a"), ("EXEC_COMMAND", "x")];
const URL: (&str, &str) = ("REQ_URL", "http://h/");

/// A setting that does nothing beside these, why, and what would make it do something.
type Case = ((&'static str, &'static str), &'static [(&'static str, &'static str)], &'static str, &'static [(&'static str, &'static str)]);

const CASES: &[Case] = &[
    (("ERROR_THROTTLE_SLEEP", "5"), &[], " as waits after errors grow and scatter", &[]),
    (("ON_DELETE", "keep"), &[], " without OBJECT", &[("OBJECT", "configmap/n/a")]),
    (("SLEEP_TIME", "5m"), &[], " unless METHOD is SLEEP or objects are named", &[("METHOD", "SLEEP")]),
    (("SLEEP_TIME", "60"), &[], " unless METHOD is SLEEP or objects are named", &[("OBJECT", "configmap/n/a")]),
    (("SLEEP_TIME", "60"), &[("METHOD", "LIST"), ("OBJECT", "configmap/n/a")], " unless METHOD is SLEEP or objects are named", &[]),
    (("SOURCE_SETTLE", "1"), &[], " while SOURCE is no folder", &[("SOURCE", "/s")]),
    (("SKIP_TLS_VERIFY", "true"), &[("SOURCE", "/s")], " while SOURCE is a folder", &[("SOURCE", "cluster")]),
    (("RESYNC", "5m"), &[("METHOD", "LIST")], " with METHOD=LIST", &[("METHOD", "SLEEP")]),
    (("WATCH_SERVER_TIMEOUT", "600"), &[("METHOD", "SLEEP")], " where nothing is watched", &[("METHOD", "WATCH")]),
    (
        ("WATCH_SERVER_TIMEOUT", "60"),
        &[("METHOD", "SLEEP")],
        " where nothing is watched",
        &[("PROFILE", "k8s-sidecar"), ("METHOD", "SLEEP")],
    ),
    (("WATCH_CLIENT_TIMEOUT", "660"), &[("SOURCE", "/s")], " where nothing is watched", &[]),
    (("URL_ALLOW", "http://h"), &[], " without URL_KEYS=true", &[("URL_KEYS", "true")]),
    (("URL_CREDENTIAL_ORIGINS", "*"), &[], " without URL_KEYS=true", &[("PROFILE", "k8s-sidecar")]),
    (("IGNORE_ALREADY_PROCESSED", "true"), &[], " without URL_KEYS=true", &[("URL_KEYS", "true")]),
    (("URL_MAX_BYTES", "1"), &[], " without URL_KEYS=true or GZIP_KEYS=true", &[("GZIP_KEYS", "true")]),
    (("ENABLE_5XX", "true"), &[], " without REQ_URL or URL_KEYS=true", &[URL]),
    (("REQ_TIMEOUT", "10"), &[], " without REQ_URL or URL_KEYS=true", &[("URL_KEYS", "yes")]),
    (("REQ_SKIP_TLS_VERIFY", "1"), &[], " without REQ_URL or URL_KEYS=true", &[URL]),
    (("REQ_RETRY_CONNECT", "1"), &[], " without REQ_URL or URL_KEYS=true", &[URL]),
    (
        ("REQ_RETRY_TOTAL", "1"),
        &[("PROFILE", "k8s-sidecar"), ("URL_KEYS", "false")],
        " without REQ_URL or URL_KEYS=true",
        &[("PROFILE", "k8s-sidecar"), ("URL_KEYS", "false"), ("METHOD", "LIST")],
    ),
    (("REQ_RETRY_BACKOFF_FACTOR", "1.1"), &[], " without REQ_URL, URL_KEYS=true or EXEC_COMMAND", &EXEC),
    (("REQ_USERNAME", "canary"), &[], " without REQ_URL or URL_KEYS=true", &[URL, ("REQ_PASSWORD", "x")]),
    (("REQ_USERNAME", "canary"), &[URL], " without REQ_PASSWORD", &[URL, ("REQ_PASSWORD_FILE", "/x")]),
    (("REQ_PASSWORD", "canary"), &[URL], " without REQ_USERNAME", &[URL, ("REQ_USERNAME_FILE", "/x")]),
    (("REQ_PASSWORD_FILE", "/x"), &[URL], " without REQ_USERNAME", &[URL, ("REQ_USERNAME", "x")]),
    (
        ("REQ_BASIC_AUTH_ENCODING", "utf-8"),
        &[URL],
        " without REQ_USERNAME and REQ_PASSWORD",
        &[URL, ("REQ_USERNAME", "u"), ("REQ_PASSWORD", "p")],
    ),
    (("REQ_ANSWER_TIMEOUT", "120"), &[], " without REQ_URL", &[URL]),
    (("REQ_METHOD", "POST"), &[], " without REQ_URL", &[URL]),
    (("REQ_METHOD", "GET"), &[("URL_KEYS", "true")], " without REQ_URL", &[URL]),
    (("REQ_PAYLOAD", "canary"), &[], " without REQ_URL", &[URL]),
    (("REQ_SKIP_INIT", "true"), &[], " without REQ_URL", &[URL]),
    (("REQ_SKIP_INIT", "true"), &[URL, ("METHOD", "LIST")], " with METHOD=LIST", &[URL, ("METHOD", "SLEEP")]),
    (("REACT_JITTER", "1"), &[URL, ("METHOD", "LIST")], " with METHOD=LIST", &[URL]),
    (("SCRIPT_ENV", "clean"), &[], " without SCRIPT", &[("SCRIPT", "/s")]),
    (("SCRIPT_TIMEOUT", "60"), &[], " without SCRIPT", &[("SCRIPT", "/s")]),
    (("SCRIPT_RETRIES", "5"), &[], " without SCRIPT", &[("SCRIPT", "/s")]),
    (("SIGNAL", "HUP"), &[], " without SIGNAL_PROCESS or SIGNAL_PIDFILE", &[("SIGNAL_PROCESS", "nginx")]),
    (("SIGNAL", "USR1"), &[URL], " without SIGNAL_PROCESS or SIGNAL_PIDFILE", &[("SIGNAL_PIDFILE", "/p")]),
    (("EXEC_CONTAINER", "c"), &[], " without EXEC_COMMAND and EXEC_LABELS", &EXEC),
    (("EXEC_TIMEOUT", "30"), &[("EXEC_LABELS", "a"), ("REQ_URL", "http://{pod}/")], " without EXEC_COMMAND and EXEC_LABELS", &EXEC),
    (("EXEC_RETRIES", "3"), &[], " without EXEC_COMMAND and EXEC_LABELS", &EXEC),
    (("EXEC_ON", "files"), &[], " without EXEC_COMMAND and EXEC_LABELS", &EXEC),
    (("EXEC_ON_START", "true"), &[], " without EXEC_COMMAND and EXEC_LABELS", &EXEC),
    (("EXEC_NAMESPACE", "n"), &[], " without EXEC_LABELS", &[("EXEC_LABELS", "a"), ("REQ_URL", "http://{pod}/")]),
    (("EXEC_ONLY_READY", "false"), &[], " without EXEC_LABELS", &EXEC),
    (("EXEC_CONCURRENCY", "4"), &[], " without EXEC_LABELS", &EXEC),
    (("EXEC_DELAY", "1"), &EXEC, " without WATCH_PODS_LABELS", &[EXEC[0], EXEC[1], ("WATCH_PODS_LABELS", "b")]),
    (("WATCH_SECRET_LABELS", "b"), &EXEC, " without WATCH_SECRET_TYPE", &[EXEC[0], EXEC[1], ("WATCH_SECRET_TYPE", "t")]),
    (("EXEC_SECRET_DELAY", "70s"), &EXEC, " without WATCH_SECRET_TYPE", &[EXEC[0], EXEC[1], ("WATCH_SECRET_TYPE", "t")]),
    (("CHILD_START", "now"), &[], " without a command behind --", &[]),
    (("RELOAD_SIGNAL", "HUP"), &[], " without a command behind --", &[]),
    (("RELOAD_RESTART", "true"), &[], " without a command behind --", &[]),
    (("KILL_SIGNAL", "TERM"), &[], " without a command behind --", &[]),
    (("KILL_TIMEOUT", "10"), &[], " without a command behind --", &[]),
    (("CHILD_RESTART", "never"), &[], " without a command behind --", &[]),
    (("REQ_ONCE_PER_BATCH", "true"), &[URL, ("REACT_WINDOW", "1")], " with REACT_WINDOW", &[URL]),
    (("REACT_OUTPUT", "always"), &[], " where nobody is told of changes", &[("SCRIPT", "/s")]),
    (("ON_RELOAD_FAILURE", "report"), &[], " where nobody is told of changes", &[("SIGNAL_PROCESS", "x")]),
    (("REACT_WINDOW", "250ms"), &[], " where nobody is told of changes", &[URL]),
    (("REACT_ON_START", "true"), &[], " where nobody is told of changes", &EXEC),
    (("REACT_JITTER", "1"), &[], " where nobody is told of changes", &[URL]),
    (("REQ_ONCE_PER_BATCH", "true"), &[], " where nobody is told of changes", &[URL]),
    (("HEALTH_PORT", "8080"), &[("LIVENESS", "false")], " with LIVENESS=false", &[]),
    (("HEALTHCHECK_PORT", "8080"), &[("LIVENESS", "no")], " with LIVENESS=false", &[("LIVENESS", "yes")]),
    (("HEALTH_HOST", "::1"), &[("LIVENESS", "0")], " with LIVENESS=false", &[]),
    (("HEALTH_STALE_AFTER", "1h"), &[("LIVENESS", "false")], " with LIVENESS=false", &[]),
    (("LOG_TZ", "UTC"), &[], " unless PROFILE is k8s-sidecar", &[("PROFILE", "k8s-sidecar")]),
    (("VERBOSE", "true"), &[("LOG_LEVEL", "info")], " with LOG_LEVEL", &[]),
    (("DEBUG", "1"), &[("LOG_LEVEL", "info")], " with LOG_LEVEL", &[]),
];

#[test]
fn what_does_nothing_is_told_with_the_reason_and_without_its_value() {
    for ((name, value), beside, why, _) in CASES {
        let expected = format!("{name} has no effect{why}");
        let warnings = warnings(&[&[(*name, *value)], *beside].concat());
        assert_eq!(
            warnings.iter().filter(|warning| warning.starts_with(&format!("{name} "))).collect::<Vec<_>>(),
            [&expected],
            "{beside:?}"
        );
        assert!(!warnings.concat().contains("canary"), "{warnings:?}");
    }
}

#[test]
fn what_does_something_is_not_told() {
    for ((name, value), _, why, beside) in CASES.iter().filter(|(_, _, _, beside)| !beside.is_empty()) {
        let warnings = warnings(&[&[(*name, *value)], *beside].concat());
        assert!(!warnings.iter().any(|warning| warning.starts_with(&format!("{name} has no effect"))), "{why} {beside:?}: {warnings:?}");
    }
}

#[test]
fn a_no_to_what_nobody_asks_for_is_not_told() {
    let noes =
        ["REQ_SKIP_INIT", "REQ_SKIP_TLS_VERIFY", "ENABLE_5XX", "RELOAD_RESTART", "EXEC_ON_START", "REQ_ONCE_PER_BATCH", "REACT_ON_START"];
    for name in noes {
        assert_eq!(warnings(&[(name, "false")]), Vec::<String>::new(), "{name}");
        assert_eq!(warnings(&[(name, "true")]).len(), 1, "{name}");
    }
}

#[test]
fn nothing_of_files_counts_where_nothing_is_projected_but_the_ledger() {
    let vars = [
        EXEC[0],
        EXEC[1],
        ("WATCH_PODS_LABELS", "b"),
        ("CONFLICT", "oldest"),
        ("FOLDER_MODE", "700"),
        ("LEDGER", "/l"),
        ("NAMESPACE", "n"),
    ];
    let warnings = exactly(&vars, &Arguments::default()).unwrap().warnings;
    assert_eq!(warnings, ["FOLDER_MODE", "CONFLICT"].map(|name| format!("{name} has no effect where nothing is projected")));
}

#[test]
fn without_a_label_what_narrows_it_does_nothing() {
    let vars = [("OBJECT", "configmap/n/a"), ("FOLDER", "/f"), ("NAMESPACE", "n"), ("RESOURCE", "secret"), ("LABEL_VALUE", "x")];
    let warnings = exactly(&vars, &Arguments::default()).unwrap().warnings;
    assert_eq!(warnings, ["LABEL_VALUE", "RESOURCE"].map(|name| format!("{name} has no effect without LABEL")));
}

#[test]
fn a_command_behind_two_dashes_is_what_settings_of_the_child_are_for() {
    let child = |vars: &[(&str, &str)]| {
        let arguments = Arguments { child: vec!["x".into()], ..Arguments::default() };
        exactly(&[vars, &LEAST].concat(), &arguments).unwrap().warnings
    };
    let all = [("CHILD_START", "now"), ("RELOAD_SIGNAL", "HUP"), ("KILL_TIMEOUT", "1"), ("CHILD_RESTART", "never"), ("REACT_WINDOW", "1")];
    assert_eq!(child(&all), Vec::<String>::new());
    assert_eq!(child(&[("KILL_SIGNAL", "INT")]), ["KILL_SIGNAL has no effect without RELOAD_RESTART=true"]);
    assert_eq!(child(&[("KILL_SIGNAL", "INT"), ("RELOAD_RESTART", "true")]), Vec::<String>::new());
    assert_eq!(child(&[("RELOAD_SIGNAL", "INT"), ("RELOAD_RESTART", "true")]), ["RELOAD_SIGNAL has no effect with RELOAD_RESTART=true"]);
    // Who only looks has no command, and knows nothing of whoever has one.
    let looking = crate::config::Context { looks: Looks::Only, ..context() };
    let config = Config::from_vars(owned(&[&all[..], &LEAST].concat()), &Arguments::default(), &looking).unwrap();
    assert_eq!(config.warnings, Vec::<String>::new());
}

#[test]
fn a_flag_that_does_nothing_is_named_as_it_was_given() {
    let arguments = crate::config::tests::flags(&[("--req-username-file", "/u"), ("--label-value", "x"), ("--object", "configmap/n/a")]);
    let warnings = exactly(&[("FOLDER", "/f")], &arguments).unwrap().warnings;
    assert_eq!(
        warnings,
        ["--label-value has no effect without LABEL", "--req-username-file has no effect without REQ_URL or URL_KEYS=true"]
    );
}

#[test]
fn what_is_told_already_is_told_once() {
    for vars in
        [&[("EXEC_ON_START", "true"), ("METHOD", "LIST"), EXEC[0], EXEC[1]][..], &[("ON_RELOAD_FAILURE", "unready"), ("LIVENESS", "no")]]
    {
        let told = warnings(vars);
        assert_eq!(told.iter().filter(|warning| warning.starts_with(vars[0].0)).count(), 1, "{told:?}");
    }
}

/// Settings that do something whatever else is set, or of which something else is said where they do not; NAMESPACE is often there for
/// other variables to be made of, and `release` reads names of finalizers whether `run` uses any or not.
const ALWAYS: &[&str] = &[
    "PROFILE",
    "LABEL",
    "NAMESPACE",
    "RESOURCE_NAME",
    "OBJECT",
    "METHOD",
    "SOURCE",
    "KUBECONFIG",
    "FOLDER",
    "DRY_RUN",
    "LEDGER",
    "REQ_TOKEN_FILE",
    "REQ_HEADERS",
    "REQ_HEADERS_FILE",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "REQ_URL",
    "REQ_SERVER_NAME",
    "SCRIPT",
    "SIGNAL_PROCESS",
    "SIGNAL_PIDFILE",
    "EXEC_LABELS",
    "EXEC_COMMAND",
    "WATCH_PODS_LABELS",
    "WATCH_SECRET_TYPE",
    "DISABLE_X509_STRICT_VERIFICATION",
    "LIVENESS",
    "FINALIZERS",
    "FINALIZER_NAME",
    "FINALIZER_FORMER",
    "METRICS",
    "STATUS_ADDR",
    "EVENT_LOGGING",
    "LOG_FORMAT",
    "LOG_CONFIG",
];

#[test]
fn every_setting_has_a_rule_or_needs_none() {
    for setting in SETTINGS {
        let has_rule = RULES.iter().any(|rule| rule.is_about(setting));
        assert!(
            has_rule || ALWAYS.contains(&setting.name),
            "{}: when does it do nothing? Say so in RULES, or that it never does in ALWAYS",
            setting.name
        );
    }
    let cases: Vec<_> = CASES.iter().map(|((name, _), ..)| *name).collect();
    for name in RULES
        .iter()
        .filter_map(|rule| match rule.settings {
            Names::These(names) => Some(names),
            Names::Under(_) => None,
        })
        .flatten()
    {
        let elsewhere = ["NAMESPACE", "RESOURCE", "LABEL_VALUE", "URL_KEYS", "LOG_LEVEL", "REQ_RETRY_READ", "REQ_USERNAME_FILE"];
        assert!(cases.contains(name) || elsewhere.contains(name), "{name} has a rule and no case");
    }
}
