//! Contract 1.1 and 1.2: what variables and flags mean, and what ends the program before it begins.

use serde_json::json;

use super::{plain, sidecar};
use crate::common::{Setup, started};
use crate::support::*;

/// Labels of the objects `one`, `two` and `three`; each has a file of its name.
const LABELLED: [(&str, &[(&str, &str)]); 3] = [("one", &[("a", "1")]), ("two", &[("a", "2"), ("b", "1")]), ("three", &[("c", "x")])];

/// Which objects LABEL and LABEL_VALUE select.
fn selected(label: &str, value: Option<&str>, expected: &[&str]) {
    let setup = Setup::new();
    for (name, labels) in LABELLED {
        let draft = setup.cluster.configmap(name, &[(name, "1")]).unlabelled();
        labels.iter().fold(draft, |draft, (key, value)| draft.label(key, value)).create();
    }
    let builder = sidecar(&setup).env("LABEL", label);
    let _projector = started(&value.map_or(builder.clone(), |value| builder.env("LABEL_VALUE", value)));
    let mut found = tree(&setup.folder());
    // A real cluster puts one into every namespace.
    found.remove("ca.crt");
    let mut expected: Vec<_> = expected.iter().map(|name| (*name).to_owned()).collect();
    expected.sort();
    assert_eq!(found.into_keys().collect::<Vec<_>>(), expected, "LABEL={label:?} LABEL_VALUE={value:?}");
}

#[test]
fn keep_1_2_label_is_a_selector_and_the_empty_one_selects_everything() {
    selected("a", None, &["one", "two"]);
    selected("a=1", None, &["one"]);
    selected("a,!b", None, &["one"]);
    selected("a=2,b", None, &["two"]);
    selected("a in (1,2)", None, &["one", "two"]);
    selected("a notin (1),b!=2", None, &["two", "three"]);
    selected("", None, &["one", "two", "three"]);
}

#[test]
fn keep_1_2_label_value_is_appended_and_the_empty_one_is_none() {
    selected("a", Some("2"), &["two"]);
    selected("a", Some(""), &["one", "two"]);
    selected("a=2,b", Some("1"), &["two"]);
}

/// Folder of an object with the usual annotation and one called `mine`.
fn annotated(setting: Option<&str>, expected: &str) {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("a", "1")]).target("usual").annotation("mine", "other").create();
    let builder = sidecar(&setup);
    let _projector = started(&setting.map_or(builder.clone(), |name| builder.env("FOLDER_ANNOTATION", name)));
    assert_tree(&setup.folder(), &tree! { expected => "1" });
}

#[test]
fn keep_1_2_folder_annotation_has_a_name_and_the_empty_one_never_matches() {
    annotated(None, "usual/a");
    annotated(Some("mine"), "other/a");
    annotated(Some(""), "a");
}

/// NAMESPACE as a function of two namespaces, and whose files there are.
fn namespaces(setting: &str, expected: &Tree) {
    let setup = Setup::new();
    let (first, second) = (setup.cluster.namespace().to_owned(), setup.cluster.create_namespace());
    let label = format!("find-{first}");
    for (namespace, key) in [(&first, "first"), (&second, "second")] {
        setup.cluster.configmap("a", &[(key, "1")]).in_namespace(namespace).label(&label, "").create();
    }
    let setting = setting.replace("N1", &first).replace("N2", &second);
    let _projector = started(&sidecar(&setup).env("LABEL", &label).env("NAMESPACE", &setting));
    assert_eq!(tree_with_dots(&setup.folder()), *expected, "{setting}");
}

#[test]
fn keep_1_2_namespaces_are_a_list_or_all_and_fix_1_2_trimmed() {
    let both = tree! { "first" => "1", "second" => "1" };
    namespaces("N2", &tree! { "second" => "1" });
    namespaces("N1,N2", &both);
    namespaces(" N2 , N1,,N2", &both);
    namespaces("ALL", &both);
    namespaces("ALL,N1", &both);
}

#[test]
fn fix_1_2_each_namespace_is_asked_once() {
    let setup = Setup::in_process();
    let namespace = setup.cluster.namespace();
    let _projector = started(&plain(&setup).env("NAMESPACE", &format!("{namespace}, {namespace}")));
    assert_eq!(setup.cluster.server().counts_of("configmaps").stream_lists, 1);
}

