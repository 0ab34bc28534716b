//! Settings that do nothing as things are set. Whoever gives one meant something by it.

use crate::config::profiles::Dialect;
use crate::config::read::child::ChildReload;
use crate::config::read::parse;
use crate::config::setting::{Fallback, Heading, Setting};
use crate::config::table::SETTINGS;
use crate::config::texts::{GivenText, Texts};
use crate::config::{Config, Looks, Method, ObjectSource};
use crate::core::files::project::Urls;

/// Settings that do nothing while something holds. Of the rules for a setting the first that does is told.
struct Rule {
    settings: Names,
    is_idle: fn(&Now<'_>) -> bool,
    /// The end of a warning that begins with the setting and `has no effect`.
    why: &'static str,
}

/// Which settings.
enum Names {
    /// These.
    These(&'static [&'static str]),
    /// Those under these headings.
    Under(&'static [Heading]),
}

/// What is set.
struct Now<'a> {
    config: &'a Config,
    texts: &'a Texts,
    looks: Looks,
}

impl Now<'_> {
    fn is_given(&self, setting: &str) -> bool {
        self.texts.given(setting).is_some()
    }

    fn has_source_folder(&self) -> bool {
        matches!(self.config.source, ObjectSource::Manifests(_))
    }

    fn follows_urls(&self) -> bool {
        self.config.urls != Urls::Plain
    }

    /// Whether servers other than the API are asked.
    fn asks(&self) -> bool {
        self.is_given("REQ_URL") || self.follows_urls()
    }

    /// Whether METHOD=LIST is given up as requests to others are.
    fn retries_lists(&self) -> bool {
        self.config.list_retry.is_some() && self.config.method == Method::List
    }

    /// Whether anybody is told of changes. Who only looks has no command behind `--`, whoever runs may.
    fn tells(&self) -> bool {
        let Config { signal, script, exec, child, .. } = self.config;
        let tells = signal.is_some() || script.is_some() || exec.is_some() || child.is_some() || self.is_given("REQ_URL");
        tells || self.looks == Looks::Only
    }

    fn reload(&self) -> Option<ChildReload> {
        self.config.child.as_ref().map(|child| child.reload)
    }

    fn is(&self, setting: &str, expected: bool) -> bool {
        self.texts.text(setting).is_some_and(|text| parse::boolean(text) == Ok(expected))
    }

    fn watches(&self) -> bool {
        let triggers = &self.config.triggers;
        self.config.method == Method::Watch && !self.has_source_folder() || triggers.pods.is_some() || triggers.secrets.is_some()
    }
}

const fn these(names: &'static [&'static str], is_idle: fn(&Now<'_>) -> bool, why: &'static str) -> Rule {
    Rule { settings: Names::These(names), is_idle, why }
}

