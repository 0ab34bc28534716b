//! Rows of the fault matrix about the disk, with the built binary: mounts, injected errors, other people's files, SIGKILL.
//!
//! Needs root, and `mount`, `setpriv` and `strace`. Without them these tests fail, they are never skipped.

mod disk;
mod environment;
mod foreign;
mod fuse;
mod inject;
mod kill;
mod lost;
mod marks;
pub mod mount;
mod owner;
mod trust;

pub use mount::Mount;
