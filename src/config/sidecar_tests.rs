//! PROFILE=k8s-sidecar: its defaults, and how it reads values.

use super::tests::*;
use super::*;
use crate::config::read::reload::Timing;
use crate::config::read::web::CredentialOrigins;
use crate::core::files::project::FileNames;
use crate::core::policy::{Batching, Precedence};
/// Reads these variables with PROFILE=k8s-sidecar.
fn sidecar(vars: &[(&str, &str)]) -> Result<Config, Vec<String>> {
    exactly(&[vars, &[("PROFILE", "k8s-sidecar"), ("FOLDER", "/rules")]].concat(), &Arguments::default())
}

fn sidecar_config() -> Config {
    let default = default_config();
    Config {
        selector: Some(Selector::label("l", None)),
        namespaces: Namespaces::Only(vec!["own".into()]),
        kinds: vec![Kind::ConfigMap],
        files: FileSettings { allowed_folders: vec!["/".into()], ..default.files.clone() },
        resync: Some(Duration::from_secs(60)),
        watch_server_timeout: Duration::from_secs(60),
        watch_client_timeout: Duration::from_secs(66),
        urls: Urls::Follow { empty_at_first_failure: true },
        downloads: Downloads { refresh: Some(Duration::from_secs(60)), ..default.downloads.clone() },
        timing: Timing { batching: Batching::Each, ..default.timing },
        list_retry: Some(default.web.retry),
        excuses_files: true,
        finalizers: None,
        ownership: OwnershipSettings { conflict: Precedence::Newest, ledger: LedgerPlace::In("/tmp".into()), ..default.ownership.clone() },
        wording: Wording::Sidecar,
        health: default.health.map(|health| HealthSettings { answers: Answers::Plain, ..health }),
        log: LogSettings {
            zone: crate::config::read::log::LogZone::Local,
            ..LogSettings::to_stderr(LogLevel::Info, LogFormat::SidecarJson)
        },
        ..default
    }
}

#[test]
fn the_profile_of_k8s_sidecar_is_one_table() {
    assert_eq!(sidecar(&[("LABEL", "l")]), Ok(sidecar_config()));
}

#[test]
fn the_name_of_the_program_picks_the_profile_unless_a_variable_does() {
    let read = |vars: &[(&str, &str)]| {
        let context = Context { program: "k8s-sidecar".into(), ..context() };
        Config::from_vars(owned(&[vars, &[("LABEL", "l"), ("FOLDER", "/rules")]].concat()), &Arguments::default(), &context)
    };
    assert_eq!(read(&[]), Ok(sidecar_config()));
    assert_eq!(read(&[("PROFILE", "")]), Ok(sidecar_config()));
    assert_eq!(read(&[("PROFILE", "default")]).map(|config| config.kinds.len()), Ok(2));
}

#[test]
fn c3_outside_of_a_pod_the_namespace_is_that_of_the_kubeconfigs_context() {
    let read = |own: Option<&str>, of_context: Option<&str>| {
        let context = Context { own_namespace: own.map(Into::into), kubeconfig_namespace: of_context.map(Into::into), ..context() };
        let vars = [("PROFILE", "k8s-sidecar"), ("LABEL", "l"), ("FOLDER", "/rules")];
        Config::from_vars(owned(&vars), &Arguments::default(), &context).map(|config| config.namespaces).map_err(lines)
    };
    assert_eq!(read(None, Some("theirs")), Ok(Namespaces::Only(vec!["theirs".into()])));
    assert_eq!(read(Some("own"), Some("theirs")), Ok(Namespaces::Only(vec!["own".into()])));
    assert!(read(None, None).is_err_and(|problems| problems[0].starts_with("NAMESPACE: outside of a pod")));
}