const RULES: &[Rule] = &[
    these(&["ERROR_THROTTLE_SLEEP"], |_| true, "as waits after errors grow and scatter"),
    Rule {
        settings: Names::Under(&[Heading::Files, Heading::Ownership]),
        is_idle: |now| !now.config.projects(),
        why: "where nothing is projected",
    },
    these(&["RESOURCE", "ON_DELETE", "URL_KEYS"], |now| !now.config.projects(), "where nothing is projected"),
    these(&["LABEL_VALUE"], |now| now.config.selector.is_none(), "without LABEL"),
    these(&["RESOURCE"], |now| now.config.selector.is_none() && now.config.named.is_empty(), "without LABEL"),
    these(&["ON_DELETE"], |now| now.config.objects.is_empty(), "without OBJECT"),
    these(
        &["SLEEP_TIME"],
        |now| match now.config.method {
            Method::Sleep(_) => false,
            Method::Watch => now.config.objects.is_empty() && now.config.named.is_empty(),
            Method::List => true,
        },
        "unless METHOD is SLEEP or objects are named",
    ),
    these(&["SOURCE_SETTLE"], |now| !now.has_source_folder(), "while SOURCE is no folder"),
    these(&["SKIP_TLS_VERIFY"], |now| now.has_source_folder(), "while SOURCE is a folder"),
    these(&["RESYNC"], |now| now.config.method == Method::List, "with METHOD=LIST"),
    // For k8s-sidecar it is the default of RESYNC.
    these(
        &["WATCH_SERVER_TIMEOUT"],
        |now| !(now.watches() || now.texts.profile.dialect == Dialect::Sidecar && now.config.method != Method::List),
        "where nothing is watched",
    ),
    these(&["WATCH_CLIENT_TIMEOUT"], |now| !now.watches(), "where nothing is watched"),
    these(&["URL_ALLOW", "URL_CREDENTIAL_ORIGINS", "IGNORE_ALREADY_PROCESSED"], |now| !now.follows_urls(), "without URL_KEYS=true"),
    these(&["URL_MAX_BYTES"], |now| !now.follows_urls() && !now.config.files.gzip_keys, "without URL_KEYS=true or GZIP_KEYS=true"),
    these(
        &[
            "ENABLE_5XX",
            "REQ_TIMEOUT",
            "REQ_USERNAME",
            "REQ_USERNAME_FILE",
            "REQ_PASSWORD",
            "REQ_PASSWORD_FILE",
            "REQ_BASIC_AUTH_ENCODING",
            "REQ_SKIP_TLS_VERIFY",
        ],
        |now| !now.asks(),
        "without REQ_URL or URL_KEYS=true",
    ),
    these(
        &["REQ_RETRY_TOTAL", "REQ_RETRY_CONNECT", "REQ_RETRY_READ"],
        |now| !now.asks() && !now.retries_lists(),
        "without REQ_URL or URL_KEYS=true",
    ),
    these(
        &["REQ_RETRY_BACKOFF_FACTOR"],
        |now| !now.asks() && !now.retries_lists() && now.config.exec.is_none(),
        "without REQ_URL, URL_KEYS=true or EXEC_COMMAND",
    ),
    these(
        &["REQ_USERNAME", "REQ_USERNAME_FILE"],
        |now| !now.is_given("REQ_PASSWORD") && !now.is_given("REQ_PASSWORD_FILE"),
        "without REQ_PASSWORD",
    ),
    these(
        &["REQ_PASSWORD", "REQ_PASSWORD_FILE"],
        |now| !now.is_given("REQ_USERNAME") && !now.is_given("REQ_USERNAME_FILE"),
        "without REQ_USERNAME",
    ),
    these(&["REQ_BASIC_AUTH_ENCODING"], |now| !now.config.web.credentials.are_given(), "without REQ_USERNAME and REQ_PASSWORD"),
    these(&["REQ_ANSWER_TIMEOUT", "REQ_METHOD", "REQ_PAYLOAD", "REQ_SKIP_INIT"], |now| !now.is_given("REQ_URL"), "without REQ_URL"),
    these(&["REQ_SKIP_INIT", "REACT_JITTER"], |now| now.config.method == Method::List, "with METHOD=LIST"),
    these(&["SCRIPT_ENV", "SCRIPT_TIMEOUT", "SCRIPT_RETRIES"], |now| now.config.script.is_none(), "without SCRIPT"),
    these(&["SIGNAL"], |now| now.config.signal.is_none(), "without SIGNAL_PROCESS or SIGNAL_PIDFILE"),
    these(
        &["EXEC_CONTAINER", "EXEC_TIMEOUT", "EXEC_RETRIES", "EXEC_ON", "EXEC_ON_START"],
        |now| now.config.exec.is_none(),
        "without EXEC_COMMAND and EXEC_LABELS",
    ),
    these(
        &["EXEC_NAMESPACE", "EXEC_ONLY_READY", "EXEC_CONCURRENCY"],
        |now| now.config.exec.is_none() && now.config.asked_pods.is_none(),
        "without EXEC_LABELS",
    ),
    these(&["EXEC_DELAY"], |now| !now.is_given("WATCH_PODS_LABELS"), "without WATCH_PODS_LABELS"),
    these(
        &["WATCH_SECRET_LABELS", "EXEC_SECRET_DELAY"],
        |now| !now.is_given("WATCH_SECRET_TYPE") && now.config.triggers.secrets.is_none(),
        "without WATCH_SECRET_TYPE",
    ),
    these(
        &["CHILD_START", "RELOAD_SIGNAL", "RELOAD_RESTART", "KILL_SIGNAL", "KILL_TIMEOUT", "CHILD_RESTART"],
        |now| now.config.child.is_none() && now.looks == Looks::ToAct,
        "without a command behind --",
    ),
    these(&["RELOAD_SIGNAL"], |now| now.reload() == Some(ChildReload::Restart), "with RELOAD_RESTART=true"),
    these(&["KILL_SIGNAL"], |now| matches!(now.reload(), Some(ChildReload::Signal(_))), "without RELOAD_RESTART=true"),
    these(&["REQ_ONCE_PER_BATCH"], |now| now.is_given("REACT_WINDOW"), "with REACT_WINDOW"),
    these(
        &["REACT_OUTPUT", "ON_RELOAD_FAILURE", "REACT_WINDOW", "REQ_ONCE_PER_BATCH", "REACT_ON_START", "REACT_JITTER"],
        |now| !now.tells(),
        "where nobody is told of changes",
    ),
    these(
        &["HEALTH_PORT", "HEALTHCHECK_PORT", "HEALTH_HOST", "HEALTH_STALE_AFTER"],
        |now| now.is("LIVENESS", false),
        "with LIVENESS=false",
    ),
    these(&["LOG_TZ"], |now| now.texts.profile.dialect != Dialect::Sidecar && !now.is_given("LOG_CONFIG"), "unless PROFILE is k8s-sidecar"),
    these(&["LOG_LEVEL", "VERBOSE", "DEBUG"], |now| now.is_given("LOG_CONFIG"), "with LOG_CONFIG"),
    these(&["VERBOSE", "DEBUG"], |now| now.is_given("LOG_LEVEL"), "with LOG_LEVEL"),
];

