//! Environment and flags to a validated [`Config`]; every problem is reported at once.
//!
//! Two steps: a flat struct of texts (`raw`), then values with meaning. One table ([`settings`]) says name, default and meaning of
//! each setting; help and documentation come from it. This module never reads the environment, the clock or the disk: all of it is argument.
//!
//! ```
//! use kube_projector::cli::Flags;
//! use kube_projector::config::{Config, Context};
//!
//! let vars = [("LABEL", "findme"), ("FOLDER", "rules")].map(|(name, value)| (name.to_owned(), value.to_owned()));
//! let context = Context { current_dir: "/etc".into(), ..Context::default() };
//! let config = Config::from_vars(vars.into_iter(), &Flags::default(), &context)?;
//! assert_eq!(config.folder.as_os_str(), "/etc/rules");
//! # Ok::<(), kube_projector::config::problems::Problems>(())
//! ```

pub(crate) mod group;
pub(crate) mod help;
pub mod problems;
pub(crate) mod profiles;
mod raw;
pub mod read;
pub(crate) mod table;

#[cfg(test)]
mod config_controller_tests;
#[cfg(test)]
mod docs;
#[cfg(test)]
mod sidecar_tests;
#[cfg(test)]
pub(crate) mod tests;

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use siphasher::sip::SipHasher13;

use crate::cli::Flags;
use crate::config::problems::{Problem, Problems};
use crate::config::profiles::Profile;
use crate::config::raw::Given;
use crate::config::read::Reader;
use crate::config::read::child::Child;
use crate::config::read::exec::{AskedPods, Exec};
pub use crate::config::read::log::{Log, LogFormat, LogLevel};
use crate::config::read::objects::default_finalizer;
use crate::config::read::reload::{Script, Signalling, Timing};
use crate::config::read::triggers::Triggers;
use crate::config::read::web::{Call, Downloads, Web};
use crate::core::discretion::Output;
use crate::core::files::project::{FileNames, Urls};
use crate::core::object::selector::Selector;
use crate::core::object::{Kind, NamedObject, Namespaces, ObjectKey};
use crate::core::policy::{Adopt, Durability, OnDelete, OnReloadFailure, Order};
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
    /// Which objects are projected by their labels; none: only [`Self::objects`] are.
    pub selector: Option<Selector>,
    /// Objects that are projected each by itself, whatever its labels; sorted, without duplicates.
    pub(crate) objects: Vec<ObjectKey>,
    /// What becomes of their files when they are deleted.
    pub(crate) on_delete: OnDelete,
    /// The folder that is kept; absolute, without `.` and `..`.
    pub folder: PathBuf,
    /// Further folders that annotations may name; absolute, without `.` and `..`, sorted, without `folder` itself.
    pub(crate) allowed_folders: Vec<PathBuf>,
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
    /// Annotation by which an object names its folder.
    pub folder_annotation: String,
    /// Objects that are followed by name, whatever their labels; empty: the selector decides.
    pub(crate) named: Vec<NamedObject>,
    /// What files are called.
    pub names: FileNames,
    /// Whether each namespace has a folder of its own.
    pub(crate) folder_per_namespace: bool,
    /// What keys that end in `.url` mean.
    pub(crate) urls: Urls,
    /// How they are asked for.
    pub(crate) downloads: Downloads,
    /// How servers other than the API are asked.
    pub(crate) web: Web,
    /// The request that follows a change.
    pub(crate) call: Option<Call>,
    /// The signal that follows a change.
    pub(crate) signal: Option<Signalling>,
    /// The command in other pods that follows a change.
    pub exec: Option<Exec>,
    /// The pods that [`Self::call`] asks, if it is for pods.
    pub(crate) asked_pods: Option<AskedPods>,
    /// The script that follows a change.
    pub(crate) script: Option<Script>,
    /// What the command in pods follows.
    pub(crate) triggers: Triggers,
    /// The application as our child.
    pub(crate) child: Option<Child>,
    /// What is repeated of what the application says.
    pub(crate) react_output: Output,
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
    /// Whether keys that end in `.gz` are unpacked, to at most as many bytes as a download may have.
    pub(crate) gzip_keys: bool,
    /// Whether what objects say of their own files counts.
    pub(crate) object_annotations: bool,
    /// Mode of files, at most `0o7777`.
    pub file_mode: u32,
    /// Mode of folders that we make, at most `0o7777`.
    pub(crate) folder_mode: u32,
    /// Which object keeps a path that several claim.
    pub(crate) conflict: Order,
    /// What happens to foreign files at wanted paths.
    pub(crate) adopt: Adopt,
    /// Name among the projectors that share the folder.
    pub(crate) instance: Option<String>,
    /// Time between two checks of what is on disk; `None`: only at start.
    pub(crate) resync: Option<Duration>,
    /// Time after which the API server ends a watch; at least a second.
    pub(crate) watch_server_timeout: Duration,
    /// Time after which we end a watch; at least five seconds more than the server's.
    pub(crate) watch_client_timeout: Duration,
    /// The health endpoint; `None`: not served.
    pub health: Option<Health>,
    /// Whether outcomes are told as Events. Never with manifests.
    pub(crate) event_logging: bool,
    /// Finalizers; `None`: none are added or removed. Never with manifests. Whether METHOD adds them is for the engine to say.
    pub(crate) finalizers: Option<Finalizers>,
    /// What is logged.
    pub log: Log,
    /// Whose words are used for it.
    pub(crate) wording: Wording,
    /// When bytes are forced to the disk.
    pub(crate) durability: Durability,
    /// Where the ledger lies.
    pub(crate) ledger: LedgerPlace,
    /// Where it lay before: by name or by path.
    pub(crate) ledger_former: Vec<LedgerPlace>,
    /// Whether files of a former selection go although the present one matches nothing.
    pub(crate) prune_empty: bool,
    /// Where files are made before they are renamed to their place; `None`: in their own folder. Never in `folder`.
    pub(crate) staging: Option<PathBuf>,
    /// Where objects come from.
    pub(crate) origin: Origin,
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

