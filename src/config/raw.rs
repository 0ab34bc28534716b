//! Settings as they were given: text by name, from the environment and from flags, before anything is understood.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::cli::Flags;
use crate::config::profiles::config_controller::{self, ConfigMap};
use crate::config::profiles::dovecot_director::Director;
use crate::config::profiles::{self, Profile, Reading};
use crate::config::table;

/// One optional text per setting. Field names are the variables' names in lower case; empty values are absent, but for LABEL_VALUE.
#[derive(Deserialize, Default, PartialEq, Eq)]
#[cfg_attr(test, derive(serde::Serialize, Debug))]
pub(crate) struct Raw {
    pub(crate) profile: Option<String>,
    pub(crate) label: Option<String>,
    pub(crate) label_value: Option<String>,
    pub(crate) namespace: Option<String>,
    pub(crate) resource: Option<String>,
    pub(crate) resource_name: Option<String>,
    pub(crate) object: Option<String>,
    pub(crate) on_delete: Option<String>,
    pub(crate) method: Option<String>,
    pub(crate) sleep_time: Option<String>,
    pub(crate) source: Option<String>,
    pub(crate) source_settle: Option<String>,
    pub(crate) kubeconfig: Option<String>,
    pub(crate) folder: Option<String>,
    pub(crate) folder_annotation: Option<String>,
    pub(crate) allowed_folders: Option<String>,
    pub(crate) unique_filenames: Option<String>,
    pub(crate) folder_per_namespace: Option<String>,
    pub(crate) default_file_mode: Option<String>,
    pub(crate) folder_mode: Option<String>,
    pub(crate) resync: Option<String>,
    pub(crate) durability: Option<String>,
    pub(crate) gzip_keys: Option<String>,
    pub(crate) object_annotations: Option<String>,
    pub(crate) conflict: Option<String>,
    pub(crate) adopt: Option<String>,
    pub(crate) instance: Option<String>,
    pub(crate) ledger: Option<String>,
    pub(crate) ledger_former: Option<String>,
    pub(crate) prune_empty: Option<String>,
    pub(crate) staging: Option<String>,
    pub(crate) url_keys: Option<String>,
    pub(crate) url_allow: Option<String>,
    pub(crate) url_credential_origins: Option<String>,
    pub(crate) url_max_bytes: Option<String>,
    pub(crate) ignore_already_processed: Option<String>,
    pub(crate) enable_5xx: Option<String>,
    pub(crate) req_timeout: Option<String>,
    pub(crate) req_answer_timeout: Option<String>,
    pub(crate) req_retry_total: Option<String>,
    pub(crate) req_retry_connect: Option<String>,
    pub(crate) req_retry_read: Option<String>,
    pub(crate) req_retry_backoff_factor: Option<String>,
    pub(crate) req_username: Option<String>,
    pub(crate) req_password: Option<String>,
    pub(crate) req_username_file: Option<String>,
    pub(crate) req_password_file: Option<String>,
    pub(crate) req_token_file: Option<String>,
    pub(crate) req_headers: Option<String>,
    pub(crate) req_headers_file: Option<String>,
    pub(crate) req_basic_auth_encoding: Option<String>,
    pub(crate) req_skip_tls_verify: Option<String>,
    pub(crate) requests_ca_bundle: Option<String>,
    pub(crate) curl_ca_bundle: Option<String>,
    pub(crate) req_url: Option<String>,
    pub(crate) req_server_name: Option<String>,
    pub(crate) req_method: Option<String>,
    pub(crate) req_payload: Option<String>,
    pub(crate) req_skip_init: Option<String>,
    pub(crate) script: Option<String>,
    pub(crate) script_env: Option<String>,
    pub(crate) script_timeout: Option<String>,
    pub(crate) script_retries: Option<String>,
    pub(crate) signal_process: Option<String>,
    pub(crate) signal_pidfile: Option<String>,
    pub(crate) signal: Option<String>,
    pub(crate) exec_labels: Option<String>,
    pub(crate) exec_namespace: Option<String>,
    pub(crate) exec_container: Option<String>,
    pub(crate) exec_command: Option<String>,
    pub(crate) exec_timeout: Option<String>,
    pub(crate) exec_retries: Option<String>,
    pub(crate) exec_only_ready: Option<String>,
    pub(crate) exec_concurrency: Option<String>,
    pub(crate) exec_on: Option<String>,
    pub(crate) exec_on_start: Option<String>,
    pub(crate) exec_delay: Option<String>,
    pub(crate) watch_pods_labels: Option<String>,
    pub(crate) watch_secret_type: Option<String>,
    pub(crate) watch_secret_labels: Option<String>,
    pub(crate) exec_secret_delay: Option<String>,
    pub(crate) child_start: Option<String>,
    pub(crate) reload_signal: Option<String>,
    pub(crate) reload_restart: Option<String>,
    pub(crate) kill_signal: Option<String>,
    pub(crate) kill_timeout: Option<String>,
    pub(crate) child_restart: Option<String>,
    pub(crate) react_output: Option<String>,
    pub(crate) on_reload_failure: Option<String>,
    pub(crate) react_window: Option<String>,
    pub(crate) req_once_per_batch: Option<String>,
    pub(crate) react_on_start: Option<String>,
    pub(crate) react_jitter: Option<String>,
    pub(crate) watch_server_timeout: Option<String>,
    pub(crate) watch_client_timeout: Option<String>,
    pub(crate) skip_tls_verify: Option<String>,
    pub(crate) disable_x509_strict_verification: Option<String>,
    pub(crate) error_throttle_sleep: Option<String>,
    pub(crate) liveness: Option<String>,
    pub(crate) health_port: Option<String>,
    pub(crate) healthcheck_port: Option<String>,
    pub(crate) health_host: Option<String>,
    pub(crate) health_stale_after: Option<String>,
    pub(crate) finalizers: Option<String>,
    pub(crate) finalizer_name: Option<String>,
    pub(crate) finalizer_former: Option<String>,
    pub(crate) event_logging: Option<String>,
    pub(crate) log_level: Option<String>,
    pub(crate) log_format: Option<String>,
    pub(crate) log_tz: Option<String>,
    pub(crate) log_config: Option<String>,
    pub(crate) verbose: Option<String>,
    pub(crate) debug: Option<String>,
}