#[test]
fn fix_1_2_empty_namespace_is_as_unset() {
    let setup = Setup::in_process();
    let lines: Vec<_> = [Some(""), Some(" , "), None]
        .into_iter()
        .map(|value| {
            let builder = plain(&setup).without("NAMESPACE");
            let finished = value.map_or(builder.clone(), |value| builder.env("NAMESPACE", value)).run();
            // No service account is mounted here, and so there is no namespace of our own.
            assert_eq!(finished.code, Some(2), "{}", finished.stderr);
            finished.stderr
        })
        .collect();
    assert!(lines.iter().all(|line| *line == lines[0] && line.starts_with("NAMESPACE")), "{lines:?}");
    assert_eq!(setup.cluster.server().requests().len(), 0);
}

#[test]
fn keep_1_2_resource_is_configmap_secret_or_both() {
    let (map, secret) = (tree! { "map" => "1" }, tree! { "secret" => "1" });
    let both = tree! { "map" => "1", "secret" => "1" };
    for (resource, expected) in
        [(None, &map), (Some(""), &map), (Some("configmap"), &map), (Some("secret"), &secret), (Some("both"), &both)]
    {
        let setup = Setup::new();
        setup.cluster.configmap("a", &[("map", "1")]).create();
        setup.cluster.secret("a", &[("secret", "1")]).create();
        let _projector = started(&resource.map_or(plain(&setup), |kinds| plain(&setup).env("RESOURCE", kinds)));
        assert_tree(&setup.folder(), expected);
    }
}

#[test]
fn keep_1_2_kind_that_is_not_named_is_never_asked_for() {
    let setup = Setup::in_process();
    let account = setup.cluster.restricted(&[("", "configmaps", super::READ)]);
    setup.cluster.configmap("a", &[("a", "1")]).create();
    let projector = started(&plain(&setup).kubeconfig(&account.kubeconfig));
    assert_tree(&setup.folder(), &tree! { "a" => "1" });
    assert!(setup.cluster.server().requests().iter().all(|request| request.resource == "configmaps" && request.status == 200));
    assert!(!projector.output().contains("WARNING"), "{}", projector.output());
}

#[test]
fn keep_1_2_booleans_are_true_in_any_case_and_false_otherwise() {
    for (word, unique) in [("true", true), ("TRUE", true), ("False", false), ("1", false), ("yes", false), ("", false)] {
        let setup = Setup::new();
        setup.cluster.configmap("a", &[("a", "1")]).create();
        let _projector = started(&sidecar(&setup).env("UNIQUE_FILENAMES", word));
        let name = if unique { format!("namespace_{}.configmap_a.a", setup.cluster.namespace()) } else { "a".to_owned() };
        assert_eq!(tree(&setup.folder()), tree! { name => "1" }, "{word:?}");
    }
}

/// Every variable of the original that has a default.
const OPTIONAL: &str = "LABEL_VALUE FOLDER_ANNOTATION RESOURCE RESOURCE_NAME METHOD SLEEP_TIME ERROR_THROTTLE_SLEEP REQ_URL REQ_METHOD \
    REQ_PAYLOAD REQ_RETRY_TOTAL REQ_RETRY_CONNECT REQ_RETRY_READ REQ_RETRY_BACKOFF_FACTOR REQ_TIMEOUT REQ_USERNAME REQ_PASSWORD \
    REQ_USERNAME_FILE REQ_PASSWORD_FILE REQ_BASIC_AUTH_ENCODING UNIQUE_FILENAMES ENABLE_5XX REQ_SKIP_INIT IGNORE_ALREADY_PROCESSED \
    DISABLE_X509_STRICT_VERIFICATION SKIP_TLS_VERIFY REQ_SKIP_TLS_VERIFY DEFAULT_FILE_MODE WATCH_SERVER_TIMEOUT WATCH_CLIENT_TIMEOUT \
    LOG_LEVEL LOG_FORMAT LOG_TZ LOG_CONFIG HEALTH_HOST FOLDER_PER_NAMESPACE SCRIPT";

