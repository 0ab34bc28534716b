//! Environment and flags to a validated [`Config`]; every problem is reported at once.
//!
//! Three steps: texts by name (`texts`), each of them a value (`table`, where a setting is one row), and what values mean together
//! ([`read`]). Help, documentation and flags come from the table, too. Only `context` looks at the world: all else is argument.
//!
//! ```
//! use kube_projector::config::{Arguments, Config, Context};
//!
//! let vars = [("LABEL", "findme"), ("FOLDER", "rules")].map(|(name, value)| (name.to_owned(), value.to_owned()));
//! let context = Context { current_dir: "/etc".into(), ..Context::default() };
//! let config = Config::from_vars(vars.into_iter(), &Arguments::default(), &context)?;
//! assert_eq!(config.folder.as_os_str(), "/etc/rules");
//! # Ok::<(), kube_projector::config::problems::Problems>(())
//! ```

pub(crate) mod context;
pub mod effective;
pub(crate) mod flags;
pub(crate) mod help;
pub(crate) mod nearly;
pub mod problems;
pub(crate) mod profiles;
pub mod read;
pub(crate) mod setting;
pub(crate) mod table;
pub(crate) mod texts;

#[cfg(test)]
mod charts_tests;
#[cfg(test)]
mod config_controller_tests;
#[cfg(test)]
pub(crate) mod docs;
#[cfg(test)]
mod sidecar_tests;
#[cfg(test)]
pub(crate) mod tests;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use siphasher::sip::SipHasher13;

pub use crate::config::context::{Context, Looks};
use crate::config::problems::Problems;
use crate::config::read::child::ChildSettings;
use crate::config::read::exec::{AskedPods, ExecSettings};
use crate::config::read::files::{FileSettings, OwnershipSettings};
use crate::config::read::health::HealthSettings;
use crate::config::read::idle::warn_of_idle;
pub use crate::config::read::log::{LogFormat, LogLevel, LogSettings};
use crate::config::read::objects::{self, default_finalizer};
use crate::config::read::reload::{ReloadRequest, ScriptSettings, SignalSettings, Timing};
use crate::config::read::triggers::TriggerSettings;
use crate::config::read::web::{Downloads, WebSettings};
use crate::config::read::{SettingsReader, numbers};
use crate::config::setting::Heading;
use crate::config::table::SettingValues;
pub use crate::config::texts::Arguments;
use crate::config::texts::Texts;
use crate::core::discretion::ReactOutput;
use crate::core::files::project::Urls;
use crate::core::object::finalizers::Finalizers;
use crate::core::object::selector::Selector;
use crate::core::object::{Kind, NamedObject, Namespaces, ObjectKey};
use crate::core::policy::{OnDelete, OnReloadFailure};
use crate::core::retry::Retry;

/// Domain of the finalizers that we name ourselves; `release --all` removes every finalizer under it.
pub(crate) const FINALIZER_DOMAIN: &str = "kube-projector.dev";

/// Whose words log lines use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Wording {
    /// Ours.
    Own,
    /// Those of k8s-sidecar, which people search for.
    Sidecar,
}

