//! Settings as they were given: text by name, from the environment and from flags, before anything is understood.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;

use crate::config::nearly;
use crate::config::profiles::{self, Dialect, Profile, config_controller, dovecot_director};
use crate::config::table::{self, SETTINGS};

/// Ports of ours whose variables pods get for a Service, too, and its name.
const PORTS: [(&str, &str); 2] = [("HEALTH_PORT", "health"), ("HEALTHCHECK_PORT", "healthcheck")];

/// What the command line says.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Arguments {
    /// Names of flags, with their dashes, and their values. An empty value unsets the variable.
    pub flags: Vec<(&'static str, String)>,
    /// The application to run as a child, and its arguments.
    pub child: Vec<OsString>,
}

/// What was given for a setting.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct GivenText {
    /// The text.
    pub(crate) text: String,
    /// The variable or flag that gave it: problems name that.
    pub(crate) by: &'static str,
}

/// What was given.
pub(crate) struct Texts {
    /// By setting. Empty texts are absent, but where they are a value.
    texts: BTreeMap<&'static str, GivenText>,
    /// The profile that decides what is not given. One that does not exist is a problem for the reader.
    pub(crate) profile: &'static Profile,
    /// Settings that the profile requires and nothing gives, and the names by which they are missed.
    pub(crate) missing: Vec<(&'static str, &'static str)>,
    /// The ConfigMap that k8s-config-controller would follow. Its form is not that of OBJECT.
    pub(crate) configmap: Option<GivenText>,
    /// What was given without any effect.
    pub(crate) warnings: Vec<String>,
}

impl Texts {
    /// Collects settings from variables and flags; a flag beats its variable. `program`: the name under which we were started, which
    /// names a profile too.
    ///
    /// Names count in upper case only; of a name that occurs twice the first counts, as with `getenv`.
    pub(crate) fn gather(vars: impl Iterator<Item = (String, String)>, flags: &[(&'static str, String)], program: &str) -> Self {
        let (mut own, mut foreign, mut slips) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        for (name, text) in vars {
            match (table::find(&name), profiles::variable(&name)) {
                (Some(setting), _) => drop(own.entry(setting.name).or_insert(GivenText { text, by: setting.name })),
                (None, Some(theirs)) => drop(foreign.entry(theirs).or_insert(text)),
                (None, None) => slips.extend(nearly::meant(&name).map(|meant| (name, meant))),
            }
        }
        for (flag, text) in flags.iter().cloned() {
            let setting = SETTINGS.iter().find(|setting| setting.flag.is_some_and(|known| known.name == flag));
            match setting {
                Some(setting) => drop(own.insert(setting.name, GivenText { text, by: flag })),
                None if flag == dovecot_director::FLAG.name => {
                    drop(own.insert("KUBECONFIG", GivenText { text, by: dovecot_director::FLAG.name }))
                }
                None => {}
            }
        }
        let profile = match own.get("PROFILE").filter(|given| !given.text.is_empty()) {
            Some(named) => Profile::find(&named.text),
            None if flags.iter().any(|(flag, _)| config_controller::is_own(flag)) => Some(&config_controller::PROFILE),
            None if dovecot_director::is_meant(&foreign) => Some(&dovecot_director::PROFILE),
            None => Profile::of_program(program),
        };
        let profile = profile.unwrap_or(&profiles::default::PROFILE);
        own.retain(|name, given| !given.text.is_empty() || profile.empty_counts.contains(name));
        let mut texts = Self { texts: own, profile, missing: Vec::new(), configmap: None, warnings: Vec::new() };
        for (name, meant) in slips {
            texts.warnings.push(format!("{name} is no setting: did you mean {meant}?"));
        }
        texts.leave_out_services();
        config_controller::take_flags(&mut texts, flags);
        match profile.dialect {
            Dialect::Controller => config_controller::take_variables(&mut texts, &foreign),
            Dialect::Director => dovecot_director::take_variables(&mut texts, &foreign),
            Dialect::Own | Dialect::Sidecar => {}
        }
        texts
    }

    /// Leaves out what nobody set but Kubernetes. k8s-sidecar serves no health endpoint with such a port, and might be in the way of
    /// another container if it served one elsewhere: that is for its dialect to say.
    fn leave_out_services(&mut self) {
        let is_left = |name: &str| name == "HEALTH_PORT" && self.profile.dialect == Dialect::Sidecar;
        for (name, service) in PORTS.into_iter().filter(|(name, _)| !is_left(name)) {
            if self.text(name).is_some_and(is_of_service) {
                self.texts.remove(name);
                self.warnings.push(format!(
                    "{name} is ignored: it is what Kubernetes gives every pod for a Service named {service} (enableServiceLinks: false ends that)"
                ));
            }
        }
    }

    /// What was given for a setting.
    pub(crate) fn given(&self, setting: &str) -> Option<&GivenText> {
        self.texts.get(setting)
    }

    /// As [`Self::given`], the text alone.
    pub(crate) fn text(&self, setting: &str) -> Option<&str> {
        self.given(setting).map(|given| given.text.as_str())
    }

    /// Gives a setting by a word that is not ours.
    pub(crate) fn give(&mut self, setting: &'static str, by: &'static str, text: &str) {
        self.texts.insert(setting, GivenText { text: text.to_owned(), by });
    }
}

/// Whether it is what NAME_PORT holds for a Service: `tcp://10.0.0.1:80`.
fn is_of_service(text: &str) -> bool {
    ["tcp://", "udp://", "sctp://"].iter().any(|scheme| text.starts_with(scheme))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::{flags, owned};

    /// What is given by these variables and flags.
    fn given(vars: &[(&str, &str)], arguments: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
        let texts = Texts::gather(owned(vars), &flags(arguments).flags, "");
        texts.texts.into_iter().map(|(name, given)| (name, given.text)).collect()
    }

    #[test]
    fn every_setting_is_given_by_the_variable_of_its_name() {
        for setting in SETTINGS {
            assert_eq!(given(&[(setting.name, "text")], &[]), [(setting.name, "text".to_owned())]);
        }
    }

    #[test]
    fn empty_is_unset_but_for_the_label_value() {
        let vars: Vec<_> = SETTINGS.iter().map(|setting| (setting.name, "")).collect();
        assert_eq!(given(&vars, &[]), [("LABEL_VALUE", String::new())]);
    }

    #[test]
    fn a_flag_beats_its_variable() {
        let arguments =
            [("--label", "b"), ("--label-value", ""), ("--namespace", "n"), ("--folder", "f"), ("--source", "s"), ("--once", "LIST")];
        let vars = ["LABEL", "LABEL_VALUE", "NAMESPACE", "FOLDER", "SOURCE", "METHOD"].map(|name| (name, "variable"));
        let expected = [("FOLDER", "f"), ("LABEL", "b"), ("LABEL_VALUE", ""), ("METHOD", "LIST"), ("NAMESPACE", "n"), ("SOURCE", "s")];
        assert_eq!(given(&vars, &arguments), expected.map(|(name, text)| (name, text.to_owned())));
    }

    #[test]
    fn an_empty_flag_unsets_its_variable() {
        assert_eq!(given(&[("NAMESPACE", "a")], &[("--namespace", "")]), []);
    }

    #[test]
    fn other_names_other_cases_and_second_values_are_ignored() {
        let vars = [("PATH", "/bin"), ("label", "lower"), ("LABEL", "first"), ("Label", "mixed"), ("LABEL", "second")];
        assert_eq!(given(&vars, &[]), [("LABEL", "first".to_owned())]);
    }
}
