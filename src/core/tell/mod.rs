//! When the application is told of what, how often that is tried, and what may be repeated of its answers.

pub mod cause;
pub mod difference;
pub mod pace;
pub mod queue;
pub(crate) mod told;
pub mod trigger;