/// Everything that a run needs to know, validated.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// Which objects are projected by their labels; none: only `objects` are.
    pub selector: Option<Selector>,
    /// Objects that are projected each by itself, whatever its labels; sorted, without duplicates.
    pub(crate) objects: Vec<ObjectKey>,
    /// What becomes of their files when they are deleted.
    pub(crate) on_delete: OnDelete,
    /// The folder that is kept; absolute, without `.` and `..`.
    pub folder: PathBuf,
    /// What files look like.
    pub files: FileSettings,
    /// Whose files they are.
    pub(crate) ownership: OwnershipSettings,
    /// Where objects are looked for.
    pub namespaces: Namespaces,
    /// The namespace of the pod that we run in.
    pub(crate) own_namespace: Option<String>,
    /// Kinds that are projected; not empty, without duplicates.
    pub kinds: Vec<Kind>,
    /// How objects are read.
    pub method: Method,
    /// Time between two readings of an object that may be read by its name only.
    pub(crate) poll: Duration,
    /// Objects that are followed by name, whatever their labels; empty: the selector decides.
    pub(crate) named: Vec<NamedObject>,
    /// What keys that end in `.url` mean.
    pub(crate) urls: Urls,
    /// How they are asked for.
    pub(crate) downloads: Downloads,
    /// How servers other than the API are asked.
    pub(crate) web: WebSettings,
    /// The request that follows a change.
    pub(crate) request: Option<ReloadRequest>,
    /// The signal that follows a change.
    pub(crate) signal: Option<SignalSettings>,
    /// The command in other pods that follows a change.
    pub exec: Option<ExecSettings>,
    /// The pods that [`Self::request`] asks, if it is for pods.
    pub(crate) asked_pods: Option<AskedPods>,
    /// The script that follows a change.
    pub(crate) script: Option<ScriptSettings>,
    /// What the command in pods follows.
    pub(crate) triggers: TriggerSettings,
    /// The application as our child.
    pub(crate) child: Option<ChildSettings>,
    /// What is repeated of what the application says.
    pub(crate) react_output: ReactOutput,
    /// What a reload that fails means for health.
    pub(crate) on_reload_failure: OnReloadFailure,
    /// How often and when the application is told.
    pub(crate) timing: Timing,
    /// Bounds of METHOD=LIST while the API server cannot be reached; `None`: it is waited for.
    pub(crate) list_retry: Option<Retry>,
    /// Whether METHOD=LIST has done its part when a file cannot be written.
    pub(crate) excuses_files: bool,
    /// What is checked of the API server's certificate.
    pub(crate) verify: Verify,
    /// Time between two checks of what is on disk; `None`: only at start.
    pub(crate) resync: Option<Duration>,
    /// Time after which the API server ends a watch; at least a second.
    pub(crate) watch_server_timeout: Duration,
    /// Time after which we end a watch; at least five seconds more than the server's.
    pub(crate) watch_client_timeout: Duration,
    /// The health endpoint; `None`: not served.
    pub health: Option<HealthSettings>,
    /// Where the status page is served; `None`: not at all, and nothing is kept for it.
    pub(crate) status: Option<SocketAddr>,
    /// Whether outcomes are told as Events. Never with manifests.
    pub(crate) event_logging: bool,
    /// Finalizers; `None`: none are added or removed. Never with manifests. Whether METHOD adds them is for the engine to say.
    pub(crate) finalizers: Option<Finalizers>,
    /// Whether nothing is changed and nobody is told: what would be done is logged.
    pub(crate) dry_run: bool,
    /// What is logged.
    pub log: LogSettings,
    /// Whose words are used for it.
    pub(crate) wording: Wording,
    /// Where objects come from.
    pub(crate) source: ObjectSource,
    /// SOURCE_SETTLE: what is missing in a folder of manifests counts when nothing has changed there for so long.
    pub(crate) source_settle: Duration,
    /// What works otherwise than it was asked for: one sentence each, worth a warning in the log.
    pub warnings: Vec<String>,
}

/// How objects are read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Method {
    /// One list, then changes as they happen.
    Watch,
    /// One list, then the end.
    List,
    /// A list, and another each time this time has passed; at least a second.
    Sleep(Duration),
}

/// How `/healthz` answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Answers {
    /// Liveness, with everything there is to know as JSON.
    Detailed,
    /// One of k8s-sidecar's four texts: not ready is a failure too.
    Plain,
}

/// Where the ledger lies.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum LedgerPlace {
    /// A dot-file in the folder, named after [`Config::identity`].
    Default,
    /// This name in the folder; one path component, neither `.` nor `..`.
    Name(String),
    /// This file; absolute, without `.` and `..`.
    Path(PathBuf),
    /// A dot-file in this folder, named after [`Config::identity`] and the folder that is kept.
    In(PathBuf),
}

/// What is checked of the API server's certificate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verify {
    /// What the kubeconfig or the pod says.
    AsConfigured,
    /// Nothing: SKIP_TLS_VERIFY.
    Nothing,
}

