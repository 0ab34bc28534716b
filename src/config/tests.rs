//! The whole way from variables and flags to a configuration or its problems.

use std::collections::BTreeSet;

use rustix::process::Signal;

use super::*;
use crate::config::read::reload::{Environment, SignalTarget, Timing};
use crate::config::read::triggers::{PodTrigger, SecretTrigger};
use crate::config::read::web::{CredentialOrigins, Credentials, Encoding, Headers, Redacted};
use crate::config::table::{Fallback, SETTINGS};
use crate::core::policy::Batching;

pub(crate) const LEAST: [(&str, &str); 2] = [("LABEL", "findme"), ("FOLDER", "/rules")];

pub(crate) fn owned(vars: &[(&str, &str)]) -> std::vec::IntoIter<(String, String)> {
    vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect::<Vec<_>>().into_iter()
}

pub(crate) fn context() -> Context {
    Context {
        only_looks: false,
        current_dir: "/work".into(),
        stderr_is_terminal: false,
        program: "kube-projector".into(),
        own_namespace: Some("own".into()),
        in_pod: true,
        home_kubeconfig: None,
        kubeconfig_namespace: None,
        tmp_is_mounted: true,
        log_config: None,
    }
}

/// Reads these variables alone.
pub(crate) fn exactly(vars: &[(&str, &str)], flags: &Flags) -> Result<Config, Vec<String>> {
    Config::from_vars(owned(vars), flags, &context()).map_err(lines)
}

/// Reads these variables, with LABEL and FOLDER where they give none.
pub(crate) fn read(vars: &[(&str, &str)]) -> Result<Config, Vec<String>> {
    exactly(&[vars, &LEAST].concat(), &Flags::default())
}

pub(crate) fn lines(problems: Problems) -> Vec<String> {
    problems.to_string().lines().map(str::to_owned).collect()
}

fn nothing() -> crate::config::read::web::Given {
    crate::config::read::web::Given { file: None, text: None }
}

pub(crate) fn default_config() -> Config {
    Config {
        selector: Some(Selector::label("findme", None)),
        objects: vec![],
        on_delete: OnDelete::Keep,
        folder: "/rules".into(),
        allowed_folders: vec![],
        namespaces: Namespaces::All,
        own_namespace: Some("own".into()),
        kinds: Kind::ALL.to_vec(),
        method: Method::Watch,
        poll: Duration::from_secs(60),
        folder_annotation: "k8s-sidecar-target-directory".into(),
        named: vec![],
        names: FileNames::Key,
        folder_per_namespace: false,
        urls: Urls::Plain,
        downloads: Downloads {
            bytes_max: 16 << 20,
            refresh: Some(Duration::from_secs(600)),
            credential_origins: CredentialOrigins::Any,
            allow: None,
        },
        web: Web {
            timeout: Duration::from_secs(10),
            answer_timeout: Duration::from_secs(120),
            retry: Retry { total: 5, connect: 10, read: 5, backoff: Duration::from_millis(1100) },
            skip_tls_verify: false,
            ca_bundle: None,
            server_errors_are_final: false,
            headers: Headers::default(),
            credentials: Credentials { username: nothing(), password: nothing(), encoding: Encoding::Latin1 },
        },
        call: None,
        signal: None,
        exec: None,
        asked_pods: None,
        script: None,
        triggers: Triggers { files: true, start: false, pods: None, secrets: None },
        child: None,
        react_output: Output::Guarded,
        on_reload_failure: OnReloadFailure::Report,
        timing: Timing { batching: Batching::Window(Duration::from_millis(200)), on_start: false, jitter: Duration::ZERO },
        list_retry: None,
        excuses_files: false,
        verify: Verify::AsConfigured,
        gzip_keys: false,
        object_annotations: true,
        file_mode: 0o644,
        folder_mode: 0o755,
        conflict: Order::Oldest,
        adopt: Adopt::Overwrite,
        instance: None,
        resync: Some(Duration::from_secs(600)),
        watch_server_timeout: Duration::from_secs(600),
        watch_client_timeout: Duration::from_secs(660),
        health: Some(Health { host: None, port: 8080, stale_after: None, answers: Answers::Detailed }),
        event_logging: false,
        finalizers: Some(Finalizers { name: "kube-projector.dev/ad0fb7c4".into(), former: vec![] }),
        log: Log::to_stderr(LogLevel::Info, LogFormat::Json),
        wording: Wording::Own,
        durability: Durability::None,
        ledger: LedgerPlace::Default,
        ledger_former: vec![],
        prune_empty: false,
        staging: None,
        origin: Origin::Cluster { kubeconfig: None },
        source_settle: Duration::from_secs(1),
        warnings: vec![],
    }
}

