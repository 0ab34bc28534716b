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
pub struct Raw {
    pub profile: Option<String>,
    pub label: Option<String>,
    pub label_value: Option<String>,
    pub namespace: Option<String>,
    pub resource: Option<String>,
    pub resource_name: Option<String>,
    pub object: Option<String>,
    pub on_delete: Option<String>,
    pub method: Option<String>,
    pub sleep_time: Option<String>,
    pub source: Option<String>,
    pub source_settle: Option<String>,
    pub kubeconfig: Option<String>,
    pub folder: Option<String>,
    pub folder_annotation: Option<String>,
    pub allowed_folders: Option<String>,
    pub unique_filenames: Option<String>,
    pub folder_per_namespace: Option<String>,
    pub default_file_mode: Option<String>,
    pub folder_mode: Option<String>,
    pub resync: Option<String>,
    pub durability: Option<String>,
    pub gzip_keys: Option<String>,
    pub object_annotations: Option<String>,
    pub conflict: Option<String>,
    pub adopt: Option<String>,
    pub instance: Option<String>,
    pub ledger: Option<String>,
    pub ledger_former: Option<String>,
    pub prune_empty: Option<String>,
    pub staging: Option<String>,
    pub url_keys: Option<String>,
    pub url_allow: Option<String>,
    pub url_credential_origins: Option<String>,
    pub url_max_bytes: Option<String>,
    pub ignore_already_processed: Option<String>,
    pub enable_5xx: Option<String>,
    pub req_timeout: Option<String>,
    pub req_answer_timeout: Option<String>,
    pub req_retry_total: Option<String>,
    pub req_retry_connect: Option<String>,
    pub req_retry_read: Option<String>,
    pub req_retry_backoff_factor: Option<String>,
    pub req_username: Option<String>,
    pub req_password: Option<String>,
    pub req_username_file: Option<String>,
    pub req_password_file: Option<String>,
    pub req_token_file: Option<String>,
    pub req_headers: Option<String>,
    pub req_headers_file: Option<String>,
    pub req_basic_auth_encoding: Option<String>,
    pub req_skip_tls_verify: Option<String>,
    pub requests_ca_bundle: Option<String>,
    pub curl_ca_bundle: Option<String>,
    pub req_url: Option<String>,
    pub req_server_name: Option<String>,
    pub req_method: Option<String>,
    pub req_payload: Option<String>,
    pub req_skip_init: Option<String>,
    pub script: Option<String>,
    pub script_env: Option<String>,
    pub script_timeout: Option<String>,
    pub script_retries: Option<String>,
    pub signal_process: Option<String>,
    pub signal_pidfile: Option<String>,
    pub signal: Option<String>,
    pub exec_labels: Option<String>,
    pub exec_namespace: Option<String>,
    pub exec_container: Option<String>,
    pub exec_command: Option<String>,
    pub exec_timeout: Option<String>,
    pub exec_retries: Option<String>,
    pub exec_only_ready: Option<String>,
    pub exec_concurrency: Option<String>,
    pub exec_on: Option<String>,
    pub exec_on_start: Option<String>,
    pub exec_delay: Option<String>,
    pub watch_pods_labels: Option<String>,
    pub watch_secret_type: Option<String>,
    pub watch_secret_labels: Option<String>,
    pub exec_secret_delay: Option<String>,
    pub child_start: Option<String>,
    pub reload_signal: Option<String>,
    pub reload_restart: Option<String>,
    pub kill_signal: Option<String>,
    pub kill_timeout: Option<String>,
    pub child_restart: Option<String>,
    pub react_output: Option<String>,
    pub on_reload_failure: Option<String>,
    pub react_window: Option<String>,
    pub req_once_per_batch: Option<String>,
    pub react_on_start: Option<String>,
    pub react_jitter: Option<String>,
    pub watch_server_timeout: Option<String>,
    pub watch_client_timeout: Option<String>,
    pub skip_tls_verify: Option<String>,
    pub disable_x509_strict_verification: Option<String>,
    pub error_throttle_sleep: Option<String>,
    pub liveness: Option<String>,
    pub health_port: Option<String>,
    pub healthcheck_port: Option<String>,
    pub health_host: Option<String>,
    pub health_stale_after: Option<String>,
    pub finalizers: Option<String>,
    pub finalizer_name: Option<String>,
    pub finalizer_former: Option<String>,
    pub event_logging: Option<String>,
    pub log_level: Option<String>,
    pub log_format: Option<String>,
    pub log_tz: Option<String>,
    pub log_config: Option<String>,
    pub verbose: Option<String>,
    pub debug: Option<String>,
}

/// What was given, and which settings were given by flag.
pub struct Given {
    /// The texts.
    pub raw: Raw,
    /// Settings that something else than their variable decided, and what that was: problems with them name it.
    pub given_by: BTreeMap<&'static str, &'static str>,
    /// Settings that the profile requires and nothing gives, and the names by which they are missed.
    pub missing: Vec<(&'static str, &'static str)>,
    /// The ConfigMap that k8s-config-controller would follow.
    pub configmap: Option<ConfigMap>,
    /// The profile that decides what is not given. One that does not exist is a problem for the reader.
    pub profile: &'static Profile,
    /// What was given without any effect.
    pub warnings: Vec<String>,
}

/// Collects settings from variables and flags; a flag beats its variable.
///
/// Names count in upper case only; of a name that occurs twice the first counts, as with `getenv`.
///
/// # Errors
/// Only if envy refuses text as text; the message names the variable.
/// `program`: the name under which we were started, which names a profile too.
pub fn gather(vars: impl Iterator<Item = (String, String)>, flags: &Flags, program: &str) -> Result<Given, envy::Error> {
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
