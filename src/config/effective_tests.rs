//! What is shown of settings, and what never is.

use super::*;
use crate::config::tests::{LEAST, flags, owned};

/// Value, source and giver of every setting that these give, by name.
fn shows(vars: &[(&str, &str)], arguments: &[(&'static str, &str)], program: &str) -> Vec<EffectiveSetting> {
    effective(owned(vars), &flags(arguments), program)
}

fn find(settings: &[EffectiveSetting], name: &str) -> Option<(String, ValueSource, Option<&'static str>)> {
    settings.iter().find(|setting| setting.name == name).map(|setting| (setting.value.clone(), setting.from, setting.by))
}

#[test]
fn each_value_says_where_it_came_from() {
    let vars = [("LABEL", "variable"), ("FOLDER", "/rules"), ("PROFILE", "k8s-sidecar"), ("LABEL_VALUE", "")];
    let settings = shows(&vars, &[("--label", "flag"), ("-c", "k")], "");
    let expected = [
        ("LABEL", "flag", ValueSource::Flag, Some("--label")),
        ("KUBECONFIG", "k", ValueSource::Flag, Some("-c")),
        ("FOLDER", "/rules", ValueSource::Environment, Some("FOLDER")),
        ("PROFILE", "k8s-sidecar", ValueSource::Environment, Some("PROFILE")),
        ("CONFLICT", "newest", ValueSource::Profile, Some("k8s-sidecar")),
        ("RESYNC", "WATCH_SERVER_TIMEOUT", ValueSource::Profile, Some("k8s-sidecar")),
        ("HEALTH_PORT", "8080", ValueSource::Default, None),
        ("HEALTH_HOST", "all addresses, IPv4 and IPv6", ValueSource::Default, None),
    ];
    for (name, value, from, by) in expected {
        assert_eq!(find(&settings, name), Some((value.to_owned(), from, by)), "{name}");
    }
    // Neither what is unset, nor what an empty variable unsets.
    for name in ["REACT_WINDOW", "SCRIPT", "LABEL_VALUE", "HEALTHCHECK_PORT"] {
        assert_eq!(find(&settings, name), None, "{name}");
    }
    assert_eq!(
        find(&shows(&[("LABEL_VALUE", "")], &[], ""), "LABEL_VALUE"),
        Some((String::new(), ValueSource::Environment, Some("LABEL_VALUE")))
    );
}

#[test]
fn a_profile_that_a_name_or_a_flag_chooses_is_told_as_such() {
    let profile = |arguments: &[(&'static str, &str)], program| find(&shows(&[], arguments, program), "PROFILE");
    assert_eq!(profile(&[], "kube-projector"), Some(("default".into(), ValueSource::Default, None)));
    assert_eq!(profile(&[], "k8s-sidecar"), Some(("k8s-sidecar".into(), ValueSource::Profile, Some("k8s-sidecar"))));
    let name = "config-controller";
    assert_eq!(profile(&[("--configmap", "a")], ""), Some((name.into(), ValueSource::Profile, Some(name))));
}

#[test]
fn words_of_other_programs_are_named_as_they_were_given() {
    let vars = [("CONFIG_CONTROLLER_CONFIGMAP", "n/a"), ("CONFIG_CONTROLLER_URL", "http://u:canary@h/canary")];
    let settings = shows(&vars, &[], "k8s-config-controller");
    let by = |name| find(&settings, name);
    assert_eq!(by("OBJECT"), Some(("configmap/n/a".into(), ValueSource::Environment, Some("CONFIG_CONTROLLER_CONFIGMAP"))));
    assert_eq!(by("REQ_URL"), Some(("http://h".into(), ValueSource::Environment, Some("CONFIG_CONTROLLER_URL"))));
    assert_eq!(by("FOLDER"), Some(("/config".into(), ValueSource::Profile, Some(config_controller::IMAGE))));
    let settings = shows(&[], &[("--configmap", "b"), ("--reload-http", "http://h:1/x")], "");
    assert_eq!(find(&settings, "OBJECT"), Some(("configmap/default/b".into(), ValueSource::Flag, Some("--configmap"))));
    assert_eq!(find(&settings, "REQ_URL"), Some(("http://h:1".into(), ValueSource::Flag, Some("--reload-http"))));
}

#[test]
fn a_port_by_its_other_name_is_shown_once() {
    let settings = shows(&[("HEALTHCHECK_PORT", "9000")], &[], "");
    let ports: Vec<_> =
        settings.iter().filter(|setting| setting.name.ends_with("_PORT")).map(|setting| (setting.name, &*setting.value)).collect();
    assert_eq!(ports, [("HEALTHCHECK_PORT", "9000")]);
}

#[test]
fn urls_are_origins_and_commands_their_first_word() {
    let cases = [
        ("REQ_URL", "http://u:canary@h:3000/canary?canary#canary", "http://h:3000"),
        ("REQ_URL", " https://H/canary", "https://h"),
        ("REQ_URL", "http://[::1]:9/", "http://[::1]:9"),
        ("REQ_URL", "https://{pod}:8443/canary", "https://{pod}:8443"),
        ("REQ_URL", "not a URL canary", "***"),
        ("URL_ALLOW", "https://u:canary@a/canary,http://b:81", "http://b:81,https://a"),
        ("URL_CREDENTIAL_ORIGINS", "*", "*"),
        ("SIGNAL_PROCESS", "http://u:canary@h/", "http://h"),
        ("NAMESPACE", "a,x://canary@h", "***"),
        ("EXEC_COMMAND", "nginx -s canary", "nginx"),
        ("EXEC_COMMAND", "[\"/usr/bin/curl\", \"-u\", \"canary\"]", "/usr/bin/curl"),
        ("EXEC_COMMAND", "[\"sh\", \"-c\", \"reload canary\"]", "reload"),
        ("EXEC_COMMAND", "TOKEN=canary reload", "***"),
        ("EXEC_COMMAND", "[\"reload canary\"]", "***"),
        ("EXEC_COMMAND", "[\"canary", ""),
    ];
    for (name, value, expected) in cases {
        assert_eq!(shown(name, value), expected, "{name}={value}");
    }
}

#[test]
fn no_value_that_is_secret_is_shown_whatever_gives_it() {
    for name in SECRETS {
        let settings = shows(&[("PROFILE", "config-controller"), (name, "https://u:canary@h/canary")], &[], "");
        let given: Vec<_> =
            settings.iter().filter(|setting| setting.from == ValueSource::Environment && setting.by == Some(name)).collect();
        assert!(given.len() == 1 && ["***", "https://h"].contains(&given[0].value.as_str()), "{name}: {given:?}");
        assert!(!serde_json::to_string(&settings).unwrap().contains("canary"), "{name}");
    }
}

#[test]
fn defaults_stand_there_as_they_are_and_a_value_of_any_length_stays_short() {
    let settings = shows(&LEAST, &[], "kube-projector");
    let defaults = SETTINGS.iter().filter_map(|setting| match setting.default {
        Fallback::Value(value) => Some((setting.name, value)),
        _ => None,
    });
    for (name, value) in defaults {
        assert_eq!(find(&settings, name), Some((value.to_owned(), ValueSource::Default, None)), "{name}");
    }
    let long = "n".repeat(5_000);
    let shown = find(&shows(&[("RESOURCE_NAME", &long)], &[], ""), "RESOURCE_NAME").unwrap().0;
    assert_eq!(shown.chars().count(), VALUE_MAX + 1);
}

#[test]
fn it_is_written_as_a_row_with_four_columns() {
    let row = shows(&[("HEALTH_PORT", "1")], &[], "").into_iter().find(|setting| setting.name == "HEALTH_PORT").unwrap();
    let expected = serde_json::json!({ "name": "HEALTH_PORT", "value": "1", "from": "environment", "by": "HEALTH_PORT" });
    assert_eq!(serde_json::to_value(row).unwrap(), expected);
}