#[test]
fn label_and_folder_are_enough() {
    assert_eq!(read(&[]), Ok(default_config()));
}

#[test]
fn every_default_value_means_the_same_as_no_value() {
    for setting in SETTINGS {
        if let Fallback::Value(value) = setting.default {
            // VERBOSE and DEBUG move the level while LOG_LEVEL is unset, so its default is all that counts here.
            assert_eq!(read(&[(setting.name, value)]), Ok(default_config()), "{}={value}", setting.name);
        }
    }
}

#[test]
fn every_setting_can_be_set() {
    let vars = [
        ("LABEL_VALUE", "yea"),
        ("NAMESPACE", "b, a,b"),
        ("RESOURCE", "secret"),
        ("METHOD", "sleep"),
        ("SLEEP_TIME", "5"),
        ("SOURCE_SETTLE", "0.5"),
        ("KUBECONFIG", "k"),
        ("FOLDER", "out/../rules"),
        ("FOLDER_ANNOTATION", "example.com/folder"),
        ("ALLOWED_FOLDERS", "/work/rules,/x, y"),
        ("UNIQUE_FILENAMES", "yes"),
        ("RESOURCE_NAME", "secret/x"),
        ("OBJECT", "secret/n/y"),
        ("ON_DELETE", "Remove"),
        ("FOLDER_PER_NAMESPACE", "1"),
        ("URL_KEYS", "yes"),
        ("URL_ALLOW", "http://a"),
        ("URL_CREDENTIAL_ORIGINS", "http://b"),
        ("URL_MAX_BYTES", "5"),
        ("IGNORE_ALREADY_PROCESSED", "true"),
        ("ENABLE_5XX", "true"),
        ("REQ_ANSWER_TIMEOUT", "30"),
        ("REQ_TIMEOUT", "2.5"),
        ("REQ_RETRY_TOTAL", "1"),
        ("REQ_RETRY_CONNECT", "2"),
        ("REQ_RETRY_READ", "3"),
        ("REQ_RETRY_BACKOFF_FACTOR", "0.5"),
        ("REQ_USERNAME", "u"),
        ("REQ_PASSWORD", "p"),
        ("REQ_USERNAME_FILE", "user"),
        ("REQ_PASSWORD_FILE", "pass"),
        ("REQ_BASIC_AUTH_ENCODING", "utf-8"),
        ("REQ_SKIP_TLS_VERIFY", "true"),
        ("REQUESTS_CA_BUNDLE", "ca"),
        ("REQ_URL", "http://c/reload"),
        ("REQ_METHOD", "post"),
        ("REQ_PAYLOAD", "text"),
        ("REQ_SKIP_INIT", "true"),
        ("SCRIPT", "s.sh"),
        ("SCRIPT_RETRIES", "7"),
        ("SCRIPT_TIMEOUT", "9"),
        ("SIGNAL_PROCESS", "nginx"),
        ("SIGNAL", "sigusr1"),
        ("EXEC_LABELS", "app=x"),
        ("EXEC_NAMESPACE", "n"),
        ("EXEC_CONTAINER", "c"),
        ("EXEC_COMMAND", "[\"a\", \"b\"]"),
        ("EXEC_TIMEOUT", "5"),
        ("EXEC_RETRIES", "0"),
        ("EXEC_ONLY_READY", "no"),
        ("EXEC_CONCURRENCY", "2"),
        ("EXEC_ON", "none"),
        ("EXEC_ON_START", "true"),
        ("EXEC_DELAY", "1"),
        ("WATCH_PODS_LABELS", "app=a"),
        ("WATCH_SECRET_TYPE", "Opaque"),
        ("WATCH_SECRET_LABELS", "b"),
        ("EXEC_SECRET_DELAY", "2"),
        ("REACT_OUTPUT", "always"),
        ("ON_RELOAD_FAILURE", "unready"),
        ("REACT_WINDOW", "3"),
        ("REACT_JITTER", "0.5"),
        ("SKIP_TLS_VERIFY", "true"),
        ("DEFAULT_FILE_MODE", "0440"),
        ("FOLDER_MODE", "700"),
        ("RESYNC", "0"),
        ("DURABILITY", "batch"),
        ("GZIP_KEYS", "1"),
        ("OBJECT_ANNOTATIONS", "no"),
        ("CONFLICT", "newest"),
        ("ADOPT", "never"),
        ("INSTANCE", "one"),
        ("LEDGER", "/tmp/ledger"),
        ("LEDGER_FORMER", "old.ledger, sub/ledger"),
        ("PRUNE_EMPTY", "true"),
        ("STAGING", "/work/new/../staging"),
        ("WATCH_SERVER_TIMEOUT", "60"),
        ("WATCH_CLIENT_TIMEOUT", "70"),
        ("HEALTH_PORT", "9000"),
        ("HEALTH_HOST", "::1"),
        ("HEALTH_STALE_AFTER", "90"),
        ("FINALIZER_NAME", "a.dev/new"),
        ("FINALIZER_FORMER", "a.dev/old,a.dev/new"),
        ("EVENT_LOGGING", "TRUE"),
        ("LOG_LEVEL", "Warning"),
        ("LOG_FORMAT", "text"),
        ("DEBUG", "1"),
    ];
    let expected = Config {
        selector: Some(Selector::label("findme", Some("yea"))),
        objects: vec![ObjectKey::new(Kind::Secret, "n", "y")],
        on_delete: OnDelete::Remove,
        folder: "/work/rules".into(),
        allowed_folders: vec!["/work/y".into(), "/x".into()],
        namespaces: Namespaces::Only(vec!["a".into(), "b".into()]),
        own_namespace: Some("own".into()),
        kinds: vec![Kind::Secret],
        method: Method::Sleep(Duration::from_secs(5)),
        poll: Duration::from_secs(5),
        folder_annotation: "example.com/folder".into(),
        named: vec![NamedObject { namespace: None, kind: Some(Kind::Secret), name: "x".into() }],
        names: FileNames::Unique,
        folder_per_namespace: true,
        urls: Urls::Follow { empty_at_first_failure: false },
        downloads: Downloads {
            bytes_max: 5,
            refresh: None,
            credential_origins: CredentialOrigins::Only(vec![at("b"), at("c")]),
            allow: Some(vec![at("a")]),
        },
        web: Web {
            timeout: Duration::from_millis(2500),
            answer_timeout: Duration::from_secs(30),
            retry: Retry { total: 1, connect: 2, read: 3, backoff: Duration::from_millis(500) },
            skip_tls_verify: true,
            ca_bundle: Some("/work/ca".into()),
            server_errors_are_final: true,
            headers: Headers::default(),
            credentials: Credentials {
                username: crate::config::read::web::Given { file: Some("/work/user".into()), text: Some(Redacted("u".into())) },
                password: crate::config::read::web::Given { file: Some("/work/pass".into()), text: Some(Redacted("p".into())) },
                encoding: Encoding::Utf8,
            },
        },
        call: Some(Call {
            url: Redacted("http://c/reload".into()),
            method: "POST".into(),
            payload: Some(Redacted("\"text\"".into())),
            skips_initial: true,
        }),
        signal: Some(Signalling { signal: Signal::USR1, target: SignalTarget::Process("nginx".into()) }),
        exec: Some(Exec {
            labels: Selector::parse("app=x").unwrap(),
            namespace: "n".into(),
            container: Some("c".into()),
            command: vec!["a".into(), "b".into()],
            timeout: Duration::from_secs(5),
            retries: 0,
            only_ready: false,
            concurrency: 2,
        }),
        asked_pods: None,
        script: Some(Script { path: "/work/s.sh".into(), timeout: Duration::from_secs(9), environment: Environment::Clean, retries: 7 }),
        triggers: Triggers {
            start: true,
            files: false,
            pods: Some(PodTrigger { selector: Selector::label("app", Some("a")), delay: Duration::from_secs(1) }),
            secrets: Some(SecretTrigger { of_type: "Opaque".into(), selector: Selector::label("b", None), delay: Duration::from_secs(2) }),
        },
        child: None,
        react_output: Output::Always,
        on_reload_failure: OnReloadFailure::Unready,
        timing: Timing { batching: Batching::Window(Duration::from_secs(3)), on_start: false, jitter: Duration::from_millis(500) },
        list_retry: None,
        excuses_files: false,
        verify: Verify::Nothing,
        gzip_keys: true,
        object_annotations: false,
        file_mode: 0o440,
        folder_mode: 0o700,
        conflict: Order::Newest,
        adopt: Adopt::Never,
        instance: Some("one".into()),
        resync: None,
        watch_server_timeout: Duration::from_secs(60),
        watch_client_timeout: Duration::from_secs(70),
        health: Some(Health {
            host: Some(Ipv6Addr::LOCALHOST.into()),
            port: 9000,
            stale_after: Some(Duration::from_secs(90)),
            answers: Answers::Detailed,
        }),
        event_logging: true,
        finalizers: Some(Finalizers { name: "a.dev/new".into(), former: vec!["a.dev/old".into()] }),
        log: Log::to_stderr(LogLevel::Warn, LogFormat::Text),
        wording: Wording::Own,
        durability: Durability::Batch,
        ledger: LedgerPlace::Path("/tmp/ledger".into()),
        ledger_former: vec![LedgerPlace::Name("old.ledger".into()), LedgerPlace::Path("/work/sub/ledger".into())],
        prune_empty: true,
        staging: Some("/work/staging".into()),
        origin: Origin::Cluster { kubeconfig: Some("/work/k".into()) },
        source_settle: Duration::from_millis(500),
        warnings: vec![],
    };
    assert_eq!(read(&vars), Ok(expected));
}