/// What was given, and which settings were given by flag.
pub(crate) struct Given {
    /// The texts.
    pub(crate) raw: Raw,
    /// Settings that something else than their variable decided, and what that was: problems with them name it.
    pub(crate) given_by: BTreeMap<&'static str, &'static str>,
    /// Settings that the profile requires and nothing gives, and the names by which they are missed.
    pub(crate) missing: Vec<(&'static str, &'static str)>,
    /// The ConfigMap that k8s-config-controller would follow.
    pub(crate) configmap: Option<ConfigMap>,
    /// The profile that decides what is not given. One that does not exist is a problem for the reader.
    pub(crate) profile: &'static Profile,
    /// What was given without any effect.
    pub(crate) warnings: Vec<String>,
}

/// Collects settings from variables and flags; a flag beats its variable.
///
/// Names count in upper case only; of a name that occurs twice the first counts, as with `getenv`.
///
/// # Errors
/// Only if envy refuses text as text; the message names the variable.
/// `program`: the name under which we were started, which names a profile too.
pub(crate) fn gather(vars: impl Iterator<Item = (String, String)>, flags: &Flags, program: &str) -> Result<Given, envy::Error> {
    let mut values = BTreeMap::new();
    let mut former = config_controller::Former::default();
    let mut director = Director::default();
    for (name, value) in vars {
        match table::find(&name).filter(|setting| setting.name == name) {
            Some(setting) => drop(values.entry(setting.name).or_insert(value)),
            None => {
                director.variable(&name, &value);
                former.variable(&name, value);
            }
        }
    }
    let mut given_by = BTreeMap::new();
    for (name, value) in flag_values(flags) {
        given_by.extend(table::find(name).and_then(|setting| setting.flag).map(|flag| (name, flag)));
        values.insert(name, value);
    }
    let profile = match values.get("PROFILE").filter(|name| !name.is_empty()) {
        Some(named) => Profile::find(named),
        None if flags.former.are_given() => Some(&profiles::CONTROLLER),
        None if director.is_meant() => Some(&profiles::DIRECTOR),
        None => Profile::of_program(program),
    };
    let profile = profile.unwrap_or(&profiles::DEFAULT);
    values.retain(|name, value| !value.is_empty() || profile.empty_counts.contains(name));
    former.flags(&flags.former);
    let configmap = former.map_onto(&mut values, &mut given_by, profile);
    let missing = match profile.reading {
        Reading::Director => director.map_onto(&mut values, &mut given_by),
        Reading::Strict | Reading::Sidecar | Reading::Controller => Vec::new(),
    };
    let raw = envy::from_iter(values.into_iter().map(|(name, value)| (name.to_owned(), value)))?;
    Ok(Given { raw, given_by, missing, configmap, profile, warnings: config_controller::warnings(&flags.former) })
}

