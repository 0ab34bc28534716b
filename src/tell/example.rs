//! REACT_OUTPUT=always: an example of a way to tell, which writes what changed to the log.

use std::future::ready;

use futures::FutureExt as _;

use crate::core::discretion::ReactOutput;
use crate::tell::{Fired, Reaction, Way};

/// REACT_OUTPUT.
pub(super) const WAY: Way = Way::new(|config| config.react_output == ReactOutput::Always, |_, _| Some(Box::new(Example)));

struct Example;

impl Reaction for Example {
    fn name(&self) -> &'static str {
        "example"
    }

    fn fire<'a>(&'a mut self, changed: &'a [String]) -> Fired<'a> {
        changed.iter().for_each(|path| tracing::debug!(path, "changed"));
        ready(Ok(())).boxed()
    }
}