pub(crate) fn at(host: &str) -> crate::config::read::web::Origin {
    crate::config::read::web::Origin { scheme: "http".into(), host: host.into(), port: 80 }
}

#[test]
fn a_set_but_empty_label_value_selects_the_empty_value() {
    let selector = |vars| read(vars).map(|config| config.selector);
    assert_eq!(selector(&[("LABEL_VALUE", "")]), Ok(Some(Selector::label("findme", Some("")))));
    assert_eq!(selector(&[]), Ok(Some(Selector::label("findme", None))));
}

#[test]
fn r14_telling_at_the_start_beats_what_would_be_left_out_and_says_so() {
    let told = |vars: &[(&str, &str)]| read(vars).map(|config| (config.timing.on_start, config.warnings));
    let (on_start, skips, url) = (("REACT_ON_START", "true"), ("REQ_SKIP_INIT", "true"), ("REQ_URL", "http://a/"));
    assert_eq!(told(&[on_start, url]), Ok((true, vec![])));
    assert_eq!(told(&[on_start, url, skips]), Ok((true, vec!["REQ_SKIP_INIT has no effect with REACT_ON_START=true".to_owned()])));
}

#[test]
fn once_is_one_list() {
    let config = exactly(&[("METHOD", "WATCH"), LEAST[0], LEAST[1]], &Flags { once: true, ..Flags::default() });
    assert_eq!(config, Ok(Config { method: Method::List, ..default_config() }));
}

