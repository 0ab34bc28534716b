//! The engine alone, over a file system that fails or dies when it is told to.

mod answers;
mod costs;
mod crash;
mod dry;
mod errors;
mod faulty;
mod harness;
mod keeping;
mod marks;
mod merged;
pub mod model;
mod moves;
mod odd;
mod own;
mod properties;
mod reacting;
mod scenario;
mod staged;
