//! PROFILE=config-controller: its defaults, and the flags and variables of k8s-config-controller.

use super::tests::*;
use super::*;
use crate::config::read::web::{CredentialOrigins, Redacted};

const URL: (&str, &str) = ("REQ_URL", "http://c/reload");
const OBJECT: (&str, &str) = ("OBJECT", "configmap/n/a");

/// Reads these variables with PROFILE=config-controller.
fn controller(vars: &[(&str, &str)]) -> Result<Config, Vec<String>> {
    exactly(&[vars, &[("PROFILE", "config-controller")]].concat(), &Arguments::default())
}

/// Reads its flags.
fn by_flags(vars: &[(&str, &str)], given: &[(&'static str, &str)]) -> Result<Config, Vec<String>> {
    exactly(vars, &flags(given))
}

const ROOT: (&str, &str) = ("--configroot", "/config");
const RELOAD: (&str, &str) = ("--reload-http", "http://c/reload");

fn usual(configmap: &str) -> [(&'static str, &str); 3] {
    [ROOT, ("--configmap", configmap), RELOAD]
}

fn controller_config(namespace: &str) -> Config {
    let retry = Retry { connect: 5, ..default_config().web.retry };
    Config {
        web: WebSettings { retry, ..default_config().web },
        selector: None,
        objects: vec![ObjectKey::new(Kind::ConfigMap, namespace, "a")],
        folder: "/config".into(),
        request: Some(ReloadRequest {
            url: Redacted("http://c/reload".into()),
            method: "POST".into(),
            payload: None,
            skips_initial: false,
        }),
        downloads: Downloads { credential_origins: CredentialOrigins::Only(vec![at("c")]), ..default_config().downloads },
        on_reload_failure: OnReloadFailure::Unhealthy,
        finalizers: None,
        ..default_config()
    }
}

#[test]
fn the_profile_of_k8s_config_controller_is_one_table() {
    assert_eq!(controller(&[URL, OBJECT, ("FOLDER", "/config")]), Ok(controller_config("n")));
}

#[test]
fn its_flags_choose_the_profile_and_mean_our_settings() {
    assert_eq!(by_flags(&[], &usual("n/a")), Ok(controller_config("n")));
    assert_eq!(by_flags(&[], &usual("a")), Ok(controller_config("default")));
    let put = [&usual("a")[..], &[("--reload-http-method", "PUT")]].concat();
    assert_eq!(by_flags(&[], &put).map(|config| config.request.map(|call| call.method)), Ok(Some("PUT".to_owned())));
    // PROFILE says what else holds, and its flags keep their meaning.
    let config = by_flags(&[("PROFILE", "default"), LEAST[0]], &usual("a")).unwrap();
    assert_eq!((config.request.map(|call| call.method), config.objects.len()), (Some("GET".to_owned()), 1));
}

#[test]
fn its_flags_beat_our_variables_and_those_beat_the_variables_of_its_image() {
    let image = [
        ("CONFIG_CONTROLLER_CONFIGROOT", "/image"),
        ("CONFIG_CONTROLLER_CONFIGMAP", "n/a"),
        ("CONFIG_CONTROLLER_URL", "http://c/reload"),
        ("CONFIG_CONTROLLER_METHOD", "PATCH"),
    ];
    let folder = |config: Config| (config.folder.display().to_string(), config.request.map(|call| call.method));
    let patched = |folder: &str| Ok((folder.to_owned(), Some("PATCH".to_owned())));
    assert_eq!(controller(&image).map(folder), patched("/image"));
    assert_eq!(controller(&[&image[..], &[("FOLDER", "/ours")]].concat()).map(folder), patched("/ours"));
    assert_eq!(by_flags(&image, &usual("a")).map(folder), patched("/config"));
    // In its image, files go to /config unless they are sent elsewhere.
    assert_eq!(controller(&image[1..]).map(folder), patched("/config"));
    assert_eq!(controller(&image[1..3]), Ok(controller_config("n")));
    // Elsewhere they are not known.
    assert_eq!(read(&image), Ok(default_config()));
}

#[test]
fn the_name_of_its_program_picks_its_profile() {
    let context = Context { program: "k8s-config-controller".into(), ..context() };
    let vars = owned(&[URL, OBJECT, ("FOLDER", "/config")]);
    assert_eq!(Config::from_vars(vars, &Arguments::default(), &context).map_err(lines), Ok(controller_config("n")));
}

#[test]
fn an_object_a_folder_and_somebody_to_tell_are_required_and_no_label() {
    let problems = controller(&[]).unwrap_err();
    let starts = ["OBJECT is required: ", "FOLDER is required: ", "REQ_URL: nobody is told of changes: give a command after --, or a URL"];
    assert!(problems.len() == 3 && problems.iter().zip(starts).all(|(problem, start)| problem.starts_with(start)), "{problems:#?}");
    for told in [("SCRIPT", "/x"), ("SIGNAL_PROCESS", "nginx"), URL] {
        assert_eq!(controller(&[told, OBJECT, ("FOLDER", "/config")]).map(|_| ()), Ok(()), "{}", told.0);
    }
    let pods = [("EXEC_COMMAND", "x"), ("EXEC_LABELS", "app=x"), ("EXEC_NAMESPACE", "n"), OBJECT, ("FOLDER", "/config")];
    assert_eq!(controller(&pods).map(|config| config.exec.is_some()), Ok(true));
    let command = Arguments { child: vec!["nginx".into()], ..flags(&usual("a")[..2]) };
    assert_eq!(exactly(&[], &command).map(|config| (config.child.is_some(), config.request.is_some())), Ok((true, false)));
}

#[test]
fn problems_with_its_words_name_its_words() {
    let bad = [ROOT, ("--configmap", "a/b/c"), ("--reload-http", "ftp://x"), ("--reload-http-method", "DELETE")];
    let expected = [
        "--configmap=\"a/b/c\": expected NAME or NAMESPACE/NAME of a ConfigMap; without a namespace it is that named default",
        "--reload-http=\"***\": expected a URL that begins with http:// or https://",
        "--reload-http-method=\"DELETE\": expected GET, POST, PUT or PATCH",
    ];
    assert_eq!(by_flags(&[], &bad), Err(expected.map(str::to_owned).to_vec()));
    let problems = controller(&[("CONFIG_CONTROLLER_CONFIGMAP", "/"), URL]).unwrap_err();
    assert!(problems.len() == 1 && problems[0].starts_with("CONFIG_CONTROLLER_CONFIGMAP=\"/\": expected NAME"), "{problems:?}");
}

#[test]
fn flags_without_effect_are_told() {
    let config = by_flags(&[], &[&usual("a")[..], &[("--logtostderr", "")]].concat()).unwrap();
    assert!(config.warnings.len() == 1 && config.warnings[0].starts_with("--logtostderr has no effect"), "{:?}", config.warnings);
    let config = by_flags(&[], &[&usual("a")[..], &[("--kubeconfig", "/k")]].concat()).unwrap();
    assert_eq!(config.source, ObjectSource::Cluster { kubeconfig: Some("/k".into()) });
}

#[test]
fn with_named_objects_no_label_is_required_and_with_one_both_are_followed() {
    let named = exactly(&[OBJECT, LEAST[1]], &Arguments::default()).unwrap();
    assert_eq!((&named.selector, named.selection().as_str()), (&None, "source=cluster object=configmap/n/a"));
    let both = read(&[OBJECT, ("NAMESPACE", "m"), ("RESOURCE", "secret")]).unwrap();
    assert_eq!(both.selection(), "source=cluster label=findme namespaces=m kinds=Secret object=configmap/n/a");
    let follows = |config: &Config, kind, namespace: &str, name: &str, label: Option<&'static str>| {
        config.follows(&ObjectKey::new(kind, namespace, name), |_| label)
    };
    for config in [&named, &both] {
        assert!(follows(config, Kind::ConfigMap, "n", "a", None));
    }
    assert!(follows(&both, Kind::Secret, "m", "b", Some("x")) && !follows(&named, Kind::Secret, "m", "b", Some("x")));
    assert!(!follows(&both, Kind::Secret, "n", "b", Some("x")) && !follows(&both, Kind::ConfigMap, "m", "b", Some("x")));
    assert_eq!(both.places(), (vec![Kind::Secret, Kind::ConfigMap], Namespaces::Only(vec!["m".into(), "n".into()])));
    assert_eq!(named.places(), (vec![Kind::ConfigMap], Namespaces::Only(vec!["n".into()])));
    let arguments = flags(&[("--object", "configmap/n/a,secret/n/b,configmap/n/a")]);
    assert_eq!(exactly(&[LEAST[1]], &arguments).map(|config| config.objects.len()), Ok(2));
    let finalizer = |config: Config| config.finalizers.unwrap().name;
    assert!(finalizer(named) != finalizer(both.clone()) && finalizer(both) != finalizer(default_config()));
}

#[test]
fn files_of_named_objects_are_kept_unless_they_are_to_be_removed() {
    let kept = |on_delete: &str| read(&[OBJECT, ("ON_DELETE", on_delete)]).map(|config| config.kept().len());
    assert_eq!([kept(""), kept("keep"), kept("remove")], [Ok(1), Ok(1), Ok(0)]);
}

#[test]
fn commands_that_only_look_need_nobody_to_tell() {
    let vars =
        || [OBJECT, ("FOLDER", "/config"), ("PROFILE", "config-controller")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    let looks = Context { looks: Looks::Only, ..context() };
    assert!(Config::from_vars(vars().into_iter(), &Arguments::default(), &looks).is_ok());
    assert!(Config::from_vars(vars().into_iter(), &Arguments::default(), &context()).is_err());
}
