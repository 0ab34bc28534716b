//! The subcommands beside `run`: each asks or looks, prints, and ends.

pub mod check;
pub mod healthcheck;
pub mod plan;
pub mod release;

use std::io::Write as _;

/// Prints a line on standard output. A reader that went away is no failure of ours.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
