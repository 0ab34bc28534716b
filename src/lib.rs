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
//! From what everybody stands on to what stands on everybody: a module uses only what comes before it, in `core` too, and a test
//! draws this line.
//! - [`core`]: everything that decides. No tokio, no kube client, no `std::fs`, no clock; a test enforces it.
//!   - Small things that several need: [`core::retry`], `backoff`, `schedule`, `memory` (given back when things go), forms of
//!     names and numbers, `record` (how a line of ours is checked), `debt` (what a restart must know of what is owed).
//!   - [`core::policy`]: the choices that a user makes. [`core::path`]: which names of files are refused. [`core::discretion`]: what may
//!     be repeated of what a program says.
//!   - [`core::object`]: objects, what sources say of them, and how two events become one (`merge`).
//!   - [`core::files`]: which files an object wants (`project`), who is first of those that claim a path (`resolve`), what is claimed
//!     and owned (`store`), who keeps a path now and what is to be done (`plan`), in which order (`order`), what we wrote and what is
//!     owed (`ledger`), and how far that is believed (`trust`).
//!   - [`core::watch`]: what a list or watch asks next, and when what it has is not to be believed any more.
//!   - [`core::tell`]: what is told to the application and when (`queue`), and when again (`pace`).
//! - [`aside`]: reads and runs what lies outside FOLDER, and may hang. [`lookup`]: names, likewise. `yaml`: YAML and JSON as a tree.
//! - [`config`]: environment and flags to a validated `Config`; every problem at once. [`config::table`] has a row for each setting,
//!   `config::profiles` other defaults and dialects, of which nobody else knows.
//! - [`telemetry`]: the log. `metrics`: what is counted, its names, and how it is shown. [`health`]: what loops and watches say of themselves, and what follows for a probe.
//! - [`web`]: asks servers other than the API: origins, credentials, redirects, sizes.
//! - [`api`]: asks the API server: connection, tokens and when they are read again (`token`), what went wrong (`failure`), lists,
//!   decoding, commands in pods.
//! - [`source`]: where objects come from. Drives [`core::watch`] against an API server (`cluster`), or asks for objects one by one where
//!   it may not list (`cluster::named`) and where the engine wants bytes again (`fetch`); reads a folder of manifests; brings what lies
//!   behind URLs (`downloads`). All of it goes to the engine by the `mailbox`.
//! - [`disk`]: the only module that writes files of objects and the ledger, behind [`disk::fs::Fs`] so that any call can be made to
//!   fail: whole files by rename (`fill`), folders, the ledger's file, marks, what odd file systems cannot do (`mount`). With DRY_RUN what
//!   would be lies over what is there (`dry`), and nobody above notices.
//! - [`engine`]: one synchronous call is one commit: fold a batch, plan what it touched, apply the plan (`apply`), step by step and
//!   with what follows when a step fails, as on a full disk (`turns`). When that is tried again: `attempts`. What people must know, and
//!   whether an object needs our finalizer: `notes` and `notices`. That a change is owed to the application: `reacting`.
//! - [`report`]: what the cluster is told: Events, finalizers as the engine wants them, `release`. Never blocks or fails a file.
//! - [`tell`]: what the application is told, here, as a child of ours or by a command in other pods, when files changed, or pods and
//!   Secrets that it depends on. One file for each way; `runner` drives them all. Never blocks a file.
//! - [`status`]: what people see of all this: the page and its JSON, on an address of this machine, and what is kept for them.
//! - [`serve`]: `/healthz`, `/readyz` and `/metrics`. [`app`]: the wiring of `run`, its one loop, and how it stops. [`cli`]: the command line.
//!   [`commands`]: `plan`, `check`, `release`, `healthcheck`.
//!
//! # What kube and k8s-openapi do here
//! kube reads kubeconfigs and what a pod is given, runs credential plugins, makes TLS, and builds every request
//! (`kube::core::Request`); kube's `Status` and k8s-openapi's types are what is sent and read where nothing is hot.
//! - Not `kube::runtime`: its watcher hides bookmarks, which tell us that a watch lives, keeps a `resourceVersion` that the server gave
//!   up (410), and hands over whole typed objects. `core::watch` is told of every line.
//! - Not `kube::Client`: a file with a token is read in the midst of a request, where a file that hangs stops everybody; what it logs
//!   names what is asked for; and deadlines, one retry after a 401 and the end of a silent peer would have to be layers of ours in any
//!   case. The transport in [`api`] is these, on the same hyper and the same TLS.
//! - Not k8s-openapi's ConfigMap and Secret where a watch brings them: most of a line is what we do not want (`managedFields`), and a
//!   value is wanted once, as bytes. `api::json` reads past the rest: 14 900 instructions and 1 152 bytes for a changed object of 1 KiB,
//!   where serde with borrowed fields takes 21 700 and 5 220. The gates hold the whole way to the file.
//!
//! # Words
//! Words of Kubernetes and Unix mean here what they mean there. Ours:
//!
//! | word | means |
//! |---|---|
//! | aside | on another thread and for a bounded time, because it may hang |
//! | arrival | the bytes behind a URL, or that there are none |
//! | claim | that an object wants a file at a path |
//! | commit | what one call of the engine changes, and tells of |
//! | contest | a name that is wanted as a file and as a folder |
//! | debt | what a next process must know of a reaction that is owed |
//! | delivery | one telling, to all ways, of all that waited |
//! | discretion | not to repeat what a program says while it may know a Secret |
//! | foreign | a file that the ledger does not give us |
//! | former | before this process or before now: a process, a selection, an owner |
//! | fold | to take a batch of events into the store |
//! | generation | the number of a list; what an older one says does not count |
//! | hand-over | a path that passes from one object to another without a gap |
//! | instance | those who share a selection, and a ledger |
//! | lasting | a file that stays when its object goes, because that said so |
//! | ledger | the file that says which paths are ours, and whose |
//! | mailbox | where events wait for the engine, one for each object |
//! | mark | what a file says of itself where the ledger may be lost |
//! | named | followed by its name, whatever its labels |
//! | notice | something that people are told when it begins, once |
//! | owed | to be told to the application, also after a restart |
//! | pace | when a reaction that did not work is tried again |
//! | plan | the steps from what is on disk to what is wanted |
//! | profile | other defaults and another dialect of settings |
//! | project | to say which files an object wants |
//! | reaction | something that tells the application; a way is how |
//! | resync | to look at what is on disk again |
//! | roots | FOLDER and the other folders that may be written |
//! | selection | what makes an object ours: label, kinds, namespaces |
//! | settled | heard out: every source listed or refused; of manifests, unchanged for so long that what is missing is gone |
//! | sibling | another instance that writes into the same FOLDER |
//! | target | where a file goes; of commands and requests, a pod |
//!
//! # Invariants
//! - No body is kept after its file is written: memory grows with the number of files, not with their size.
//! - A path is in the ledger before its file exists, and until after it is gone: created ⊆ ledger at every instant.
//! - Nothing is removed, and no path that the ledger gives to another object is overwritten, until every source is listed
//!   completely or definitely refused; a refused source's files stay.
//! - Two sources never speak about one object: one that is named has its own, whatever its labels.
//! - What moves is at its new place before it goes from the old one, unless it is in the way there.
//! - A file changes by rename, from its own folder or from STAGING; below FOLDER no symbolic link is followed.
//! - The cost of a commit follows what changed, never how much there is.
//! - A file behind a URL keeps its last good bytes until there are others; an answer counts only for the question that is asked now.
//! - A change is owed to the application, by a record in the ledger, before the first file of it changes (where a full disk takes the
//!   record, as soon as it can), and until it was told.
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
pub(crate) mod metrics;
pub mod report;
pub mod serve;
pub mod source;
pub(crate) mod status;
pub mod telemetry;
pub mod tell;
pub mod web;
pub(crate) mod yaml;
