//! kube-projector keeps a folder equal to what labelled or named Kubernetes ConfigMaps and Secrets say it should hold.
//!
//! # The one idea
//! The wanted files are a pure function of all live objects. The work is the difference between that and the ledger. Reactions follow
//! a committed difference. Events only say "look again".
//!
//! ```text
//! cluster (list+watch) --+
//!                        +--SourceEvent--> mailbox --> engine (sole owner of store, ledger, disk) --Outcome--> log, Events, finalizers
//! manifests folder ------+                   ^ |  fold  -> plan             (pure)              |
//!        ^                                   | |  apply: ledger, files      (IO)                +--> reactions: script, signal, child, request
//!        +-------------- fetch, relist ------|-+                                                |
//!                                            +--- downloads (what .url keys name) <-------------+
//! health only reads
//! ```
//!
//! # Where things are
//! From what everybody stands on to what stands on everybody; a module uses only what comes before it.
//! - [`core`]: everything that decides. No tokio, no kube client, no `std::fs`, no clock; a test enforces it.
//! - [`aside`]: reads and runs what lies outside FOLDER, and may hang. [`lookup`]: names, likewise.
//! - [`config`]: environment and flags to a validated `Config`; every problem at once. A profile is one table of defaults there, and
//!   nobody else knows of it.
//! - [`health`]: what the loops say of themselves. [`telemetry`]: the log.
//! - [`web`]: asks servers other than the API. [`api`]: asks the API server.
//! - [`source`]: where objects come from. Drives [`core::watch`] against an API server, or reads a folder of manifests;
//!   [`source::downloads`] brings what lies behind URLs.
//! - [`disk`]: the only module that touches FOLDER, behind [`disk::fs::Fs`] so that faults can be injected.
//! - [`engine`]: one synchronous call is one commit: fold a batch, plan what it touched, apply the plan.
//! - [`report`]: what the cluster is told: Events, finalizers, `release`. Never blocks or fails a file.
//! - [`tell`]: what the application is told, here, as a child of ours or by a command in other pods, when files changed, or pods and
//!   Secrets that it depends on. Never blocks a file.
//! - [`serve`]: `/healthz` and `/readyz`. [`app`]: the wiring of `run`. [`cli`]: the command line. [`commands`]: `plan`, `check`,
//!   `release`, `healthcheck`.
//!
//! # Invariants
//! - No body is kept after its file is written: memory grows with the number of files, not with their size.
//! - A path is in the ledger before its file exists, and until after it is gone: created ⊆ ledger at every instant.
//! - Nothing is removed, and no path that the ledger gives to another object is overwritten, until every source is listed
//!   completely or definitely refused; a refused source's files stay.
//! - Two sources never speak about one object: one that is named has its own, whatever its labels.
//! - What moves is at its new place before it goes from the old one, unless it is in the way there.
//! - A file changes by rename in its own folder; below FOLDER no symbolic link is followed.
//! - The cost of a commit follows what changed, never how much there is.
//! - A file behind a URL keeps its last good bytes until there are others; an answer counts only for the question that is asked now.
//! - A change is owed to the application, by a record in the ledger, before the first file of it changes, and until it was told.
//! - Payloads have no `Debug`, `Display` or `Serialize`; nothing can print a value.

pub mod api;
pub mod app;
pub mod aside;
pub mod cli;
pub mod commands;
pub mod config;
pub mod core;
pub mod disk;
pub mod engine;
pub mod health;
pub mod lookup;
pub mod report;
pub mod serve;
pub mod source;
pub mod telemetry;
pub mod tell;
pub mod web;
pub(crate) mod yaml;