#[test]
fn too_short_a_client_timeout_is_raised_and_told() {
    for (server, client, expected, warnings) in [("600", "604", 605, 1), ("600", "605", 605, 0), ("60", "60", 65, 1), ("700", "", 705, 1)] {
        let config = read(&[("WATCH_SERVER_TIMEOUT", server), ("WATCH_CLIENT_TIMEOUT", client)]).unwrap();
        assert_eq!((config.watch_client_timeout.as_secs(), config.warnings.len()), (expected, warnings), "{:?}", config.warnings);
    }
}

#[test]
fn health_port_beats_its_alias_and_says_so() {
    let ports = |vars| read(vars).map(|config| (config.health.map(|health| health.port), config.warnings.len()));
    assert_eq!(ports(&[("HEALTHCHECK_PORT", "1")]), Ok((Some(1), 0)));
    assert_eq!(ports(&[("HEALTHCHECK_PORT", "1"), ("HEALTH_PORT", "1")]), Ok((Some(1), 0)));
    assert_eq!(ports(&[("HEALTHCHECK_PORT", "1"), ("HEALTH_PORT", "2")]), Ok((Some(2), 1)));
    assert_eq!(ports(&[("LIVENESS", "no")]), Ok((None, 0)));
}

#[test]
fn verbose_and_debug_count_only_without_a_level() {
    let level = |vars| read(vars).map(|config| config.log.level);
    assert_eq!([level(&[("VERBOSE", "1")]), level(&[("DEBUG", "1"), ("VERBOSE", "0")])], [Ok(LogLevel::Debug), Ok(LogLevel::Debug)]);
    assert_eq!(level(&[("DEBUG", "true"), ("LOG_LEVEL", "error")]), Ok(LogLevel::Error));
}

