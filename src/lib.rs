//! kube-projector
pub mod cli;
pub mod config;
pub mod telemetry;
pub mod core;
pub mod disk;
pub mod engine;
pub mod health;
pub mod serve;
pub mod source;
pub mod status;
pub mod app;
pub mod commands;
