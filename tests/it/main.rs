//! Everything that speaks to an API server: the in-process one by default, a real one when PROJECTOR_TEST_CLUSTER names a kubeconfig.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails where it unwraps, and tells its counts")]

mod browser;
mod change;
mod common;
mod examples;
mod faults;
mod project;
mod proxy;
#[path = "../support/mod.rs"]
mod support;
mod tidy;

mod asked_pods;
mod audit;
mod charts;
mod child;
mod commands;
mod config_controller;
mod conflict;
mod dovecot;
mod dry;
mod engine;
mod exec;
mod finalizers;
mod former;
mod gzip_keys;
mod handbook;
mod headers;
mod leads;
mod manifests;
mod metrics;
mod migration;
mod monitoring;
mod named;
mod own_annotations;
mod pages;
mod programs;
mod rbac;
mod reloading;
mod rows;
mod selection;
mod settings;
mod sharing;
mod sidecar;
mod sidecar_hooks;
mod sidecar_urls;
mod signal;
mod standby;
mod starts;
mod status;
mod tell;
mod words;