/// Adds a warning for each setting that is given and does nothing, unless there is one that says so.
pub(crate) fn warn_of_idle(config: &mut Config, texts: &Texts, looks: Looks) {
    let is_told =
        |by: &str| config.warnings.iter().any(|warning| warning.strip_prefix(by).is_some_and(|rest| rest.starts_with(" has no effect")));
    let now = Now { config, texts, looks };
    let given = SETTINGS.iter().filter_map(|setting| Some((setting, texts.given(setting.name)?)));
    let idle = given.filter(|(setting, given)| !says_no(setting, given) && !is_told(given.by)).filter_map(|(setting, given)| {
        let rule = RULES.iter().find(|rule| rule.is_about(setting) && (rule.is_idle)(&now))?;
        Some((given.by, rule.why))
    });
    for (by, why) in idle.collect::<Vec<_>>() {
        config.warnings.push(format!("{by} has no effect {why}"));
    }
}

/// Whether it says no, or yes, where that holds anyway: charts do, and mean nothing by it.
fn says_no(setting: &Setting, given: &GivenText) -> bool {
    match setting.default {
        Fallback::Value(default @ ("true" | "false")) => parse::boolean(&given.text) == parse::boolean(default),
        _ => false,
    }
}

impl Rule {
    fn is_about(&self, setting: &Setting) -> bool {
        match self.settings {
            Names::These(names) => names.contains(&setting.name),
            // What was told of pods and Secrets is kept there, too.
            Names::Under(headings) => headings.contains(&setting.heading) && setting.name != "LEDGER",
        }
    }
}

#[cfg(test)]
#[path = "idle_tests.rs"]
mod tests;