fn flag_values(flags: &Flags) -> impl Iterator<Item = (&'static str, String)> {
    let once = flags.once.then(|| "LIST".to_owned());
    let objects = (!flags.object.is_empty()).then(|| flags.object.join(","));
    [
        ("LABEL", flags.label.clone()),
        ("LABEL_VALUE", flags.label_value.clone()),
        ("NAMESPACE", flags.namespace.clone()),
        ("OBJECT", objects),
        ("METHOD", once),
        ("SOURCE", flags.source.clone()),
        ("KUBECONFIG", flags.director_kubeconfig.clone()),
        ("FOLDER", flags.folder.clone()),
        ("REQ_USERNAME_FILE", flags.req_username_file.clone()),
        ("REQ_PASSWORD_FILE", flags.req_password_file.clone()),
    ]
    .into_iter()
    .filter_map(|(name, value)| value.map(|value| (name, value)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn raw(vars: &[(&str, &str)], flags: &Flags) -> Raw {
        let vars = vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        gather(vars, flags, "").unwrap().raw
    }

    #[test]
    fn every_field_is_in_the_table_and_every_setting_has_a_field() {
        let serde_json::Value::Object(fields) = serde_json::to_value(Raw::default()).unwrap() else { panic!("a struct becomes an object") };
        let fields: BTreeSet<_> = fields.keys().cloned().collect();
        let names: BTreeSet<_> = table::SETTINGS.iter().map(|setting| setting.name.to_lowercase()).collect();
        assert_eq!(fields, names);
        assert_eq!(names.len(), table::SETTINGS.len(), "a name occurs twice");
    }

    #[test]
    fn every_setting_reaches_the_field_of_its_name() {
        for setting in table::SETTINGS {
            let json = serde_json::to_value(raw(&[(setting.name, "text")], &Flags::default())).unwrap();
            assert_eq!(json[setting.name.to_lowercase()], "text", "{}", setting.name);
        }
    }

    #[test]
    fn empty_is_unset_but_for_the_label_value() {
        let vars: Vec<_> = table::SETTINGS.iter().map(|setting| (setting.name, "")).collect();
        let expected = Raw { label_value: Some(String::new()), ..Raw::default() };
        assert_eq!(raw(&vars, &Flags::default()), expected);
    }

    #[test]
    fn a_flag_beats_its_variable() {
        let flags = Flags {
            label: Some("b".into()),
            label_value: Some(String::new()),
            namespace: Some("n".into()),
            folder: Some("f".into()),
            source: Some("s".into()),
            once: true,
            ..Flags::default()
        };
        let vars = ["LABEL", "LABEL_VALUE", "NAMESPACE", "FOLDER", "SOURCE", "METHOD"].map(|name| (name, "variable"));
        let expected = Raw {
            label: Some("b".into()),
            label_value: Some(String::new()),
            namespace: Some("n".into()),
            folder: Some("f".into()),
            source: Some("s".into()),
            method: Some("LIST".into()),
            ..Raw::default()
        };
        assert_eq!(raw(&vars, &flags), expected);
    }

    #[test]
    fn an_empty_flag_unsets_its_variable() {
        let flags = Flags { namespace: Some(String::new()), ..Flags::default() };
        assert_eq!(raw(&[("NAMESPACE", "a")], &flags), Raw::default());
    }

    #[test]
    fn other_names_other_cases_and_second_values_are_ignored() {
        let vars = [("PATH", "/bin"), ("label", "lower"), ("LABEL", "first"), ("Label", "mixed"), ("LABEL", "second")];
        let expected = Raw { label: Some("first".into()), ..Raw::default() };
        assert_eq!(raw(&vars, &Flags::default()), expected);
    }
}
