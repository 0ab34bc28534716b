//! What outlives a process of what is owed to the application.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What a next process has to know of a reaction that is owed. A ledger keeps it; it holds nothing secret.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Debt {
    /// Since when it is owed, in seconds since 1970; 0 where no attempt failed yet.
    pub(crate) since: u64,
    /// How often this state of the files was told without an answer.
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) unanswered: u32,
    /// When that was last.
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) last: u64,
    /// How often in a row the same credentials were refused.
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) refused: u32,
    /// When credentials were refused, and one byte that tells most of them apart.
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) refusals: Vec<(u64, u8)>,
    /// Whether no file of a Secret was there that whoever is told may still know.
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) clean: bool,
}

impl Debt {
    /// Since when it is owed, as time since 1970; nothing where no attempt failed yet.
    pub(crate) fn since(&self) -> Option<Duration> {
        (self.since > 0).then(|| Duration::from_secs(self.since))
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