/// Where objects come from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum ObjectSource {
    /// An API server, found by this file or, without one, by the pod's service account.
    Cluster {
        /// Absolute path of a kubeconfig.
        kubeconfig: Option<PathBuf>,
    },
    /// A folder of manifests; absolute.
    Manifests(PathBuf),
}

impl Config {
    /// Reads the settings of `run`, `plan` and `check`. Variables that are no settings are ignored; a flag beats its variable.
    ///
    /// # Errors
    /// Every problem with the settings at once.
    pub fn from_vars(vars: impl Iterator<Item = (String, String)>, arguments: &Arguments, context: &Context) -> Result<Self, Problems> {
        let texts = Texts::gather(vars, &arguments.flags, &context.program);
        let mut reader = SettingsReader::new(&texts, context);
        let config = read_config(&mut reader, arguments);
        let config = config.map(|config| Self { warnings: std::mem::take(&mut reader.warnings), ..config });
        let mut config = reader.finish(config)?;
        warn_of_idle(&mut config, &texts, context.looks);
        Ok(config)
    }

    /// Whether anything is projected. If not, all that is said of objects and files means nothing.
    pub(crate) fn projects(&self) -> bool {
        self.selector.is_some() || !self.objects.is_empty()
    }

    /// Whether servers other than the API are asked for anything.
    pub(crate) fn asks_others(&self) -> bool {
        self.request.is_some() || self.urls != Urls::Plain
    }

    /// INSTANCE, or else eight hexadecimal digits made of the [selection](Self::selection).
    pub(crate) fn identity(&self) -> String {
        self.ownership.instance.clone().unwrap_or_else(|| selection_hash(&[&self.selection()]))
    }
}

/// Where `healthcheck` asks; `None`: LIVENESS is off, so that there is nobody to ask.
///
/// # Errors
/// Every problem with the settings of the health endpoint at once. Port 0 is one: nobody knows which it became.
pub fn health_address(vars: impl Iterator<Item = (String, String)>, program: &str) -> Result<Option<SocketAddr>, Problems> {
    let (texts, context) = (Texts::gather(vars, &[], program), Context::default());
    let mut reader = SettingsReader::new(&texts, &context);
    let set = SettingValues::read(&mut reader, |setting| setting.heading == Heading::Health);
    let health = reader.health(&set);
    if let Some(Some(HealthSettings { port: 0, .. })) = health {
        reader.note("HEALTH_PORT", "healthcheck has to know the port, 0 means any free one");
    }
    reader.finish(health.map(|health| health.map(|health| health.reachable())))
}

/// Where `status` asks.
///
/// # Errors
/// STATUS_ADDR is not set, or cannot be used. Port 0 is one: nobody knows which it became.
pub(crate) fn status_address(vars: impl Iterator<Item = (String, String)>, program: &str) -> Result<SocketAddr, Problems> {
    let (texts, context) = (Texts::gather(vars, &[], program), Context::default());
    let mut reader = SettingsReader::new(&texts, &context);
    let set = SettingValues::read(&mut reader, |setting| setting.name == "STATUS_ADDR");
    let address = set.STATUS_ADDR.optional();
    match address {
        Some(None) => reader.note("STATUS_ADDR", "it is not set, here or for run: without it there is no status page to ask"),
        Some(Some(address)) if address.port() == 0 => reader.note("STATUS_ADDR", "status has to know the port, 0 means any free one"),
        Some(Some(_)) | None => {}
    }
    reader.finish(address.flatten())
}

/// Eight hexadecimal digits that stand for these parts, the same in every release and on every machine. No part may hold a NUL.
pub(crate) fn selection_hash(parts: &[&str]) -> String {
    let hash = SipHasher13::new_with_keys(0, 0).hash(parts.join("\0").as_bytes());
    format!("{:08x}", hash >> 32)
}

