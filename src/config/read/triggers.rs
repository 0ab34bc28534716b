//! Settings about what the command in pods follows: files, pods, Secrets; and whether anything is projected at all.

use std::time::Duration;

use crate::config::Method;
use crate::config::profiles::Reading;
use crate::config::read::Reader;
use crate::config::read::numbers;
use crate::config::read::parse::{self, Expected};
use crate::core::object::Kind;
use crate::core::object::selector::Selector;

/// Longest delay, in seconds.
const DELAY_MAX: u32 = 86_400;
/// The delay after a change of a Secret, where SYNC_FREQUENCY_DURATION is no number.
const SECRET_DELAY: u32 = 70;

/// What the command in pods follows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Triggers {
    /// EXEC_ON: changes of the projection.
    pub(crate) files: bool,
    /// EXEC_ON_START: the start, once everything has been listed, whatever changed.
    pub(crate) start: bool,
    /// WATCH_PODS_LABELS: pods that become ready.
    pub(crate) pods: Option<PodTrigger>,
    /// WATCH_SECRET_TYPE: Secrets whose data change.
    pub(crate) secrets: Option<SecretTrigger>,
}

impl Triggers {
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

impl Reader<'_> {
    /// Whether anything is projected: always, unless nothing at all says so and pods or Secrets are watched.
    pub(crate) fn projects(&self) -> bool {
        let raw = self.raw;
        let said = [&raw.label, &raw.label_value, &raw.folder, &raw.source, &raw.resource_name, &raw.object];
        let watches = raw.watch_pods_labels.is_some() || raw.watch_secret_type.is_some() || self.profile.reading == Reading::Director;
        self.configmap.is_some() || said.iter().any(|given| given.is_some()) || !watches
    }

    pub(crate) fn triggers(&mut self, method: Option<Method>) -> Option<Triggers> {
        let files = self.defaulted("EXEC_ON", &self.raw.exec_on, |text| parse::choice(text, &[("files", true), ("none", false)]));
        let start = self.value("EXEC_ON_START", &self.raw.exec_on_start, parse::boolean);
        let delay = self.number("EXEC_DELAY", &self.raw.exec_delay, numbers::decimal_seconds);
        let secret_delay = self.secret_delay();
        let pods = self.optional("WATCH_PODS_LABELS", &self.raw.watch_pods_labels, some_selector);
        let of_type = self.defaulted("WATCH_SECRET_TYPE", &self.raw.watch_secret_type, secret_type);
        let labels = self.optional("WATCH_SECRET_LABELS", &self.raw.watch_secret_labels, parse::selector);
        let (files, start, delay, secret_delay) = (files?.unwrap_or(true), start?, delay?, secret_delay?);
        let selector = labels?.or_else(|| Selector::parse("").ok())?;
        let pods = pods?.map(|selector| PodTrigger { selector, delay });
        let secrets = of_type?.map(|of_type| SecretTrigger { of_type, selector, delay: secret_delay });
        let once = method? == Method::List;
        let mut is_good = true;
        if once && !self.projects() {
            self.note("METHOD", "LIST ends after the first files, and there are none: neither LABEL nor FOLDER is set");
            is_good = false;
        }
        if self.raw.exec_labels.is_some() && !files && pods.is_none() && secrets.is_none() {
            self.note("EXEC_ON", "none, so that the command would never run: set WATCH_PODS_LABELS or WATCH_SECRET_TYPE");
            is_good = false;
        }
        for (name, _) in
            [("WATCH_PODS_LABELS", pods.is_some()), ("WATCH_SECRET_TYPE", secrets.is_some())].iter().filter(|(_, given)| *given)
        {
            if self.raw.exec_labels.is_none() && self.profile.reading != Reading::Director {
                self.note(name, "without EXEC_LABELS nobody is told of what is watched");
                is_good = false;
            } else if self.raw.exec_command.is_none() && self.profile.reading != Reading::Director {
                self.note(name, "is for EXEC_COMMAND, and that is not set");
                is_good = false;
            }
            self.warnings.extend(once.then(|| format!("{name} has no effect with METHOD=LIST")));
        }
        self.warnings.extend((once && start).then(|| "EXEC_ON_START has no effect with METHOD=LIST".to_owned()));
        let (files, watches) = (files && self.projects(), (!once).then_some(()));
        is_good.then_some(Triggers { files, start: start && !once, pods: watches.and(pods), secrets: watches.and(secrets) })
    }

    /// EXEC_SECRET_DELAY, and SYNC_FREQUENCY_DURATION as its program reads it.
    fn secret_delay(&mut self) -> Option<Duration> {
        let Some(text) = self.raw.exec_secret_delay.as_deref().filter(|_| self.profile.reading == Reading::Director) else {
            return self.number("EXEC_SECRET_DELAY", &self.raw.exec_secret_delay, numbers::decimal_seconds);
        };
        let seconds = text.parse::<i64>().map(|seconds| u32::try_from(seconds.clamp(0, DELAY_MAX.into())).unwrap_or(DELAY_MAX));
        let seconds = seconds.unwrap_or_else(|_| {
            self.warnings.push(format!("SYNC_FREQUENCY_DURATION={text:?} is no whole number of seconds: {SECRET_DELAY} are used"));
            SECRET_DELAY
        });
        Some(Duration::from_secs(seconds.into()))
    }
}

/// A selector that selects, so that a slip of the pen does not mean everything.
fn some_selector(text: &str) -> Result<Selector, Expected> {
    let selector = parse::selector(text)?;
    if selector.selects_everything() { Err("a label selector that does not select everything".into()) } else { Ok(selector) }
}

fn secret_type(text: &str) -> Result<String, Expected> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'/');
    match text.bytes().all(is_plain) {
        true => Ok(text.to_owned()),
        false => Err("a type of Secret, for example kubernetes.io/tls".into()),
    }
}

#[cfg(test)]
#[path = "triggers_tests.rs"]
mod tests;
