//! The status page: what a running projector is doing, for people at `/` and as JSON at `/status`, to this machine alone.
//!
//! It holds what cannot be looked up when somebody asks: the last changes and what became of them, and since when something is wrong.
//! Everything else is asked for: the [`board`] asks health, and through the [`desk`] the engine, which answers between two commits with
//! a few hundred rows at a time, so that no file is later and memory has a bound. Without STATUS_ADDR there is neither, and nothing is
//! kept or computed.
//!
//! It never changes anything, and never repeats what a program or a server said, nor a value of an object.

pub(crate) mod board;
pub(crate) mod desk;
mod document;
mod files;
mod look;
mod page;
mod problem;
pub(crate) mod server;
mod stream;
mod timeline;

#[cfg(test)]
mod tests;