#[test]
fn a_terminal_gets_text() {
    let context = Context { stderr_is_terminal: true, ..context() };
    let format =
        |vars: &[_]| Config::from_vars(owned(&[vars, &LEAST].concat()), &Flags::default(), &context).map(|config| config.log.format);
    assert_eq!(format(&[]), Ok(LogFormat::Text));
    assert_eq!(format(&[("LOG_FORMAT", "json")]), Ok(LogFormat::Json));
}

#[test]
fn manifests_have_neither_finalizers_nor_events() {
    let source = ("SOURCE", "examples");
    let expected = Config { origin: Origin::Manifests("/work/examples".into()), finalizers: None, ..default_config() };
    assert_eq!(read(&[source]), Ok(expected.clone()));
    let warnings = read(&[source, ("EVENT_LOGGING", "true"), ("FINALIZERS", "true")]).map(|config| config.warnings.len());
    assert_eq!(warnings, Ok(2));
    assert_eq!(read(&[source, ("EVENT_LOGGING", "false"), ("FINALIZERS", "false")]), Ok(expected));
}

#[test]
fn finalizers_can_be_off_and_stay_known_with_one_list() {
    assert_eq!(read(&[("FINALIZERS", "0")]).map(|config| config.finalizers), Ok(None));
    assert_eq!(read(&[("METHOD", "LIST")]).map(|config| config.finalizers), Ok(default_config().finalizers));
}

#[test]
fn other_selections_have_other_finalizers_and_the_same_selection_the_same() {
    let name = |vars| read(vars).map(|config| config.finalizers.unwrap().name).unwrap();
    let names = [
        name(&[]),
        name(&[("LABEL", "other")]),
        name(&[("LABEL_VALUE", "")]),
        name(&[("LABEL_VALUE", "yea")]),
        name(&[("NAMESPACE", "a")]),
        name(&[("NAMESPACE", "a,b")]),
    ];
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{names:?}");
    assert_eq!(name(&[("NAMESPACE", " b,a,b")]), names[5]);
    assert_eq!(name(&[("FOLDER", "/elsewhere"), ("INSTANCE", "x"), ("RESOURCE", "secret")]), names[0]);
}

#[test]
fn hashes_stay_the_same_in_every_release() {
    assert_eq!(selection_hash(&["findme", "ALL"]), "ad0fb7c4");
    assert_ne!(selection_hash(&["a", "b"]), selection_hash(&["ab"]));
}

#[test]
fn the_identity_is_the_instance_or_follows_the_selection() {
    let config = read(&[("NAMESPACE", "b,a"), ("LABEL_VALUE", "yea"), ("RESOURCE", "secret")]).unwrap();
    assert_eq!(config.selection(), "source=cluster label=findme=yea namespaces=a,b kinds=Secret");
    assert_eq!(config.identity(), selection_hash(&[&config.selection()]));
    assert_eq!(read(&[("INSTANCE", "one")]).map(|config| config.identity()), Ok("one".to_owned()));
}

#[test]
fn the_health_check_asks_where_the_endpoint_listens() {
    let address = |vars| health_address(owned(vars), "").map(|address| address.map(|address| address.to_string())).map_err(lines);
    assert_eq!(address(&[("METHOD", "FOO")]), Ok(Some("127.0.0.1:8080".into())));
    assert_eq!(address(&[("HEALTH_HOST", "::"), ("HEALTHCHECK_PORT", "1")]), Ok(Some("[::1]:1".into())));
    assert_eq!(address(&[("HEALTH_HOST", "0.0.0.0")]), Ok(Some("127.0.0.1:8080".into())));
    assert_eq!(address(&[("HEALTH_HOST", "10.0.0.1")]), Ok(Some("10.0.0.1:8080".into())));
    assert_eq!(address(&[("LIVENESS", "false")]), Ok(None));
    let unknown = "HEALTH_PORT: healthcheck has to know the port, 0 means any free one";
    assert_eq!(address(&[("HEALTH_PORT", "0")]), Err(vec![unknown.to_owned()]));
}

#[test]
fn what_is_not_utf8_is_no_setting() {
    use std::os::unix::ffi::OsStringExt;

    let folder = OsString::from_vec(b"/rules\xff".to_vec());
    let vars = [("FOLDER".into(), folder), ("LABEL".into(), "findme".into()), (OsString::from_vec(vec![0xff]), "x".into())];
    let problems = Config::from_vars(as_text(vars.into_iter()), &Flags::default(), &context()).map_err(lines);
    assert_eq!(problems, Err(vec!["FOLDER=\"/rules\u{fffd}\": expected text in UTF-8".to_owned()]));
}