/// The health endpoint.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Health {
    /// Address to listen on; `None`: all, IPv4 and IPv6.
    pub(crate) host: Option<IpAddr>,
    /// Port to listen on; 0: any free one.
    pub port: u16,
    /// Time without contact after which a watch makes us unhealthy; `None`: never.
    pub(crate) stale_after: Option<Duration>,
    /// How `/healthz` answers.
    pub(crate) answers: Answers,
}

/// How `/healthz` answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Answers {
    /// Liveness, with everything there is to know as JSON.
    Detailed,
    /// One of k8s-sidecar's four texts: not ready is a failure too.
    Plain,
}

/// Finalizers of this deployment, all with a domain.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Finalizers {
    /// The one that is added and removed.
    pub name: String,
    /// Names of earlier days, which are only removed; sorted, without `name`.
    pub former: Vec<String>,
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
pub(crate) enum Origin {
    /// An API server, found by this file or, without one, by the pod's service account.
    Cluster {
        /// Absolute path of a kubeconfig.
        kubeconfig: Option<PathBuf>,
    },
    /// A folder of manifests; absolute.
    Manifests(PathBuf),
}

/// What the world around tells a configuration.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Context {
    /// Absolute; relative paths start here.
    pub current_dir: PathBuf,
    /// Decides the default form of the log.
    pub stderr_is_terminal: bool,
    /// The last part of the path by which we were started: the name of a profile picks that.
    pub program: String,
    /// The namespace of the pod that we run in.
    pub own_namespace: Option<String>,
    /// Whether we run in a pod, with or without a service account.
    pub in_pod: bool,
    /// `~/.kube/config`, if there is one.
    pub home_kubeconfig: Option<PathBuf>,
    /// The namespace of the context of the kubeconfig that is used outside of a pod.
    pub kubeconfig_namespace: Option<String>,
    /// Whether the command only looks, and starts and tells nobody.
    pub only_looks: bool,
    /// Whether something is mounted at `/tmp`.
    pub tmp_is_mounted: bool,
    /// What the file that LOG_CONFIG names holds, or why it cannot be read.
    pub log_config: Option<Result<String, String>>,
}

