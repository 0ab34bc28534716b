//! What holds for this process before anything else is done.

use std::io;

use tokio::runtime::{Builder, Runtime};

use crate::telemetry;

/// Makes the process one that keeps secrets and modes, tells panics, and can wait.
///
/// # Errors
/// What the system refuses of a runtime.
pub fn prepared() -> io::Result<Runtime> {
    // Passwords may stand in our environment: nobody of our uid reads it, and no core holds it. What cannot be refused is no reason to end.
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    telemetry::tell_panics();
    // Modes are set exactly by fchmod; a mask that takes the owner's own bits would lock us out before.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    // What hangs keeps its thread, and nobody hangs twice: this is more than there are files, names and programs that can.
    Builder::new_current_thread().enable_all().max_blocking_threads(64).build()
}
