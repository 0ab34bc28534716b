//! A process group of ours.

use rustix::process::{Pid, Signal, kill_process_group};

/// A process group that is killed when this is dropped, unless it is released.
pub(crate) struct ProcessGroup(Option<Pid>);

impl ProcessGroup {
    /// The group that this process leads, and nobody has waited for it.
    pub(crate) const fn of(leader: Pid) -> Self {
        Self(Some(leader))
    }

    /// From now on it lives on.
    pub(crate) fn release(mut self) {
        self.0 = None;
    }

    /// Kills what is in it.
    pub(crate) fn kill(&self) {
        if let Some(group) = self.0 {
            // As long as it has members its number is its own. It fails when all of it is gone.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        self.kill();
    }
}