impl Config {
    /// Reads the settings of `run`, `plan` and `check`. Variables that are no settings are ignored; a flag beats its variable.
    ///
    /// # Errors
    /// Every problem with the settings at once.
    pub fn from_vars(vars: impl Iterator<Item = (String, String)>, flags: &Flags, context: &Context) -> Result<Self, Problems> {
        let given = gather(vars, flags, &context.program)?;
        let mut reader = Reader::new(&given);
        let config = read_config(&mut reader, flags, context);
        let config = config.map(|config| Self { warnings: std::mem::take(&mut reader.warnings), ..config });
        reader.finish(config)
    }

    /// Whether anything is projected. If not, all that is said of objects and files means nothing.
    pub(crate) fn projects(&self) -> bool {
        self.selector.is_some() || !self.objects.is_empty()
    }

    /// Whether anything follows a change of files.
    pub fn reacts(&self) -> bool {
        let here = self.script.is_some() || self.signal.is_some() || self.child.is_some();
        here || self.call.is_some() || (self.exec.is_some() && self.triggers.files)
    }

    /// Whether servers other than the API are asked for anything.
    pub(crate) fn asks_others(&self) -> bool {
        self.call.is_some() || self.urls != Urls::Plain
    }

    /// INSTANCE, or else eight hexadecimal digits made of the [selection](Self::selection).
    pub(crate) fn identity(&self) -> String {
        self.instance.clone().unwrap_or_else(|| selection_hash(&[&self.selection()]))
    }
}

/// Where `healthcheck` asks; `None`: LIVENESS is off, so that there is nobody to ask.
///
/// # Errors
/// Every problem with the settings of the health endpoint at once. Port 0 is one: nobody knows which it became.
pub fn health_address(vars: impl Iterator<Item = (String, String)>, program: &str) -> Result<Option<SocketAddr>, Problems> {
    let given = gather(vars, &Flags::default(), program)?;
    let mut reader = Reader::new(&given);
    let health = reader.health();
    if let Some(Some(Health { port: 0, .. })) = health {
        reader.note("HEALTH_PORT", "healthcheck has to know the port, 0 means any free one");
    }
    let address = |health: Health| SocketAddr::new(reachable(health.host), health.port);
    reader.finish(health.map(|health| health.map(address)))
}

/// Names and values of variables as text. What is not UTF-8 is kept as the replacement character, which no setting accepts.
pub fn as_text(vars: impl Iterator<Item = (OsString, OsString)>) -> impl Iterator<Item = (String, String)> {
    vars.map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
}

/// Eight hexadecimal digits that stand for these parts, the same in every release and on every machine. No part may hold a NUL.
pub(crate) fn selection_hash(parts: &[&str]) -> String {
    let hash = SipHasher13::new_with_keys(0, 0).hash(parts.join("\0").as_bytes());
    format!("{:08x}", hash >> 32)
}

fn gather(vars: impl Iterator<Item = (String, String)>, flags: &Flags, program: &str) -> Result<Given, Problems> {
    raw::gather(vars, flags, program).map_err(|error| Problems::new(vec![Problem::unreadable(&error.to_string())]))
}