#[test]
fn k8s_sidecar_labels_are_selectors() {
    let selector = |vars: &[(&str, &str)]| sidecar(vars).map(|config| config.selector.unwrap().to_string());
    for (label, value, expected) in [("a=1,!b", "", "a=1,!b"), ("x in (1,2)", "", "x in (1,2)"), ("a=1,b", "2", "a=1,b=2"), ("", "", "")] {
        assert_eq!(selector(&[("LABEL", label), ("LABEL_VALUE", value)]), Ok(expected.to_owned()));
    }
    assert!(sidecar(&[]).is_err_and(|problems| problems[0].starts_with("LABEL is required")));
    assert!(selector(&[("LABEL", "a b")]).is_err_and(|problems| problems[0].contains("a label selector")));
}

#[test]
fn k8s_sidecar_words_are_read_as_it_reads_them() {
    let read = |name: &str, value: &str| sidecar(&[("LABEL", "l"), (name, value)]).unwrap();
    for (value, names, warnings) in
        [("True", FileNames::UniqueSidecar, 0), ("1", FileNames::Key, 1), ("false", FileNames::Key, 0), ("", FileNames::Key, 0)]
    {
        let config = read("UNIQUE_FILENAMES", value);
        assert_eq!((config.files.names, config.warnings.len()), (names, warnings), "{value}");
    }
    assert!(read("SKIP_TLS_VERIFY", "true").verify == Verify::Nothing && read("SKIP_TLS_VERIFY", "True").verify == Verify::AsConfigured);
    for (value, method) in [("LIST", Method::List), ("list", Method::Watch), ("", Method::Watch), ("WATCH", Method::Watch)] {
        assert_eq!(read("METHOD", value).method, method, "{value}");
    }
    for (value, mode) in [("444", 0o444), ("0o600", 0o600), ("4", 4), ("", 0o644)] {
        assert_eq!(read("DEFAULT_FILE_MODE", value).files.file_mode, mode, "{value}");
    }
    let only = |names: &[&str]| Namespaces::Only(names.iter().map(|name| (*name).to_owned()).collect());
    for (value, namespaces) in [("", only(&["own"])), ("b, a,", only(&["a", "b"])), ("ALL,a", Namespaces::All), ("all", only(&["all"]))] {
        assert_eq!(read("NAMESPACE", value).namespaces, namespaces, "{value}");
    }
    assert_eq!((read("FOLDER_ANNOTATION", "").files.folder_annotation.as_str(), read("REQ_PAYLOAD", "").request), ("", None));
    let timeouts = |config: Config| (config.resync, config.watch_client_timeout.as_secs(), config.warnings.len());
    assert_eq!(timeouts(read("WATCH_CLIENT_TIMEOUT", "60")), (Some(Duration::from_secs(60)), 65, 0));
    assert_eq!(timeouts(read("WATCH_SERVER_TIMEOUT", "300")), (Some(Duration::from_secs(300)), 305, 0));
    assert_eq!(timeouts(read("RESYNC", "0")), (None, 66, 0));
    for (name, value) in [("HEALTH_PORT", "tcp://10.0.0.1:80"), ("HEALTH_HOST", "localhost")] {
        let config = read(name, value);
        assert_eq!((config.health, config.warnings.len()), (None, 1), "{name}");
    }
    assert!(sidecar(&[("LABEL", "l"), ("RESOURCE", "configmaps")]).is_err());
}

#[test]
fn k8s_sidecar_hooks_run_per_object_unless_a_window_is_asked_for() {
    let batching = |vars: &[(&str, &str)]| sidecar(&[vars, &[("LABEL", "l")]].concat()).map(|config| config.timing.batching);
    assert_eq!(batching(&[]), Ok(Batching::Each));
    assert_eq!(batching(&[("REQ_ONCE_PER_BATCH", "true")]), Ok(Batching::Window(Duration::from_millis(200))));
    assert_eq!(batching(&[("REACT_WINDOW", "1.5")]), Ok(Batching::Window(Duration::from_millis(1500))));
    assert_eq!(batching(&[("REACT_WINDOW", "0"), ("REQ_ONCE_PER_BATCH", "true")]), Ok(Batching::Each));
    let method = |value: &str| {
        let config = sidecar(&[("LABEL", "l"), ("REQ_URL", "http://x"), ("REQ_METHOD", value)]).unwrap();
        (config.request.map(|call| call.method), config.warnings.len())
    };
    assert_eq!(method("post"), (Some("POST".into()), 0));
    assert_eq!(method("DELETE"), (None, 1));
    assert_eq!(method(""), (Some("GET".into()), 0));
}

