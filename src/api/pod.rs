//! What a pod's status says of how it is reached: cold JSON, read by serde.

use serde::Deserialize;

use crate::core::object::pod::Ready;

/// `status` of a pod.
#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct PodStatus {
    phase: Option<String>,
    #[serde(rename = "podIP")]
    pub(crate) pod_ip: Option<String>,
    conditions: Option<Vec<Condition>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Condition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
    last_transition_time: Option<String>,
}

impl PodStatus {
    /// Whether its containers run.
    pub(crate) fn runs(&self) -> bool {
        self.phase.as_deref() == Some("Running")
    }

    /// How it is reached, while it runs and is ready.
    pub(crate) fn ready(self) -> Option<Ready> {
        let since = self.ready_since().filter(|_| self.runs())?.to_owned();
        Some(Ready { address: self.pod_ip.unwrap_or_default(), since })
    }

    /// Since when it is ready, if it is.
    pub(crate) fn ready_since(&self) -> Option<&str> {
        let mut conditions = self.conditions.iter().flatten();
        let ready = conditions.rfind(|condition| condition.kind == "Ready" && condition.status == "True")?;
        Some(ready.last_transition_time.as_deref().unwrap_or_default())
    }
}