fn read_config(reader: &mut Reader<'_>, flags: &Flags, context: &Context) -> Option<Config> {
    // All groups are read before the first `?`, so that none hides the problems of another.
    let profile = reader.profile();
    let selector = reader.selector();
    let objects = reader.objects();
    let scope = reader.scope(context);
    let method = reader.method();
    let files = reader.files(&context.current_dir);
    let ownership = reader.ownership(context);
    let watch_timeouts = reader.watch_timeouts();
    let web = reader.web(&context.current_dir);
    let resync = match (files.as_ref().map(|files| files.resync), watch_timeouts) {
        (Some(Some(resync)), _) => resync,
        (_, timeouts) => timeouts.map(|(server, _)| server),
    };
    let urls = reader.urls(resync, web.as_ref());
    let reactions = reader.reactions(&context.current_dir);
    let (exec, asked_pods) = reader.exec(context, scope.as_ref().map(|scope| &scope.origin), web.as_ref()).unzip();
    let triggers = reader.triggers(method.map(|(method, _)| method));
    let child = reader.child(&flags.child, method.map(|(method, _)| method));
    let (react_output, on_reload_failure) = (reader.react_output(), reader.on_reload_failure());
    reader.tells_of_files();
    let told_otherwise = context.only_looks || !flags.child.is_empty() || matches!(exec, Some(Some(_)));
    reader.somebody_is_told(reactions.as_ref().filter(|_| !told_otherwise));
    let connection = reader.connection();
    let health = reader.health();
    if health == Some(None) && on_reload_failure.is_some_and(|meaning| meaning != OnReloadFailure::Report) {
        reader.warnings.push("ON_RELOAD_FAILURE has no effect with LIVENESS=false: nobody can ask".to_owned());
    }
    let finalizer_names = reader.finalizer_names();
    let cluster_writes = reader.cluster_writes(scope.as_ref());
    let log = reader.log(context);
    reader.staging_is_apart(files.as_ref(), ownership.as_ref());
    reader.ledger_is_of_use(ownership.as_ref());
    let (scope, files, ownership) = (scope?, files?, ownership?);
    let (method, poll) = method?;
    let (watch_server_timeout, watch_client_timeout) = watch_timeouts?;
    let (wants_finalizers, event_logging) = cluster_writes?;
    let (selector, objects) = (selector?, objects?);
    let (name, former) = finalizer_names?;
    let name = name.unwrap_or_else(|| default_finalizer(selector.as_ref(), &scope.namespaces, &objects.keys));
    let (web, urls, reactions) = (web?, urls?, reactions?);
    let Profile { wording, gives_up_lists, excuses_files, .. } = *reader.profile;
    profile?;
    Some(Config {
        selector,
        objects: objects.keys,
        on_delete: objects.on_delete,
        named: scope.names,
        urls: urls.urls,
        downloads: urls.downloads,
        list_retry: gives_up_lists.then_some(web.retry),
        excuses_files,
        web,
        call: reactions.call,
        signal: reactions.signal,
        exec: exec?,
        asked_pods: asked_pods?,
        script: reactions.script,
        triggers: triggers?,
        child: child?,
        react_output: react_output?,
        on_reload_failure: on_reload_failure?,
        timing: reactions.timing,
        verify: connection?,
        folder: files.folder,
        allowed_folders: files.allowed_folders,
        namespaces: scope.namespaces,
        own_namespace: context.own_namespace.clone(),
        kinds: scope.kinds,
        method,
        poll,
        folder_annotation: files.folder_annotation,
        names: files.names,
        folder_per_namespace: files.folder_per_namespace,
        gzip_keys: files.gzip_keys,
        object_annotations: files.object_annotations,
        file_mode: files.file_mode,
        folder_mode: files.folder_mode,
        conflict: ownership.conflict,
        adopt: ownership.adopt,
        instance: ownership.instance,
        resync,
        watch_server_timeout,
        watch_client_timeout,
        health: health?,
        event_logging,
        finalizers: (wants_finalizers && reader.projects())
            .then(|| Finalizers { former: former.into_iter().filter(|other| *other != name).collect(), name }),
        log: log?,
        wording,
        durability: files.durability,
        ledger: ownership.ledger,
        ledger_former: ownership.ledger_former,
        prune_empty: ownership.prune_empty,
        staging: ownership.staging,
        origin: scope.origin,
        source_settle: scope.source_settle,
        warnings: Vec::new(),
    })
}

fn default_format(context: &Context) -> LogFormat {
    if context.stderr_is_terminal { LogFormat::Text } else { LogFormat::Json }
}

/// The address by which a listener on `host` is reached from this machine.
fn reachable(host: Option<IpAddr>) -> IpAddr {
    match host {
        None => Ipv4Addr::LOCALHOST.into(),
        Some(IpAddr::V4(address)) if address.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        Some(IpAddr::V6(address)) if address.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        Some(address) => address,
    }
}
