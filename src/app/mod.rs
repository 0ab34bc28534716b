//! The wiring of `run`: sources, engine, status writers and health, each a named task; the end of any of them ends the program.

mod engine;
mod executor;
pub(crate) mod followed;
pub mod process;
mod publish;
mod reactions;
mod reaper;
pub mod shutdown;
pub(crate) mod sources;
mod standby;
pub(crate) mod told;
mod triggers;
mod writers;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use futures::FutureExt as _;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::api::ApiServer;
use crate::api::metadata;
use crate::app::engine::{EngineLoop, LoopEnd, Servers};
use crate::app::publish::Publisher;
use crate::app::shutdown::Shutdown;
use crate::app::writers::Writers;
use crate::config::{Arguments, Config, LedgerPlace, Method, ObjectSource, Wording};
use crate::core::backoff::random;
use crate::core::files::project::Rules;
use crate::core::files::store::Store;
use crate::core::object::ObjectKey;
use crate::core::path::Roots;
use crate::disk::Disk;
use crate::disk::dry::{Overlay, RunFs};
use crate::disk::fs::Kernel;
use crate::disk::ledger::Place;
use crate::engine::outcome::Settings;
use crate::engine::preview::Preview;
use crate::health::Health;
use crate::metrics::Metrics;
use crate::report::{finalizers, sweep};
use crate::serve;
use crate::status;
use crate::status::board::{Board, Facts};
use crate::status::desk::Desk;
use crate::tell::child;
use crate::web;

/// Runs until asked to stop, or until the one list of METHOD=LIST is on disk.
///
/// # Errors
/// What a person must correct: no usable API server, FOLDER that cannot be made. Everything else is waited for.
pub async fn run(config: Config, arguments: Arguments, mut shutdown: Shutdown) -> anyhow::Result<ExitCode> {
    let health = health(&config);
    let metrics = Metrics::new(config.health.is_some_and(|health| health.metrics));
    let opened = tokio::select! {
        opened = open(&config) => opened,
        () = shutdown.asked() => return Ok(ExitCode::SUCCESS),
    };
    let (api, web) = opened?;
    let api = api.map(|api| api.counted(&metrics));
    tokio::select! {
        apart = sources::apart(&config) => apart?,
        () = shutdown.asked() => return Ok(ExitCode::SUCCESS),
    }
    greet(&config, api.as_ref().map(|api| (api.url(), api.context())));
    let mut tasks = Tasks::default();
    if reaper::is_needed() {
        tasks.spawn("that waits for orphans", reaper::reap());
    }
    serve_health(&config, serve::Endpoints { health: health.clone(), metrics: metrics.clone() }, &mut tasks);
    let desk = show(&config, &arguments, &health, &mut tasks);
    let (stop, stopped) = watch::channel(false);
    let status = api.as_ref().map(|api| match config.dry_run {
        true => Writers::would(&config, &stopped, &mut tasks),
        false => Writers::start(&config, api, &stopped, &mut tasks),
    });
    let events = status.as_ref().and_then(|status| status.events.clone());
    let child = config.child.clone().map(|settings| child::own(settings, health.clone())).transpose()?;
    if let Some(child) = &child {
        shutdown.follow(child.ended());
    }
    let publisher = Publisher::new(&config, events, status.as_ref().and_then(|status| status.finalizers.clone()));
    let pod = api.as_ref().and_then(ApiServer::pod).map(|pod| pod.uid);
    let servers = Servers { api: api.clone(), web, child: child.as_ref().map(child::Child::handle), desk };
    let engine = EngineLoop::new(&config, pod, servers, (health.clone(), metrics), publisher)?;
    let ended = engine.run(&config, &mut shutdown, &mut tasks).await;
    if shutdown.was_asked() && config.wording == Wording::Sidecar {
        tracing::info!("Subprocess exiting gracefully");
    }
    // A list is no reason to wait for Events longer than a stop is.
    let _ = stop.send(true);
    // The child may take its time.
    health.stopping();
    let status = async {
        if let Some(status) = status {
            status.end(&mut shutdown, &mut tasks.writers).await;
        }
    };
    let child = async {
        match child {
            Some(child) => child.end().await,
            None => None,
        }
    };
    let ((), code) = tokio::join!(status, child);
    drop(tasks);
    Ok(match (ended, code) {
        // Who asks us to stop gets 0, whatever the child makes of it.
        (LoopEnd::Done, code) => ExitCode::from(code.unwrap_or_default()),
        (LoopEnd::Settings(why), _) => {
            tracing::error!(why, "a setting cannot be kept");
            ExitCode::from(2)
        }
        (LoopEnd::Failed(why), code) => {
            tracing::error!(why, "ended with a failure");
            code.map_or(ExitCode::FAILURE, ExitCode::from)
        }
    })
}

