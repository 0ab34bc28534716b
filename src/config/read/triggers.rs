//! Settings about what the command in pods follows: files, pods, Secrets; and whether anything is projected at all.

use std::time::Duration;

use crate::config::Method;
use crate::config::profiles::Dialect;
use crate::config::read::SettingsReader;
use crate::config::read::parse::{self, Expected};
use crate::config::table::SettingValues;
use crate::core::object::Kind;
use crate::core::object::selector::Selector;

/// What the command in pods follows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct TriggerSettings {
    /// EXEC_ON: changes of the projection.
    pub(crate) files: bool,
    /// EXEC_ON_START: the start, once everything has been listed, whatever changed.
    pub(crate) start: bool,
    /// WATCH_PODS_LABELS: pods that become ready.
    pub(crate) pods: Option<PodTrigger>,
    /// WATCH_SECRET_TYPE: Secrets whose data change.
    pub(crate) secrets: Option<SecretTrigger>,
}

impl TriggerSettings {
    /// The resources that are watched for it.
    pub(crate) fn watched(&self) -> impl Iterator<Item = &'static str> {
        let all = [(Kind::Pod, self.pods.is_some()), (Kind::Secret, self.secrets.is_some())];
        all.into_iter().filter(|(_, watched)| *watched).map(|(kind, _)| kind.plural())
    }
}

/// Pods that are followed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct PodTrigger {
    /// WATCH_PODS_LABELS.
    pub(crate) selector: Selector,
    /// EXEC_DELAY.
    pub(crate) delay: Duration,
}

/// Secrets that are followed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct SecretTrigger {
    /// WATCH_SECRET_TYPE.
    pub(crate) of_type: String,
    /// WATCH_SECRET_LABELS; without it every label will do.
    pub(crate) selector: Selector,
    /// EXEC_SECRET_DELAY.
    pub(crate) delay: Duration,
}

impl SettingsReader<'_> {
    pub(crate) fn triggers(&mut self, set: &SettingValues, method: Option<Method>) -> Option<TriggerSettings> {
        let (files, start) = (set.EXEC_ON.optional()?.unwrap_or(true), set.EXEC_ON_START.value()?);
        let (delay, secret_delay) = (set.EXEC_DELAY.value()?, set.EXEC_SECRET_DELAY.value()?);
        let selector = set.WATCH_SECRET_LABELS.optional()?.or_else(|| Selector::parse("").ok())?;
        let pods = set.WATCH_PODS_LABELS.optional()?.map(|selector| PodTrigger { selector, delay });
        let secrets = set.WATCH_SECRET_TYPE.optional()?.map(|of_type| SecretTrigger { of_type, selector, delay: secret_delay });
        let once = method? == Method::List;
        let is_director = self.dialect() == Dialect::Director;
        let mut is_good = true;
        let mut note = |reader: &mut Self, name, text| {
            reader.note(name, text);
            is_good = false;
        };
        if once && !self.projects() {
            note(self, "METHOD", "LIST ends after the first files, and there are none: neither LABEL nor FOLDER is set");
        }
        if set.EXEC_LABELS.is_given() && !files && pods.is_none() && secrets.is_none() {
            note(self, "EXEC_ON", "none, so that the command would never run: set WATCH_PODS_LABELS or WATCH_SECRET_TYPE");
        }
        let watched = [("WATCH_PODS_LABELS", pods.is_some()), ("WATCH_SECRET_TYPE", secrets.is_some())];
        for (name, _) in watched.into_iter().filter(|(_, is_watched)| *is_watched) {
            if !set.EXEC_LABELS.is_given() && !is_director {
                note(self, name, "without EXEC_LABELS nobody is told of what is watched");
            } else if !set.EXEC_COMMAND.is_given() && !is_director {
                note(self, name, "is for EXEC_COMMAND, and that is not set");
            }
            self.warnings.extend(once.then(|| format!("{name} has no effect with METHOD=LIST")));
        }
        self.warnings.extend((once && start).then(|| "EXEC_ON_START has no effect with METHOD=LIST".to_owned()));
        let (files, watches) = (files && self.projects(), (!once).then_some(()));
        is_good.then_some(TriggerSettings { files, start: start && !once, pods: watches.and(pods), secrets: watches.and(secrets) })
    }
}

/// A selector that selects, so that a slip of the pen does not mean everything.
pub(crate) fn some_selector(text: &str) -> Result<Selector, Expected> {
    let selector = parse::selector(text)?;
    if selector.selects_everything() { Err("a label selector that does not select everything".into()) } else { Ok(selector) }
}

/// WATCH_SECRET_TYPE.
pub(crate) fn secret_type(text: &str) -> Result<String, Expected> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'/');
    match text.bytes().all(is_plain) {
        true => Ok(text.to_owned()),
        false => Err("a type of Secret, for example kubernetes.io/tls".into()),
    }
}

#[cfg(test)]
#[path = "triggers_tests.rs"]
mod tests;
