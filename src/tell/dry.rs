//! DRY_RUN: says whom a reaction would tell, and of how much. Tells nobody.

use std::future::ready;

use futures::FutureExt as _;

use crate::core::tell::cause::Cause;
use crate::tell::{Fired, Reaction};

/// Stands in for a reaction, which is never fired.
pub(super) struct WouldTell {
    reaction: Box<dyn Reaction>,
    whom: String,
}

impl WouldTell {
    /// In place of this reaction, which would tell these.
    pub(super) const fn new(reaction: Box<dyn Reaction>, whom: String) -> Self {
        Self { reaction, whom }
    }
}

impl Reaction for WouldTell {
    fn name(&self) -> &'static str {
        self.reaction.name()
    }

    fn heeds(&self, cause: Cause) -> bool {
        self.reaction.heeds(cause)
    }

    fn skips_initial(&self) -> bool {
        self.reaction.skips_initial()
    }

    fn fire<'a>(&'a mut self, changed: &'a [String]) -> Fired<'a> {
        let (reaction, whom, files, example) = (self.name(), &self.whom, changed.len(), changed.first());
        tracing::info!(reaction, whom, files, example, "would tell the application");
        ready(Ok(())).boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{LogFormat, LogLevel};
    use crate::telemetry::tests::captured;

    struct Fatal;

    impl Reaction for Fatal {
        fn name(&self) -> &'static str {
            "script"
        }

        fn skips_initial(&self) -> bool {
            true
        }

        fn fire<'a>(&'a mut self, _changed: &'a [String]) -> Fired<'a> {
            panic!("it is never fired")
        }
    }

    #[test]
    fn who_would_be_told_is_said_and_not_told() {
        let mut would = WouldTell::new(Box::new(Fatal), "/reload".to_owned());
        let changed = ["/a".to_owned(), "/b".to_owned()];
        let log = captured(LogLevel::Info, LogFormat::Text, || assert_eq!(would.fire(&changed).now_or_never(), Some(Ok(()))));
        assert_eq!(log.lines().count(), 1, "{log}");
        for part in ["would tell the application", "reaction=\"script\"", "whom=\"/reload\"", "files=2", "example=\"/a\""] {
            assert!(log.contains(part), "{part} in {log}");
        }
        assert!(would.skips_initial() && would.heeds(Cause::Files) && !would.heeds(Cause::Pods));
    }
}