#[test]
fn credentials_go_to_the_origin_of_req_url_and_to_those_that_are_listed() {
    let given = [("LABEL", "l"), ("REQ_USERNAME", "u"), ("REQ_PASSWORD", "p")];
    let read = |vars: &[(&str, &str)]| {
        let config = sidecar(&[vars, &given].concat()).unwrap();
        (config.downloads.credential_origins, config.warnings)
    };
    assert_eq!(read(&[("REQ_URL", "http://c:80/x")]), (CredentialOrigins::Only(vec![at("c")]), vec![]));
    let listed = [("REQ_URL", "http://c/x"), ("URL_CREDENTIAL_ORIGINS", "http://b")];
    assert_eq!(read(&listed), (CredentialOrigins::Only(vec![at("b"), at("c")]), vec![]));
    assert_eq!(read(&[("REQ_URL", "http://c/x"), ("URL_CREDENTIAL_ORIGINS", "*")]), (CredentialOrigins::Any, vec![]));
    let (origins, warnings) = read(&[]);
    assert_eq!(origins, CredentialOrigins::Any);
    assert!(warnings.len() == 1 && warnings[0].contains("URL_CREDENTIAL_ORIGINS"), "{warnings:?}");
}

#[test]
fn names_of_objects_need_a_namespace_and_must_mean_something() {
    let read = |vars: &[(&str, &str)]| sidecar(&[vars, &[("LABEL", "l")]].concat());
    let named = read(&[("RESOURCE_NAME", "a,secret/b")]).unwrap().named;
    assert_eq!(named.iter().map(|item| item.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    let everywhere = read(&[("RESOURCE_NAME", "a"), ("NAMESPACE", "ALL")]).unwrap();
    assert_eq!((everywhere.named.len(), everywhere.warnings.len()), (0, 1));
    assert!(read(&[("RESOURCE_NAME", "secret/b")]).is_err_and(|problems| problems[0].starts_with("RESOURCE_NAME: no item")));
    assert!(read(&[("RESOURCE_NAME", "other/configmap/b")]).is_err());
}

#[test]
fn log_config_is_a_file_that_is_read_or_a_problem() {
    let read = |file: Option<Result<String, String>>| {
        let vars = [("PROFILE", "k8s-sidecar"), ("LABEL", "l"), ("FOLDER", "/rules"), ("LOG_CONFIG", "/etc/log.yaml")];
        let context = Context { log_config: file, ..context() };
        Config::from_vars(owned(&vars), &Arguments::default(), &context).map_err(lines)
    };
    let text = "version: 1\nhandlers: {h: {class: logging.StreamHandler, formatter: LOGFMT}}\nroot: {level: DEBUG, handlers: [h]}\n";
    assert_eq!(read(Some(Ok(text.to_owned()))).unwrap().log.level, LogLevel::Debug);
    for file in [None, Some(Err("no such file".to_owned())), Some(Ok("[".to_owned()))] {
        assert!(read(file).is_err_and(|problems| problems[0].starts_with("LOG_CONFIG=")));
    }
}

#[test]
fn objects_are_followed_by_their_names_or_else_by_their_labels() {
    let follows = |vars: &[(&str, &str)], kind, name: &str, label: Option<&'static str>| {
        let config = read(&[&[("NAMESPACE", "n")], vars].concat()).unwrap();
        config.follows(&ObjectKey::new(kind, "n", name), |_| label)
    };
    assert!(follows(&[], Kind::Secret, "a", Some("x")));
    assert!(!follows(&[], Kind::Secret, "a", None));
    for (names, expected) in [("a", true), ("secret/a", true), ("n/secret/a", true), ("configmap/a", false), ("b", false)] {
        for label in [None, Some("x")] {
            assert_eq!(follows(&[("RESOURCE_NAME", names)], Kind::Secret, "a", label), expected, "{names}, {label:?}");
        }
    }
}
