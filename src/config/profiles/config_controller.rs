//! PROFILE=config-controller: the defaults of k8s-config-controller, its variables, and its command line, which runs unchanged: what
//! its manifests say is understood or told to have no effect. Nobody else knows of them.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use crate::config::profiles::{Dialect, Profile, default};
use crate::config::read::parse::Expected;
use crate::config::setting::Fallback::{Described, Required, Unset, Value};
use crate::config::setting::{Flag, Takes};
use crate::config::texts::{GivenText, Texts};
use crate::core::names;
use crate::core::object::{Kind, ObjectKey};

/// That of k8s-config-controller.
pub(crate) static PROFILE: Profile = Profile {
    name: "config-controller",
    defaults: &[
        ("LABEL", Unset),
        ("OBJECT", Required),
        ("REQ_URL", Described("required, unless anything else tells the application")),
        ("REQ_METHOD", Value("POST")),
        ("REQ_RETRY_CONNECT", Value("5")),
        ("ON_RELOAD_FAILURE", Value("unhealthy")),
        ("FINALIZERS", Value("false")),
    ],
    variables: &[
        ("CONFIG_CONTROLLER_CONFIGROOT", "FOLDER"),
        ("CONFIG_CONTROLLER_CONFIGMAP", "OBJECT"),
        ("CONFIG_CONTROLLER_URL", "REQ_URL"),
        ("CONFIG_CONTROLLER_METHOD", "REQ_METHOD"),
    ],
    dialect: Dialect::Controller,
    ..default::TABLE
};

/// The name of its program.
const PROGRAM: &str = "k8s-config-controller";
/// What gives a setting that its image has built in.
pub(crate) const IMAGE: &str = "PROFILE=config-controller";
/// Where its image puts files unless CONFIG_CONTROLLER_CONFIGROOT says otherwise.
const IMAGE_FOLDER: &str = "/config";

/// Flags that tell its command lines from ours and choose its profile, and the settings that they mean.
pub(crate) const OWN: [(Flag, &str); 4] = [
    (flag("--configroot", "DIR", "The same as --folder"), "FOLDER"),
    (flag("--configmap", "[NAMESPACE/]NAME", "The ConfigMap to follow; its namespace is \"default\" unless it is given"), "OBJECT"),
    (flag("--reload-http", "URL", "URL that is requested after a change (REQ_URL)"), "REQ_URL"),
    (flag("--reload-http-method", "METHOD", "Method of that request (REQ_METHOD)"), "REQ_METHOD"),
];
/// Flags of its log library and client, and whether each takes a value; one that takes none may have one behind `=`.
const OTHERS: [(&str, bool); 9] = [
    (RUNNING_IN_CLUSTER, false),
    (KUBECONFIG, true),
    ("--logtostderr", false),
    ("--alsologtostderr", false),
    ("--v", true),
    ("--vmodule", true),
    ("--stderrthreshold", true),
    ("--log_dir", true),
    ("--log_backtrace_at", true),
];
const RUNNING_IN_CLUSTER: &str = "--running-in-cluster";
/// Means KUBECONFIG where it counts, which is only while `--running-in-cluster` is false. Where it does not, it is called this.
const KUBECONFIG: &str = "--kubeconfig";

const fn flag(name: &'static str, value: &'static str, help: &'static str) -> Flag {
    Flag { position: 0, name, takes: Takes::Value(value), help }
}

/// Whether this flag of its chooses its profile.
pub(crate) fn is_own(name: &str) -> bool {
    OWN.iter().any(|(flag, _)| flag.name == name)
}

