//! PROFILE=dovecot-director: the defaults of the Dovecot Director Controller, its variables and its flag. Nobody else knows of them.

use std::collections::BTreeMap;

use crate::config::profiles::{Dialect, Profile, default};
use crate::config::setting::Fallback::{Described, Required, Value};
use crate::config::setting::{Flag, Takes};
use crate::config::texts::Texts;

/// That of the Dovecot Director Controller.
pub(crate) static PROFILE: Profile = Profile {
    name: "dovecot-director",
    defaults: &[
        ("KUBECONFIG", Described("~/.kube/config if there is one, else the pod's service account")),
        ("EXEC_NAMESPACE", Required),
        ("EXEC_LABELS", Required),
        ("EXEC_COMMAND", Value("doveadm reload")),
        ("WATCH_PODS_LABELS", Required),
        ("WATCH_SECRET_TYPE", Value("kubernetes.io/tls")),
    ],
    variables: &[
        ("DOVECOT_NAMESPACE", "EXEC_NAMESPACE"),
        ("DOVECOT_LABELS", "WATCH_PODS_LABELS"),
        ("DOVECOT_DIRECTOR_LABELS", "EXEC_LABELS"),
        ("DOVECOT_DIRECTOR_CONTAINER_NAME", "EXEC_CONTAINER"),
        (DELAY, "EXEC_SECRET_DELAY"),
    ],
    dialect: Dialect::Director,
    ..default::TABLE
};

/// Says where the kubeconfig is, in every profile.
pub(crate) const FLAG: Flag =
    Flag { position: 9, name: "-c", takes: Takes::Value("FILE"), help: "Kubeconfig, as the Dovecot Director Controller takes it" };

const DELAY: &str = "SYNC_FREQUENCY_DURATION";
/// The delay where that is no number, and the longest one, in seconds.
const SECONDS: i64 = 70;
const SECONDS_MAX: i64 = 86_400;

/// Whether labels are given that nothing but its deployment has, be they empty.
pub(crate) fn is_meant(given: &BTreeMap<&str, String>) -> bool {
    ["DOVECOT_LABELS", "DOVECOT_DIRECTOR_LABELS"].iter().any(|name| given.contains_key(name))
}

/// Takes what its variables give where nothing else is given, and misses what is still missing by its names.
pub(crate) fn take_variables(texts: &mut Texts, given: &BTreeMap<&'static str, String>) {
    for (theirs, ours) in PROFILE.variables {
        match given.get(theirs).filter(|value| !value.trim().is_empty()) {
            _ if texts.given(ours).is_some() => {}
            Some(delay) if *theirs == DELAY => {
                let seconds = seconds(texts, delay);
                texts.give(ours, theirs, &seconds.to_string());
            }
            Some(value) => texts.give(ours, theirs, value),
            None if PROFILE.requires(ours) => texts.missing.push((ours, theirs)),
            None => {}
        }
    }
}

/// A delay as its program reads it.
fn seconds(texts: &mut Texts, text: &str) -> i64 {
    let seconds = text.parse::<i64>().map(|seconds| seconds.clamp(0, SECONDS_MAX));
    seconds.unwrap_or_else(|_| {
        texts.warnings.push(format!("{DELAY}={text:?} is no whole number of seconds: {SECONDS} are used"));
        SECONDS
    })
}