fn read_config(reader: &mut SettingsReader<'_>, arguments: &Arguments) -> Option<Config> {
    let set = &SettingValues::read(reader, |_| true);
    // All subjects are read before the first `?`, so that none hides the problems of another.
    let (selector, objects, places, method) = (reader.selector(set), reader.objects(set), reader.places(set), objects::method(set));
    let (folder, files, ownership) = (reader.folder(set), reader.files(set), reader.ownership(set));
    reader.places_are_apart(set, ownership.as_ref());
    let (watch_timeouts, web) = (reader.watch_timeouts(set), reader.web(set));
    let resync = set.RESYNC.value().map_or(set.WATCH_SERVER_TIMEOUT.value(), numbers::never_if_zero);
    let (urls, reactions) = (reader.urls(set, resync, web.as_ref()), reader.reactions(set));
    let (exec, asked_pods) = reader.exec(set, places.as_ref().map(|places| &places.source), web.as_ref()).unzip();
    let triggers = reader.triggers(set, method.map(|(method, _)| method));
    let child = reader.child(set, &arguments.child, method.map(|(method, _)| method));
    reader.tells_of_files();
    let told_otherwise = reader.context.looks == Looks::Only || !arguments.child.is_empty() || matches!(exec, Some(Some(_)));
    reader.somebody_is_told(reactions.as_ref().filter(|_| !told_otherwise));
    let (verify, health) = (reader.connection(set), reader.health(set));
    let on_reload_failure = set.ON_RELOAD_FAILURE.value();
    if health == Some(None) && on_reload_failure.is_some_and(|meaning| meaning != OnReloadFailure::Report) {
        reader.warn("ON_RELOAD_FAILURE has no effect with LIVENESS=false: nobody can ask");
    }
    let (cluster_writes, log) = (reader.cluster_writes(set, places.as_ref()), reader.log(set));
    let (selector, objects, places, (method, poll)) = (selector?, objects?, places?, method?);
    let (watch_server_timeout, watch_client_timeout) = watch_timeouts?;
    let (web, urls, reactions, (wants_finalizers, event_logging)) = (web?, urls?, reactions?, cluster_writes?);
    let names = finalizer_names(set, || default_finalizer(selector.as_ref(), &places.namespaces, &objects))?;
    let (profile, status, ()) = (reader.texts.profile, set.STATUS_ADDR.optional()?, set.PROFILE.value()?);
    Some(Config {
        selector,
        objects,
        on_delete: set.ON_DELETE.value()?,
        folder: folder?,
        files: files?,
        ownership: ownership?,
        namespaces: places.namespaces,
        own_namespace: reader.context.own_namespace.clone(),
        kinds: places.kinds,
        method,
        poll,
        named: places.names,
        urls: urls.urls,
        downloads: urls.downloads,
        request: reactions.request,
        signal: reactions.signal,
        exec: exec?,
        asked_pods: asked_pods?,
        script: reactions.script,
        triggers: triggers?,
        child: child?,
        react_output: set.REACT_OUTPUT.value()?,
        on_reload_failure: on_reload_failure?,
        timing: reactions.timing,
        list_retry: profile.gives_up_lists.then_some(web.retry),
        excuses_files: profile.excuses_files,
        verify: verify?,
        resync,
        watch_server_timeout,
        watch_client_timeout,
        health: health?,
        status,
        event_logging,
        finalizers: (wants_finalizers && reader.projects()).then_some(names),
        dry_run: set.DRY_RUN.value()?,
        log: log?,
        wording: profile.wording,
        source: places.source,
        source_settle: set.SOURCE_SETTLE.value()?,
        warnings: Vec::new(),
        web,
    })
}

/// FINALIZER_NAME and FINALIZER_FORMER, whether finalizers are in use or not.
fn finalizer_names(set: &SettingValues, default: impl FnOnce() -> String) -> Option<Finalizers> {
    let name = set.FINALIZER_NAME.optional()?.unwrap_or_else(default);
    let former = set.FINALIZER_FORMER.optional()?.unwrap_or_default().into_iter().filter(|other| *other != name).collect();
    Some(Finalizers { name, former })
}