/// What the loops tell of themselves, as settings want it shown.
fn health(config: &Config) -> Health {
    let health = Health::new(config.health.and_then(|health| health.stale_after));
    health.set_on_reload_failure(config.on_reload_failure);
    if config.dry_run {
        health.set_dry_run();
    }
    health
}

/// Serves the status page, if it is wanted. Where it is not, nothing is kept for it.
fn show(config: &Config, arguments: &Arguments, health: &Health, tasks: &mut Tasks) -> Option<Desk> {
    let address = config.status?;
    let (board, desk) = Board::new(Facts::new(config, arguments, settings(config).rules.roots), health.clone());
    tasks.spawn("that serves the status page", status::server::serve(address, board));
    Some(desk)
}

/// Serves the health endpoints, where they are wanted.
fn serve_health(config: &Config, endpoints: serve::Endpoints, tasks: &mut Tasks) {
    if let Some(listen) = config.health {
        let address = serve::Address { host: listen.host, port: listen.port };
        let manner = serve::Manner { answers: listen.answers, wording: config.wording };
        tasks.spawn("that serves health", serve::serve(address, manner, endpoints));
    }
}

/// The servers that are asked. None of them is reached by that.
async fn open(config: &Config) -> anyhow::Result<(Option<ApiServer>, Option<web::Client>)> {
    let api = match &config.source {
        ObjectSource::Cluster { kubeconfig } => Some(ApiServer::connect(kubeconfig.as_deref(), config.verify).await?),
        ObjectSource::Manifests(_) => None,
    };
    let web = match config.projects() && config.asks_others() {
        true => Some(web::Client::open(&config.web).await?),
        false => None,
    };
    Ok((api, web))
}

/// The first line. `server`: its URL, and the context of the kubeconfig that names it.
fn greet(config: &Config, server: Option<(&str, Option<&str>)>) {
    let (folder, version) = (config.folder.display(), env!("CARGO_PKG_VERSION"));
    let (url, context) = (server.map(|(url, _)| url).unwrap_or_default(), server.and_then(|(_, context)| context));
    if config.dry_run {
        tracing::info!("a dry run: nothing is changed, and nobody is told; what would be done is said instead");
    }
    match config.projects() {
        true => tracing::info!(version, selection = config.selection(), %folder, server = url, context, "starting"),
        false => tracing::info!(version, server = url, context, "starting, nothing is projected"),
    }
    if let (Wording::Sidecar, Some((server, _))) = (config.wording, server) {
        tracing::info!("Config for cluster api at '{}'", server.trim_end_matches('/'));
    }
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
}

/// What the engine needs to know of the configuration. Whether anything reacts is known once that was started.
pub(crate) fn settings(config: &Config) -> Settings {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let (folder, name) = ledger_place(config);
    let ledger = folder.join(name);
    let rules = Rules {
        roots: Roots::new(&text(&config.folder), config.files.allowed_folders.iter().map(|folder| text(folder)))
            .around_ledger(&text(&ledger)),
        names: config.files.names,
        folder_per_namespace: config.files.folder_per_namespace,
        urls: config.urls,
        gzip_max: config.files.gzip_keys.then_some(config.downloads.bytes_max),
        annotations: config.files.object_annotations,
        tells_outside: config.files.allowed_folders.iter().any(|folder| folder.as_os_str() == "/"),
        file_mode: u16::try_from(config.files.file_mode).unwrap_or(0o644),
        terminating_is_gone: config.finalizers.is_some(),
    };
    let (finalizers, adds_finalizers) = (config.finalizers.clone(), config.method != Method::List);
    Settings { rules, adopt: config.ownership.adopt, finalizers, adds_finalizers, reacts: false, shows: config.status.is_some() }
}

