//! The rig's own tests: what it claims to do is seen from outside, through raw HTTPS.
//!
//! Those that begin with `Cluster::new()` run on a real server too and hold the stand-in to it.

mod faults;
mod launcher;
mod pods;
mod protocol;
mod server;
mod web;
