//! Flags and variables of k8s-config-controller, mapped onto our settings. Nobody else knows of them.

use std::collections::BTreeMap;

use crate::cli::former::Flags;
use crate::config::profiles::{Profile, Reading};
use crate::config::read::names;
use crate::config::read::parse::Expected;
use crate::core::object::{Kind, ObjectKey};

/// Where its image puts files unless CONFIG_CONTROLLER_CONFIGROOT says otherwise.
const IMAGE_FOLDER: &str = "/config";

/// The one ConfigMap that it follows.
pub(crate) struct ConfigMap {
    /// The flag or variable that named it.
    pub(crate) given_by: &'static str,
    /// What that says.
    pub(crate) text: String,
}

/// What was given in its words: a setting of ours, the flag or variable of its, and the value.
#[derive(Default)]
pub(crate) struct Former {
    by_variable: Vec<(&'static str, &'static str, String)>,
    by_flag: Vec<(&'static str, &'static str, String)>,
}

impl Former {
    /// Takes a variable, if it is one that its image reads.
    pub(crate) fn variable(&mut self, name: &str, value: String) {
        const VARIABLES: [(&str, &str); 4] = [
            ("CONFIG_CONTROLLER_CONFIGROOT", "FOLDER"),
            ("CONFIG_CONTROLLER_CONFIGMAP", "OBJECT"),
            ("CONFIG_CONTROLLER_URL", "REQ_URL"),
            ("CONFIG_CONTROLLER_METHOD", "REQ_METHOD"),
        ];
        if let Some((theirs, ours)) = VARIABLES.iter().find(|(theirs, _)| *theirs == name && !value.is_empty()) {
            self.by_variable.push((ours, theirs, value));
        }
    }

    /// Takes its flags.
    pub(crate) fn flags(&mut self, flags: &Flags) {
        let given = [
            ("FOLDER", "--configroot", &flags.configroot),
            ("OBJECT", "--configmap", &flags.configmap),
            ("REQ_URL", "--reload-http", &flags.reload_http),
            ("REQ_METHOD", "--reload-http-method", &flags.reload_http_method),
            ("KUBECONFIG", "--kubeconfig", &flags.kubeconfig),
        ];
        let given = given.into_iter().filter_map(|(ours, theirs, value)| Some((ours, theirs, value.clone()?)));
        self.by_flag.extend(given.filter(|(_, _, value)| !value.is_empty()));
    }

    /// Its flags beat our variables, and those beat its variables, which count in its profile alone. Returns the ConfigMap, whose
    /// form is not that of OBJECT.
    pub(crate) fn map_onto(
        self,
        values: &mut BTreeMap<&'static str, String>,
        given_by: &mut BTreeMap<&'static str, &'static str>,
        profile: &Profile,
    ) -> Option<ConfigMap> {
        let mut configmap = None;
        let variables = if profile.reading == Reading::Controller { self.by_variable } else { Vec::new() };
        let is_its_image = !variables.is_empty();
        for (ours, theirs, value) in variables {
            match ours {
                _ if values.contains_key(ours) => {}
                "OBJECT" => configmap = Some(ConfigMap { given_by: theirs, text: value }),
                _ => {
                    values.insert(ours, value);
                    given_by.insert(ours, theirs);
                }
            }
        }
        for (ours, theirs, value) in self.by_flag {
            match ours {
                "OBJECT" => configmap = Some(ConfigMap { given_by: theirs, text: value }),
                _ => {
                    values.insert(ours, value);
                    given_by.insert(ours, theirs);
                }
            }
        }
        if is_its_image {
            values.entry("FOLDER").or_insert_with(|| IMAGE_FOLDER.to_owned());
        }
        configmap
    }
}

/// What was given and does nothing here.
pub(crate) fn warnings(flags: &Flags) -> Vec<String> {
    let told = |flag: &String| format!("--{flag} has no effect: it is one of k8s-config-controller's that nothing corresponds to");
    flags.ignored.iter().map(told).collect()
}

/// Its `[NAMESPACE/]NAME`.
pub(crate) fn configmap(text: &str) -> Result<ObjectKey, Expected> {
    let (namespace, name) = text.split_once('/').unwrap_or(("default", text));
    match names::is_dns_label(namespace) && names::is_dns_subdomain(name) {
        true => Ok(ObjectKey::new(Kind::ConfigMap, namespace, name)),
        false => Err("NAME or NAMESPACE/NAME of a ConfigMap; without a namespace it is that named default".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::read::parse::tests::check;

    #[test]
    fn a_config_map_has_a_name_and_perhaps_a_namespace() {
        let key = |namespace: &str, name: &str| ObjectKey::new(Kind::ConfigMap, namespace, name);
        check(configmap, &[("a.b", key("default", "a.b")), ("n/a", key("n", "a"))], &["a/b/c", "configmap/n/a", "/a", "n/", "", "A"]);
    }
}
