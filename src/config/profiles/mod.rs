//! Profiles: a table of other defaults and another way to read words, over the same settings.
//!
//! Nothing outside of `config` knows which profile is in use.

pub(crate) mod config_controller;
pub(crate) mod dovecot_director;

use crate::config::table::{Fallback, Setting};
use crate::config::{Answers, Wording};
use crate::core::files::project::FileNames;

/// A set of defaults and the way words are read.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Profile {
    /// What PROFILE says.
    pub(crate) name: &'static str,
    /// Defaults that differ from those of [`SETTINGS`](crate::config::table::SETTINGS).
    pub(crate) defaults: &'static [(&'static str, Fallback)],
    /// How values are read.
    pub(crate) reading: Reading,
    /// Variables for which the empty value is a value.
    pub(crate) empty_counts: &'static [&'static str],
    /// What files are called with UNIQUE_FILENAMES.
    pub(crate) unique: FileNames,
    /// Whether a file that cannot be had from its URL at first is made empty.
    pub(crate) empty_at_first_failure: bool,
    /// Whether METHOD=LIST is given up after REQ_RETRY_CONNECT retries.
    pub(crate) gives_up_lists: bool,
    /// Whether METHOD=LIST has done its part when a file cannot be written.
    pub(crate) excuses_files: bool,
    /// The words of the log.
    pub(crate) wording: Wording,
    /// How `/healthz` answers.
    pub(crate) answers: Answers,
}

/// How values are read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reading {
    /// What is not one of the accepted words is an error.
    Strict,
    /// As kiwigrid/k8s-sidecar reads them: LABEL is any selector, METHOD is WATCH unless it is spelled exactly otherwise, a boolean is
    /// false unless it is `true`.
    Sidecar,
    /// As [`Self::Strict`], but the variables of the Dovecot Director Controller count too, and what is projected may be absent.
    Director,
    /// As [`Self::Strict`], but the variables of k8s-config-controller's image count too, and having nobody to tell of changes is an
    /// error.
    Controller,
}

/// Our own.
pub(crate) static DEFAULT: Profile = DEFAULT_TABLE;

const DEFAULT_TABLE: Profile = Profile {
    name: "default",
    defaults: &[],
    reading: Reading::Strict,
    empty_counts: &["LABEL_VALUE"],
    unique: FileNames::Unique,
    empty_at_first_failure: false,
    gives_up_lists: false,
    excuses_files: false,
    wording: Wording::Own,
    answers: Answers::Detailed,
};

/// That of kiwigrid/k8s-sidecar.
pub(crate) static SIDECAR: Profile = Profile {
    name: "k8s-sidecar",
    defaults: &[
        ("NAMESPACE", Fallback::Described("the pod's own namespace; outside of a pod that of the kubeconfig's context")),
        ("RESOURCE", Fallback::Value("configmap")),
        ("KUBECONFIG", Fallback::Described("~/.kube/config if there is one, else the pod's service account")),
        ("ALLOWED_FOLDERS", Fallback::Value("/")),
        ("RESYNC", Fallback::Described("WATCH_SERVER_TIMEOUT")),
        ("CONFLICT", Fallback::Value("newest")),
        ("LEDGER", Fallback::Described("a dot-file in /tmp if that is a mount, else in FOLDER")),
        ("WATCH_SERVER_TIMEOUT", Fallback::Value("60")),
        ("WATCH_CLIENT_TIMEOUT", Fallback::Value("66")),
        ("FINALIZERS", Fallback::Value("false")),
        ("URL_KEYS", Fallback::Value("true")),
        ("SCRIPT_ENV", Fallback::Value("all")),
        ("SCRIPT_RETRIES", Fallback::Value("0")),
        ("REACT_WINDOW", Fallback::Unset),
        ("LOG_FORMAT", Fallback::Value("json")),
    ],
    reading: Reading::Sidecar,
    empty_counts: &["LABEL", "FOLDER_ANNOTATION", "REQ_PAYLOAD"],
    unique: FileNames::UniqueSidecar,
    empty_at_first_failure: true,
    gives_up_lists: true,
    excuses_files: true,
    wording: Wording::Sidecar,
    answers: Answers::Plain,
};

/// That of the Dovecot Director Controller.
pub(crate) static DIRECTOR: Profile = Profile {
    name: "dovecot-director",
    defaults: &[
        ("KUBECONFIG", Fallback::Described("~/.kube/config if there is one, else the pod's service account")),
        ("EXEC_NAMESPACE", Fallback::Required),
        ("EXEC_LABELS", Fallback::Required),
        ("EXEC_COMMAND", Fallback::Value("doveadm reload")),
        ("WATCH_PODS_LABELS", Fallback::Required),
        ("WATCH_SECRET_TYPE", Fallback::Value("kubernetes.io/tls")),
    ],
    reading: Reading::Director,
    ..DEFAULT_TABLE
};

/// That of k8s-config-controller.
pub(crate) static CONTROLLER: Profile = Profile {
    name: "config-controller",
    defaults: &[
        ("LABEL", Fallback::Unset),
        ("OBJECT", Fallback::Required),
        ("REQ_URL", Fallback::Described("required, unless anything else tells the application")),
        ("REQ_METHOD", Fallback::Value("POST")),
        ("REQ_RETRY_CONNECT", Fallback::Value("5")),
        ("ON_RELOAD_FAILURE", Fallback::Value("unhealthy")),
        ("FINALIZERS", Fallback::Value("false")),
    ],
    reading: Reading::Controller,
    ..DEFAULT_TABLE
};

/// Every profile.
pub(crate) const PROFILES: [&Profile; 4] = [&DEFAULT, &SIDECAR, &CONTROLLER, &DIRECTOR];

impl Profile {
    /// The profile of this name, in any case.
    pub(crate) fn find(name: &str) -> Option<&'static Self> {
        PROFILES.into_iter().find(|profile| profile.name.eq_ignore_ascii_case(name))
    }

    /// The profile that stands in for the program of this name.
    pub(crate) fn of_program(program: &str) -> Option<&'static Self> {
        Self::find(program).or_else(|| Self::find(program.strip_prefix("k8s-")?))
    }

    /// What holds while the setting is not given.
    pub(crate) fn fallback(&self, setting: &Setting) -> Fallback {
        self.defaults.iter().find(|(name, _)| *name == setting.name).map_or(setting.default, |(_, fallback)| *fallback)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::table;

    #[test]
    fn a_profile_names_settings_that_exist_and_differ() {
        for profile in PROFILES {
            for (name, fallback) in profile.defaults {
                let setting = table::find(name).unwrap_or_else(|| panic!("{name} is no setting"));
                assert!(setting.default != *fallback, "{name} has the same default in profile {}", profile.name);
            }
            assert!(profile.empty_counts.iter().all(|name| table::find(name).is_some()));
        }
    }
}