#[test]
fn keep_1_2_empty_variables_are_as_unset_and_unknown_ones_are_ignored() {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("a", "1")]).create();
    let builder = OPTIONAL.split_whitespace().fold(plain(&setup), |builder, name| builder.env(name, ""));
    let projector = started(&builder.env("SOME_OTHER_VARIABLE", "1").env("KUBERNETES_SERVICE_HOST", ""));
    assert_tree(&setup.folder(), &tree! { "a" => "1" });
    assert_eq!(projector.health().0, 200);
}

#[test]
fn fix_1_1_settings_that_are_missing_or_wrong_end_with_2_and_name_the_variable() {
    let setup = Setup::in_process();
    let missing = [("LABEL", None), ("FOLDER", None)];
    let wrong = [
        ("LABEL", "a in (1"),
        ("RESOURCE", "configmaps"),
        ("LOG_LEVEL", "LOUD"),
        ("LOG_FORMAT", "XML"),
        ("REQ_RETRY_TOTAL", "many"),
        ("REQ_RETRY_CONNECT", "many"),
        ("REQ_RETRY_BACKOFF_FACTOR", "much"),
        ("REQ_TIMEOUT", "soon"),
        ("DEFAULT_FILE_MODE", "9x9"),
        ("SLEEP_TIME", "a while"),
        ("WATCH_SERVER_TIMEOUT", "a while"),
        ("WATCH_CLIENT_TIMEOUT", "a while"),
        ("LOG_CONFIG", "/nowhere/log.yaml"),
    ];
    let wrong = wrong.into_iter().map(|(name, value)| (name, Some(value)));
    for (name, value) in missing.into_iter().chain(wrong) {
        let builder = sidecar(&setup).env("METHOD", "SLEEP");
        let finished = value.map_or(builder.clone().without(name), |value| builder.env(name, value)).run();
        assert_eq!(finished.code, Some(2), "{name}={value:?}: {}", finished.stderr);
        assert!(finished.stderr.starts_with(name), "{name}={value:?}: {}", finished.stderr);
    }
    assert_eq!(setup.cluster.server().requests().len(), 0);
}

#[test]
fn keep_1_1_flags_are_those_of_the_original_and_others_end_with_2() {
    let setup = Setup::new();
    std::fs::write(setup.beside("word"), "word\n").unwrap();
    setup.cluster.configmap("a", &[("a", "1")]).create();
    let word = setup.beside("word").display().to_string();
    let builder = plain(&setup).env("METHOD", "LIST");
    assert_eq!(builder.clone().args(&["--req-username-file", &word, "--req-password-file", &word]).run().code, Some(0));
    assert_tree(&setup.folder(), &tree! { "a" => "1" });
    assert_eq!(builder.clone().arg("-h").run().code, Some(0));
    assert_eq!(builder.arg("--no-such-flag").run().code, Some(2));
}

#[test]
fn keep_1_2_kubeconfig_is_looked_for_in_the_home() {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("a", "1")]).create();
    std::fs::create_dir(setup.beside(".kube")).unwrap();
    std::fs::copy(setup.cluster.kubeconfig(), setup.beside(".kube/config")).unwrap();
    let _projector = started(&plain(&setup).without("KUBECONFIG").env("HOME", &setup.beside("").display().to_string()));
    assert_tree(&setup.folder(), &tree! { "a" => "1" });
}

#[test]
fn fix_1_1_what_the_original_is_started_as_needs_no_variable() {
    let setup = Setup::new();
    let link = setup.beside("k8s-sidecar");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_kube-projector"), &link).unwrap();
    setup.cluster.secret("a", &[("a", "1")]).create();
    let patched = setup.cluster.patch("secrets", "a", &json!({"metadata": {"annotations": {"x": "y"}}}));
    let mut projector = started(&sidecar(&setup).without("PROFILE").binary(&link));
    assert_tree(&setup.folder(), &tree! { "a" => "1" });
    assert_eq!(projector.terminate().code(), Some(0));
    let now = setup.cluster.get("secrets", "a").unwrap();
    assert_eq!(now["metadata"]["resourceVersion"], patched["metadata"]["resourceVersion"], "no finalizer is written");
    assert_eq!(setup.cluster.reasons_for("a"), Vec::<String>::new(), "and no Event");
}