/// Its flags beat our variables and flags, in every profile. What has no effect is told.
pub(crate) fn take_flags(texts: &mut Texts, flags: &[(&'static str, String)]) {
    for (name, text) in flags.iter().filter(|(_, text)| !text.is_empty()) {
        let meant = OWN.iter().find(|(flag, _)| flag.name == *name).map(|(_, setting)| *setting);
        match meant.or((*name == KUBECONFIG).then_some("KUBECONFIG")) {
            Some("OBJECT") => texts.configmap = Some(GivenText { text: text.clone(), by: name }),
            Some(setting) => texts.give(setting, name, text),
            None => {}
        }
    }
    for (name, _) in flags.iter().filter(|(name, text)| text.is_empty() && OTHERS.iter().any(|(other, _)| other == name)) {
        texts.warnings.push(format!("{name} has no effect: it is one of k8s-config-controller's that nothing corresponds to"));
    }
}

/// Takes what its variables give where nothing else is given. Where there are any, it is its image that is run.
pub(crate) fn take_variables(texts: &mut Texts, given: &BTreeMap<&'static str, String>) {
    let given = |theirs: &str| given.get(theirs).filter(|text| !text.is_empty());
    for (theirs, ours) in PROFILE.variables {
        match given(theirs) {
            Some(text) if *ours == "OBJECT" && texts.given(ours).is_none() => {
                texts.configmap.get_or_insert(GivenText { text: text.clone(), by: theirs });
            }
            Some(text) if *ours != "OBJECT" && texts.given(ours).is_none() => texts.give(ours, theirs, text),
            _ => {}
        }
    }
    if texts.given("FOLDER").is_none() && PROFILE.variables.iter().any(|(theirs, _)| given(theirs).is_some()) {
        texts.give("FOLDER", IMAGE, IMAGE_FOLDER);
    }
}

/// Its `[NAMESPACE/]NAME`.
pub(crate) fn configmap(text: &str) -> Result<ObjectKey, Expected> {
    let (namespace, name) = text.split_once('/').unwrap_or(("default", text));
    match names::is_dns_label(namespace) && names::is_dns_subdomain(name) {
        true => Ok(ObjectKey::new(Kind::ConfigMap, namespace, name)),
        false => Err("NAME or NAMESPACE/NAME of a ConfigMap; without a namespace it is that named default".into()),
    }
}

/// Takes away what only k8s-config-controller knows, and gives its flags the second dash that a program in Go does not need.
/// Returns the arguments that are left, and what the others said: a value where it counts. What follows `--` is a command of its own.
pub(crate) fn translated(arguments: impl Iterator<Item = OsString>) -> (Vec<OsString>, Vec<(&'static str, String)>) {
    let arguments: Vec<OsString> = arguments.collect();
    let end = arguments.iter().position(|argument| argument == "--").unwrap_or(arguments.len());
    let (before, command) = arguments.split_at(end);
    let is_program = before.first().is_some_and(|program| Path::new(program).file_name().is_some_and(|name| name == PROGRAM));
    if !is_program && !before.iter().any(|argument| given(argument).is_some_and(|(name, _)| is_own(&name))) {
        return (arguments, Vec::new());
    }
    let (mut left, mut others, mut in_cluster) = (Vec::new(), Vec::new(), true);
    let mut rest = before.iter();
    while let Some(argument) = rest.next() {
        let name = given(argument).map(|(name, _)| name).unwrap_or_default();
        let Some((known, takes_value)) = OTHERS.into_iter().find(|(known, _)| *known == name) else {
            let lacks_dash = is_own(&name) && !argument.as_encoded_bytes().starts_with(b"--");
            left.push(if lacks_dash { [OsString::from("-"), argument.clone()].into_iter().collect() } else { argument.clone() });
            continue;
        };
        let value = match given(argument).and_then(|(_, value)| value) {
            None if takes_value => rest.next().map(|value| value.to_string_lossy().into_owned()),
            value => value.map(str::to_owned),
        };
        match known {
            RUNNING_IN_CLUSTER => in_cluster = !matches!(value.as_deref(), Some("0" | "f" | "F" | "false" | "FALSE" | "False")),
            KUBECONFIG => others.push((known, value.unwrap_or_default())),
            _ => others.push((known, String::new())),
        }
    }
    for (_, value) in others.iter_mut().filter(|(name, _)| in_cluster && *name == KUBECONFIG) {
        value.clear();
    }
    left.extend_from_slice(command);
    (left, others)
}

/// Name of a flag, with two dashes whether it has one or two, and its value.
fn given(argument: &OsString) -> Option<(String, Option<&str>)> {
    let text = argument.to_str()?;
    let flag = text.strip_prefix("--").or_else(|| text.strip_prefix('-'))?;
    Some(flag.split_once('=').map_or((format!("--{flag}"), None), |(name, value)| (format!("--{name}"), Some(value))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::read::parse::tests::check as check_form;

    fn check(line: &str, left: &str, kubeconfig: Option<&str>, ignored: &[&str]) {
        let (arguments, flags) = translated(line.split_whitespace().map(OsString::from));
        let arguments: Vec<_> = arguments.iter().map(|argument| argument.to_str().unwrap()).collect();
        assert_eq!(arguments.join(" "), left);
        let told: Vec<_> = flags.iter().filter(|(_, value)| value.is_empty()).map(|(name, _)| name.trim_start_matches('-')).collect();
        let counts = flags.iter().find(|(_, value)| !value.is_empty()).map(|(_, value)| value.as_str());
        assert_eq!((counts, told), (kubeconfig, ignored.to_vec()));
    }

    #[test]
    fn one_dash_does_as_well_as_two() {
        check("p -configmap=a -configroot /c --reload-http=u", "p --configmap=a --configroot /c --reload-http=u", None, &[]);
    }

    #[test]
    fn flags_of_the_log_library_go_with_their_values_and_are_told() {
        check("p --logtostderr --v=2 -v 3 --configmap a -vmodule x=1", "p --configmap a", None, &["logtostderr", "v", "v", "vmodule"]);
        check("/x/k8s-config-controller -alsologtostderr=true", "/x/k8s-config-controller", None, &["alsologtostderr"]);
    }

    #[test]
    fn the_kubeconfig_counts_only_outside_of_a_cluster() {
        check("p --configmap=a --kubeconfig k", "p --configmap=a", None, &["kubeconfig"]);
        check("p --configmap=a --kubeconfig=k --running-in-cluster=false", "p --configmap=a", Some("k"), &[]);
        check("p --configmap=a --running-in-cluster", "p --configmap=a", None, &[]);
    }

    #[test]
    fn other_command_lines_and_commands_of_their_own_are_left_alone() {
        for line in ["p plan --v=2", "p -v -- x --configmap=a", "p --configmap=a -- nginx -v --logtostderr -configmap"] {
            check(line, line, None, &[]);
        }
    }

    #[test]
    fn a_config_map_has_a_name_and_perhaps_a_namespace() {
        let key = |namespace: &str, name: &str| ObjectKey::new(Kind::ConfigMap, namespace, name);
        check_form(configmap, &[("a.b", key("default", "a.b")), ("n/a", key("n", "a"))], &["a/b/c", "configmap/n/a", "/a", "n/", "", "A"]);
    }
}
