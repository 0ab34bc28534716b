//! The whole way from variables and flags to a configuration or its problems.

use std::collections::BTreeSet;

use super::*;
use crate::config::context::as_text;
use crate::config::read::origin::Origin;
use crate::config::read::reload::Timing;
use crate::config::read::{files, web};
use crate::config::setting::Fallback;
use crate::config::table::SETTINGS;
use crate::core::policy::Batching;

pub(crate) const LEAST: [(&str, &str); 2] = [("LABEL", "findme"), ("FOLDER", "/rules")];

pub(crate) fn owned(vars: &[(&str, &str)]) -> std::vec::IntoIter<(String, String)> {
    vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect::<Vec<_>>().into_iter()
}

pub(crate) fn context() -> Context {
    Context {
        looks: Looks::ToAct,
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
pub(crate) fn exactly(vars: &[(&str, &str)], arguments: &Arguments) -> Result<Config, Vec<String>> {
    Config::from_vars(owned(vars), arguments, &context()).map_err(lines)
}

/// Reads these variables, with LABEL and FOLDER where they give none.
pub(crate) fn read(vars: &[(&str, &str)]) -> Result<Config, Vec<String>> {
    exactly(&[vars, &LEAST].concat(), &Arguments::default())
}

pub(crate) fn lines(problems: Problems) -> Vec<String> {
    problems.to_string().lines().map(str::to_owned).collect()
}

/// Flags of the command line.
pub(crate) fn flags(given: &[(&'static str, &str)]) -> Arguments {
    Arguments { flags: given.iter().map(|(name, value)| (*name, (*value).to_owned())).collect(), child: Vec::new() }
}

/// What holds with LABEL and FOLDER alone.
pub(crate) fn default_config() -> Config {
    Config {
        selector: Some(Selector::label("findme", None)),
        objects: vec![],
        on_delete: OnDelete::Keep,
        folder: "/rules".into(),
        files: files::tests::files(),
        ownership: files::tests::ownership(),
        namespaces: Namespaces::All,
        own_namespace: Some("own".into()),
        kinds: Kind::ALL.to_vec(),
        method: Method::Watch,
        poll: Duration::from_secs(60),
        named: vec![],
        urls: Urls::Plain,
        downloads: web::tests::downloads(),
        web: web::tests::web(),
        request: None,
        signal: None,
        exec: None,
        asked_pods: None,
        script: None,
        triggers: TriggerSettings { files: true, start: false, pods: None, secrets: None },
        child: None,
        react_output: ReactOutput::Guarded,
        on_reload_failure: OnReloadFailure::Report,
        timing: Timing { batching: Batching::Window(Duration::from_millis(200)), on_start: false, jitter: Duration::ZERO },
        list_retry: None,
        excuses_files: false,
        verify: Verify::AsConfigured,
        resync: Some(Duration::from_secs(600)),
        watch_server_timeout: Duration::from_secs(600),
        watch_client_timeout: Duration::from_secs(660),
        health: Some(HealthSettings { host: None, port: 8080, stale_after: None, answers: Answers::Detailed, metrics: true }),
        status: None,
        event_logging: false,
        finalizers: Some(Finalizers { name: "kube-projector.dev/ad0fb7c4".into(), former: vec![] }),
        dry_run: false,
        log: LogSettings::to_stderr(LogLevel::Info, LogFormat::Json),
        wording: Wording::Own,
        source: ObjectSource::Cluster { kubeconfig: None },
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
            let config = read(&[(setting.name, value)]).map(|config| Config { warnings: vec![], ..config });
            assert_eq!(config, Ok(default_config()), "{}={value}", setting.name);
        }
    }
}

// What can be set, subject by subject; files, other servers and what is told have tests beside what reads them.

#[test]
fn everything_about_objects_can_be_set() {
    let vars = [
        ("LABEL_VALUE", "yea"),
        ("NAMESPACE", "b, a,b"),
        ("RESOURCE", "secret"),
        ("METHOD", "sleep"),
        ("SLEEP_TIME", "5"),
        ("SOURCE_SETTLE", "0.5"),
        ("KUBECONFIG", "k"),
        ("RESOURCE_NAME", "secret/x"),
        ("OBJECT", "secret/n/y"),
        ("ON_DELETE", "Remove"),
        ("FINALIZER_NAME", "a.dev/new"),
        ("FINALIZER_FORMER", "a.dev/old,a.dev/new"),
        ("EVENT_LOGGING", "TRUE"),
    ];
    let expected = Config {
        selector: Some(Selector::label("findme", Some("yea"))),
        objects: vec![ObjectKey::new(Kind::Secret, "n", "y")],
        on_delete: OnDelete::Remove,
        namespaces: Namespaces::Only(vec!["a".into(), "b".into()]),
        kinds: vec![Kind::Secret],
        method: Method::Sleep(Duration::from_secs(5)),
        poll: Duration::from_secs(5),
        named: vec![NamedObject { namespace: None, kind: Some(Kind::Secret), name: "x".into() }],
        source: ObjectSource::Cluster { kubeconfig: Some("/work/k".into()) },
        source_settle: Duration::from_millis(500),
        event_logging: true,
        finalizers: Some(Finalizers { name: "a.dev/new".into(), former: vec!["a.dev/old".into()] }),
        warnings: vec!["SOURCE_SETTLE has no effect while SOURCE is no folder".to_owned()],
        ..default_config()
    };
    assert_eq!(read(&vars), Ok(expected));
}

#[test]
fn everything_about_watches_health_and_log_can_be_set() {
    let vars = [
        ("SKIP_TLS_VERIFY", "true"),
        ("WATCH_SERVER_TIMEOUT", "60"),
        ("WATCH_CLIENT_TIMEOUT", "70"),
        ("HEALTH_PORT", "9000"),
        ("HEALTH_HOST", "::1"),
        ("HEALTH_STALE_AFTER", "90"),
        ("STATUS_ADDR", "[::1]:9090"),
        ("METRICS", "no"),
        ("LOG_LEVEL", "Warning"),
        ("LOG_FORMAT", "text"),
        ("DEBUG", "1"),
    ];
    let host = Some(std::net::Ipv6Addr::LOCALHOST.into());
    let expected = Config {
        verify: Verify::Nothing,
        watch_server_timeout: Duration::from_secs(60),
        watch_client_timeout: Duration::from_secs(70),
        health: Some(HealthSettings {
            host,
            port: 9000,
            stale_after: Some(Duration::from_secs(90)),
            answers: Answers::Detailed,
            metrics: false,
        }),
        status: Some("[::1]:9090".parse().unwrap()),
        log: LogSettings::to_stderr(LogLevel::Warn, LogFormat::Text),
        warnings: vec!["DEBUG has no effect with LOG_LEVEL".to_owned()],
        ..default_config()
    };
    assert_eq!(read(&vars), Ok(expected));
}

pub(crate) fn at(host: &str) -> Origin {
    Origin { scheme: "http".into(), host: host.into(), port: 80 }
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
    let config = exactly(&[("METHOD", "WATCH"), LEAST[0], LEAST[1]], &flags(&[("--once", "LIST")]));
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
fn a_port_that_kubernetes_gives_for_a_service_is_ignored_and_told() {
    let health = |name: &str, value: &str, profile: &str| {
        let config = read(&[("PROFILE", profile), (name, value)]).unwrap();
        (config.health.map(|health| health.port), config.warnings)
    };
    for (name, service) in [("HEALTH_PORT", "health"), ("HEALTHCHECK_PORT", "healthcheck")] {
        for value in ["tcp://10.0.0.1:80", "udp://[fd00::1]:53", "sctp://10.0.0.1:9"] {
            let (port, warnings) = health(name, value, "default");
            assert_eq!((port, warnings.len()), (Some(8080), 1), "{name}={value}");
            assert!(
                warnings[0]
                    .starts_with(&format!("{name} is ignored: it is what Kubernetes gives every pod for a Service named {service} "))
            );
            assert!(!warnings[0].contains("://"), "{warnings:?}");
        }
    }
    // The other name counts as if there were none, also for whoever asks.
    let vars = [("HEALTH_PORT", "tcp://10.0.0.1:80"), ("HEALTHCHECK_PORT", "9000")];
    assert_eq!(read(&vars).unwrap().health.map(|health| health.port), Some(9000));
    assert_eq!(health_address(owned(&vars), "").map(|address| address.unwrap().port()).map_err(lines), Ok(9000));
    // k8s-sidecar serves nothing then.
    assert_eq!(health("HEALTH_PORT", "tcp://10.0.0.1:80", "k8s-sidecar").0, None);
    assert_eq!(health("HEALTHCHECK_PORT", "tcp://10.0.0.1:80", "k8s-sidecar").0, Some(8080));
    for value in ["tcp", "http://10.0.0.1:80", "tcp:80", " tcp://10.0.0.1:80"] {
        assert!(read(&[("HEALTH_PORT", value)]).is_err(), "{value}");
    }
}

#[test]
fn a_variable_that_is_nearly_a_setting_is_told_without_its_value() {
    let vars = [
        ("LABLE", "canary"),
        ("REQ_URI", "http://canary"),
        ("NAMESPACES", "canary"),
        ("NODE_NAME", "canary"),
        ("LABEL_SERVICE_HOST", "10.0.0.1"),
        ("FOLDR_PORT", "tcp://10.0.0.1:80"),
        ("DOVECOT_NAMESPACE", "canary"),
    ];
    let told = |(name, meant)| format!("{name} is no setting: did you mean {meant}?");
    let expected = [("LABLE", "LABEL"), ("NAMESPACES", "NAMESPACE"), ("REQ_URI", "REQ_URL")].map(told);
    assert_eq!(read(&vars), Ok(Config { warnings: expected.to_vec(), ..default_config() }));
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
        |vars: &[_]| Config::from_vars(owned(&[vars, &LEAST].concat()), &Arguments::default(), &context).map(|config| config.log.format);
    assert_eq!(format(&[]), Ok(LogFormat::Text));
    assert_eq!(format(&[("LOG_FORMAT", "json")]), Ok(LogFormat::Json));
}

#[test]
fn manifests_have_neither_finalizers_nor_events() {
    let source = ("SOURCE", "examples");
    let expected = Config { source: ObjectSource::Manifests("/work/examples".into()), finalizers: None, ..default_config() };
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

    let folder = std::ffi::OsString::from_vec(b"/rules\xff".to_vec());
    let vars = [("FOLDER".into(), folder), ("LABEL".into(), "findme".into()), (std::ffi::OsString::from_vec(vec![0xff]), "x".into())];
    let problems = Config::from_vars(as_text(vars.into_iter()), &Arguments::default(), &context()).map_err(lines);
    assert_eq!(problems, Err(vec!["FOLDER=\"/rules\u{fffd}\": expected text in UTF-8".to_owned()]));
}

#[test]
fn whoever_asks_the_status_page_has_to_know_where_it_is() {
    let address = |vars: &[(&str, &str)]| {
        let vars = vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        status_address(vars, "").map(|address| address.to_string()).map_err(|problems| problems.to_string())
    };
    assert_eq!(address(&[("STATUS_ADDR", "localhost:81"), ("HEALTH_PORT", "x")]), Ok("127.0.0.1:81".into()));
    for vars in [&[][..], &[("STATUS_ADDR", "127.0.0.1:0")], &[("STATUS_ADDR", "0.0.0.0:81")]] {
        assert!(address(vars).is_err_and(|problems| problems.contains("STATUS_ADDR")), "{vars:?}");
    }
}