/// What the engine of this run begins with: it knows its sources, and nothing of them.
fn store(config: &Config) -> Store {
    crate::engine::store(followed::scopes(config), config.ownership.conflict, (random(), random())).keeping(config.kept())
}

/// What a commit would do, for whoever only looks, over what the ledger says. `held` tells whether one is in use. Blocking.
pub(crate) fn preview(config: &Config, place: Place, held: impl Fn((u64, u64)) -> bool) -> Preview<RunFs> {
    let settings = settings(config);
    Preview::new(Disk::for_looking(Overlay::through(Kernel::default()), settings.rules.roots.clone()), store(config), settings, place, held)
}

/// The folder that holds our ledger, and its name there.
fn ledger_place(config: &Config) -> (PathBuf, String) {
    match &config.ownership.ledger {
        LedgerPlace::Default => (config.folder.clone(), format!("{}{}.ledger", crate::core::path::RESERVED_PREFIX, config.identity())),
        LedgerPlace::Name(name) => (config.folder.clone(), name.clone()),
        LedgerPlace::In(folder) => {
            let kept = crate::config::selection_hash(&[&config.folder.to_string_lossy()]);
            (folder.clone(), format!("{}{}-{kept}.ledger", crate::core::path::RESERVED_PREFIX, config.identity()))
        }
        LedgerPlace::Path(path) => split(path),
    }
}

/// The folder of a file, and its name there.
fn split(path: &Path) -> (PathBuf, String) {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    (path.parent().map(Path::to_path_buf).unwrap_or_default(), name)
}

/// Where our ledger lies, and what its header says.
pub(crate) fn place(config: &Config, pod: Option<String>) -> Place {
    let (folder, name) = ledger_place(config);
    let former = |place: &LedgerPlace| match place {
        LedgerPlace::Path(path) => {
            let (folder, name) = split(path);
            Some((Some(folder), name))
        }
        LedgerPlace::Name(name) => Some((None, name.clone())),
        LedgerPlace::Default | LedgerPlace::In(_) => None,
    };
    Place {
        folder,
        name,
        others: vec![config.folder.clone()],
        former: config.ownership.ledger_former.iter().filter_map(former).collect(),
        prune_empty: config.ownership.prune_empty,
        selection: config.selection(),
        instance: config.ownership.instance.clone().unwrap_or_default(),
        pod: pod.unwrap_or_default(),
        fresh_id: format!("{:016x}", random()),
    }
}

/// Tasks that live as long as the program. Each gives its name, as part of a sentence.
#[derive(Default)]
pub(crate) struct Tasks {
    lasting: JoinSet<&'static str>,
    /// Those that end by themselves when they are told of the stop.
    writers: JoinSet<&'static str>,
}

impl Tasks {
    /// Starts a task.
    pub(crate) fn spawn(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.lasting.spawn(named(name, task).boxed());
    }

    /// Resolves when a task has ended, which none of them should, and says so.
    ///
    /// # Cancel safety
    /// Yes.
    pub(crate) async fn ended(&mut self) -> String {
        let ended = tokio::select! {
            Some(ended) = self.lasting.join_next() => ended,
            Some(ended) = self.writers.join_next() => ended,
            else => return std::future::pending().await,
        };
        ended.map_or_else(|error| format!("a task failed: {error}"), |name| format!("the task {name} ended early"))
    }
}

async fn named(name: &'static str, task: impl Future<Output = ()>) -> &'static str {
    task.await;
    name
}

/// Starts the sweep for objects that lost the label while nobody watched.
pub(crate) fn sweep(config: &Config, api: &ApiServer, sender: finalizers::FinalizerSender, tasks: &mut Tasks) {
    let Some(ours) = config.finalizers.clone() else { return };
    let (api, config) = (api.clone(), config.clone());
    let (kinds, namespaces) = config.places();
    let collections = metadata::Collection::all(&kinds, &namespaces);
    tasks.spawn("that looks for orphaned finalizers", async move {
        let followed =
            |key: &ObjectKey, object: &metadata::Metadata| config.follows(key, |label| object.labels.get(label).map(String::as_str));
        sweep::sweep(&api, &collections, followed, &ours, &sender).await;
        std::future::pending::<()>().await;
    });
}
