//! Everything that speaks to an API server: the in-process one by default, a real one when PROJECTOR_TEST_CLUSTER names a kubeconfig.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails where it unwraps, and tells its counts")]

#[path = "../support/mod.rs"]
mod support;
mod tidy;
mod change;
mod common;
mod project;
mod faults;

mod engine;
mod rows;
mod conflict;
mod finalizers;
mod audit;
mod sharing;
mod settings;
mod commands;
mod manifests;
mod rbac;
