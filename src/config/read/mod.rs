//! From given text to values: takes defaults from the table, notes every problem and goes on.

pub(crate) mod child;
pub(crate) mod exec;
pub(crate) mod headers;
pub(crate) mod log;
pub(crate) mod log_config;
pub(crate) mod names;
pub(crate) mod numbers;
pub(crate) mod objects;
pub(crate) mod others;
pub(crate) mod parse;
pub(crate) mod paths;
pub mod release;
pub(crate) mod reload;
pub(crate) mod triggers;
pub mod web;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::problems::{Problem, Problems};
use crate::config::profiles::config_controller::ConfigMap;
use crate::config::profiles::{Profile, Reading};
use crate::config::raw::{Given, Raw};
use crate::config::read::log::LogZone;
use crate::config::read::parse::{Expected, MethodName};
use crate::config::table::{self, Fallback, Setting};
use crate::config::{Context, Health, LedgerPlace, Log, LogLevel, Method, Origin, default_format};
use crate::core::files::project::FileNames;
use crate::core::object::selector::Selector;
use crate::core::object::{Kind, NamedObject, Namespaces};
use crate::core::policy::{Adopt, Durability, Order};

/// How much longer than the server's a client's watch timeout must be: the server's answer has to arrive.
const WATCH_TIMEOUT_GAP: Duration = Duration::from_secs(5);

/// Reads settings one by one. Each `None` that a method returns has left a problem behind.
pub(crate) struct Reader<'a> {
    pub(crate) raw: &'a Raw,
    pub(crate) profile: &'static Profile,
    given_by: &'a BTreeMap<&'static str, &'static str>,
    /// What k8s-config-controller would follow.
    pub(crate) configmap: Option<&'a ConfigMap>,
    problems: Vec<Problem>,
    /// Things that work otherwise than they were asked for.
    pub(crate) warnings: Vec<String>,
}

/// Settings about objects, but for the selector.
pub(crate) struct Scope {
    pub(crate) namespaces: Namespaces,
    pub(crate) kinds: Vec<Kind>,
    pub(crate) names: Vec<NamedObject>,
    /// Whether the kubeconfig is one that nobody named.
    pub(crate) implied: bool,
    pub(crate) origin: Origin,
    pub(crate) source_settle: Duration,
}

/// Settings about files.
pub(crate) struct Files {
    pub(crate) folder: PathBuf,
    pub(crate) folder_annotation: String,
    pub(crate) allowed_folders: Vec<PathBuf>,
    pub(crate) names: FileNames,
    pub(crate) folder_per_namespace: bool,
    pub(crate) file_mode: u32,
    pub(crate) folder_mode: u32,
    /// `None`: where the profile says WATCH_SERVER_TIMEOUT.
    pub(crate) resync: Option<Option<Duration>>,
    pub(crate) durability: Durability,
    pub(crate) gzip_keys: bool,
    pub(crate) object_annotations: bool,
}

/// Settings about whose files they are.
pub(crate) struct Ownership {
    pub(crate) conflict: Order,
    pub(crate) adopt: Adopt,
    pub(crate) instance: Option<String>,
    pub(crate) ledger: LedgerPlace,
    pub(crate) ledger_former: Vec<LedgerPlace>,
    pub(crate) prune_empty: bool,
    pub(crate) staging: Option<PathBuf>,
}

impl<'a> Reader<'a> {
    /// A reader of what was given.
    pub(crate) fn new(given: &'a Given) -> Self {
        let Given { raw, given_by, missing, configmap, profile, warnings } = given;
        let missed = |(name, missed_as): &(&str, &str)| table::find(name).map(|setting| Problem::missing(setting, missed_as));
        let problems = missing.iter().filter_map(missed).collect();
        Self { raw, profile, given_by, configmap: configmap.as_ref(), problems, warnings: warnings.clone() }
    }

    /// The value, unless anything was wrong.
    pub(crate) fn finish<T>(self, value: Option<T>) -> Result<T, Problems> {
        match value {
            Some(value) if self.problems.is_empty() => Ok(value),
            _ => Err(Problems::new(self.problems)),
        }
    }

    /// LABEL and LABEL_VALUE, of which the first is needed.
    pub(crate) fn labelled(&mut self) -> Option<Selector> {
        if self.profile.reading == Reading::Sidecar {
            let text = match (&self.raw.label, &self.raw.label_value) {
                (Some(label), Some(value)) => Some(format!("{label}={value}")),
                (label, _) => label.clone(),
            };
            return self.value("LABEL", &text, parse::selector);
        }
        let label = self.value("LABEL", &self.raw.label, parse::label_key);
        let value = self.optional("LABEL_VALUE", &self.raw.label_value, parse::label_value);
        Some(Selector::label(&label?, value?.as_deref()))
    }

    /// PROFILE itself, which was looked up already.
    pub(crate) fn profile(&mut self) -> Option<()> {
        self.value("PROFILE", &self.raw.profile, parse::profile)
    }

    pub(crate) fn scope(&mut self, context: &Context) -> Option<Scope> {
        let current_dir = &context.current_dir;
        let namespaces = self.namespaces(context);
        let kinds = self.value("RESOURCE", &self.raw.resource, parse::kinds);
        let names = self.resource_names();
        let folder = self.value("SOURCE", &self.raw.source, |text| Ok(paths::origin_folder(text, current_dir)));
        let source_settle = self.number("SOURCE_SETTLE", &self.raw.source_settle, numbers::decimal_seconds);
        let kubeconfig = self.optional("KUBECONFIG", &self.raw.kubeconfig, |text| paths::kubeconfig(text, current_dir));
        let (folder, kubeconfig) = (folder?, kubeconfig?);
        // That of whoever sits here is not meant for a program that writes to a cluster, as long as nobody says so.
        let implied = kubeconfig.is_none() && context.home_kubeconfig.is_some() && !context.in_pod;
        let looks_at_home = !context.in_pod || self.profile.reading != Reading::Strict;
        let kubeconfig = kubeconfig.or_else(|| context.home_kubeconfig.clone().filter(|_| looks_at_home));
        let (namespaces, kinds) = (namespaces?, kinds?);
        let names = self.fitting(names?, &namespaces, &kinds)?;
        let origin = folder.unwrap_or(Origin::Cluster { kubeconfig });
        Some(Scope { namespaces, kinds, names, implied, source_settle: source_settle?, origin })
    }

    fn namespaces(&mut self, context: &Context) -> Option<Namespaces> {
        let setting = table::find("NAMESPACE")?;
        if let Fallback::Value(_) = self.profile.fallback(setting) {
            return self.value("NAMESPACE", &self.raw.namespace, parse::namespaces);
        }
        if let Some(namespaces) = self.optional("NAMESPACE", &self.raw.namespace, parse::lenient_namespaces)?.flatten() {
            return Some(namespaces);
        }
        let own = context.own_namespace.as_ref().or(context.kubeconfig_namespace.as_ref());
        let own = own.map(|own| Namespaces::Only(vec![own.clone()]));
        if own.is_none() {
            self.note("NAMESPACE", "outside of a pod it is required: ALL, or names of namespaces with commas between them");
        }
        own
    }

    /// METHOD, and SLEEP_TIME, which counts with others than SLEEP too.
    pub(crate) fn method(&mut self) -> Option<(Method, Duration)> {
        let lenient = self.profile.reading == Reading::Sidecar;
        let method = self.value("METHOD", &self.raw.method, if lenient { parse::lenient_method } else { parse::method });
        let sleep = self.number("SLEEP_TIME", &self.raw.sleep_time, numbers::seconds);
        let (method, sleep) = (method?, sleep?);
        let method = match method {
            MethodName::Watch => Method::Watch,
            MethodName::List => Method::List,
            MethodName::Sleep => Method::Sleep(sleep),
        };
        Some((method, sleep))
    }

    pub(crate) fn files(&mut self, current_dir: &Path) -> Option<Files> {
        let folder = match self.projects() {
            true => self.value("FOLDER", &self.raw.folder, |text| Ok(paths::path(text, current_dir))),
            false => Some(PathBuf::new()),
        };
        let folder_annotation = match self.raw.folder_annotation.as_deref() {
            // No annotation has this name.
            Some("") => Some(String::new()),
            _ => self.value("FOLDER_ANNOTATION", &self.raw.folder_annotation, parse::annotation_key),
        };
        let allowed = self.defaulted("ALLOWED_FOLDERS", &self.raw.allowed_folders, |text| Ok(paths::paths(text, current_dir)));
        let lenient = self.profile.reading == Reading::Sidecar;
        let unique = self.truth("UNIQUE_FILENAMES", &self.raw.unique_filenames);
        let folder_per_namespace = self.truth("FOLDER_PER_NAMESPACE", &self.raw.folder_per_namespace);
        let file_mode =
            self.value("DEFAULT_FILE_MODE", &self.raw.default_file_mode, if lenient { parse::lenient_mode } else { parse::mode });
        let folder_mode = self.value("FOLDER_MODE", &self.raw.folder_mode, parse::mode);
        let resync = self.defaulted_number("RESYNC", &self.raw.resync, numbers::seconds);
        let durability = self.value("DURABILITY", &self.raw.durability, parse::durability);
        let gzip_keys = self.value("GZIP_KEYS", &self.raw.gzip_keys, parse::boolean);
        let object_annotations = self.value("OBJECT_ANNOTATIONS", &self.raw.object_annotations, parse::boolean);
        if folder_mode.is_some_and(|mode| mode & 0o300 != 0o300) {
            self.warnings.push("FOLDER_MODE keeps the owner from writing to the folders that we make".to_owned());
        }
        let folder = folder?;
        let mut allowed_folders = allowed?.unwrap_or_default();
        allowed_folders.retain(|allowed| *allowed != folder);
        Some(Files {
            folder,
            folder_annotation: folder_annotation?,
            allowed_folders,
            names: if unique? { self.profile.unique } else { FileNames::Key },
            folder_per_namespace: folder_per_namespace?,
            file_mode: file_mode?,
            folder_mode: folder_mode?,
            resync: resync?.map(numbers::never_if_zero),
            durability: durability?,
            gzip_keys: gzip_keys?,
            object_annotations: object_annotations?,
        })
    }

    pub(crate) fn ownership(&mut self, context: &Context) -> Option<Ownership> {
        let current_dir = &context.current_dir;
        let conflict = self.value("CONFLICT", &self.raw.conflict, parse::order);
        let adopt = self.value("ADOPT", &self.raw.adopt, parse::adopt);
        let instance = self.optional("INSTANCE", &self.raw.instance, parse::instance);
        let ledger = self.optional("LEDGER", &self.raw.ledger, |text| paths::ledger(text, current_dir));
        let staging = self.optional("STAGING", &self.raw.staging, |text| paths::staging(text, current_dir));
        let elsewhere = context.tmp_is_mounted && self.profile.reading == Reading::Sidecar;
        let usual = if elsewhere { LedgerPlace::In("/tmp".into()) } else { LedgerPlace::Default };
        let former = self.optional("LEDGER_FORMER", &self.raw.ledger_former, |text| paths::ledgers(text, current_dir));
        let prune_empty = self.value("PRUNE_EMPTY", &self.raw.prune_empty, parse::boolean);
        Some(Ownership {
            conflict: conflict?,
            adopt: adopt?,
            instance: instance?,
            ledger: ledger?.unwrap_or(usual),
            ledger_former: former?.unwrap_or_default(),
            prune_empty: prune_empty?,
            staging: staging?,
        })
    }

    /// STAGING is to be met by nobody who lists FOLDER.
    pub(crate) fn staging_is_apart(&mut self, files: Option<&Files>, ownership: Option<&Ownership>) {
        let (Some(folder), Some(ownership)) = (files.map(|files| &files.folder), ownership) else { return };
        let Some(staging) = ownership.staging.as_ref().filter(|_| !folder.as_os_str().is_empty()) else { return };
        if staging.starts_with(folder) {
            self.note("STAGING", "lies in FOLDER: expected the absolute path of a folder outside of it, on the same mount");
        }
        if matches!(ownership.ledger, LedgerPlace::Default | LedgerPlace::Name(_)) {
            self.warnings.push("STAGING keeps temporary files out of FOLDER, but the ledger lies there: LEDGER moves it".to_owned());
        }
    }

    /// Where nothing is projected there is no FOLDER for a ledger to lie in.
    pub(crate) fn ledger_is_of_use(&mut self, ownership: Option<&Ownership>) {
        if !self.projects() && ownership.is_some_and(|ownership| matches!(ownership.ledger, LedgerPlace::Name(_))) {
            self.warnings.push("LEDGER has no effect without FOLDER, unless it is a path: expected one on a volume that lasts".to_owned());
        }
    }

    /// Timeouts of the server and of the client. The client's is raised where it would end watches that the server still holds.
    pub(crate) fn watch_timeouts(&mut self) -> Option<(Duration, Duration)> {
        let server = self.number("WATCH_SERVER_TIMEOUT", &self.raw.watch_server_timeout, numbers::seconds);
        let client = self.number("WATCH_CLIENT_TIMEOUT", &self.raw.watch_client_timeout, numbers::seconds);
        let (server, client) = (server?, client?);
        let least = server + WATCH_TIMEOUT_GAP;
        // Charts say 60 and 60.
        if client < least && self.profile.reading != Reading::Sidecar {
            let (client, least) = (client.as_secs(), least.as_secs());
            self.warnings
                .push(format!("WATCH_CLIENT_TIMEOUT={client} is raised to {least}, which is WATCH_SERVER_TIMEOUT and 5 seconds more"));
        }
        Some((server, client.max(least)))
    }

    /// The health endpoint, `None` inside where LIVENESS is off.
    pub(crate) fn health(&mut self) -> Option<Option<Health>> {
        let liveness = self.value("LIVENESS", &self.raw.liveness, parse::boolean);
        if self.profile.reading == Reading::Sidecar && !self.health_address_is_good() {
            return Some(None);
        }
        let alias = self.optional("HEALTHCHECK_PORT", &self.raw.healthcheck_port, parse::port);
        let port = self.value("HEALTH_PORT", &self.raw.health_port, parse::port);
        let host: Option<Option<IpAddr>> = self.optional("HEALTH_HOST", &self.raw.health_host, parse::ip_address);
        let stale_after = self.number("HEALTH_STALE_AFTER", &self.raw.health_stale_after, numbers::seconds);
        let (alias, mut port) = (alias?, port?);
        match alias {
            Some(alias) if self.raw.health_port.is_none() => port = alias,
            Some(alias) if alias != port => self.warnings.push(format!("HEALTH_PORT={port} is used, HEALTHCHECK_PORT={alias} is not")),
            _ => {}
        }
        let health = Health { host: host?, port, stale_after: numbers::never_if_zero(stale_after?), answers: self.profile.answers };
        liveness.map(|liveness| liveness.then_some(health))
    }

    /// Whether port and address can be read. A Service named `health` gives every pod a HEALTH_PORT that is none; files matter more.
    fn health_address_is_good(&mut self) -> bool {
        let port = self.raw.health_port.as_deref().is_none_or(|text| parse::port(text).is_ok());
        let host = self.raw.health_host.as_deref().is_none_or(|text| parse::ip_address(text).is_ok());
        let bad = [("HEALTH_PORT", port), ("HEALTH_HOST", host)];
        self.warnings.extend(
            bad.iter().filter(|(_, good)| !good).map(|(name, _)| format!("{name} cannot be used: the health endpoint is not served")),
        );
        port && host
    }

    /// FINALIZER_NAME, if it is given, and FINALIZER_FORMER, whether finalizers are in use or not.
    pub(crate) fn finalizer_names(&mut self) -> Option<(Option<String>, Vec<String>)> {
        let name = self.optional("FINALIZER_NAME", &self.raw.finalizer_name, parse::finalizer);
        let former = self.optional("FINALIZER_FORMER", &self.raw.finalizer_former, parse::finalizers);
        Some((name?, former?.unwrap_or_default()))
    }

    /// Whether finalizers and Events are wanted; neither is possible without a cluster.
    pub(crate) fn cluster_writes(&mut self, scope: Option<&Scope>) -> Option<(bool, bool)> {
        let finalizers = self.value("FINALIZERS", &self.raw.finalizers, parse::boolean);
        let events = self.value("EVENT_LOGGING", &self.raw.event_logging, parse::boolean);
        let (finalizers, events) = (finalizers?, events?);
        let Scope { implied, origin, .. } = scope?;
        match origin {
            Origin::Cluster { .. } => Some((finalizers && !(*implied && self.raw.finalizers.is_none()), events)),
            Origin::Manifests(_) => {
                let asked = [("FINALIZERS", finalizers && self.raw.finalizers.is_some()), ("EVENT_LOGGING", events)];
                for (name, _) in asked.into_iter().filter(|(_, asked)| *asked) {
                    self.warnings.push(format!("{name} has no effect while SOURCE is a folder"));
                }
                Some((false, false))
            }
        }
    }

    pub(crate) fn log(&mut self, context: &Context) -> Option<Log> {
        let lenient = self.profile.reading == Reading::Sidecar;
        let level = self.value("LOG_LEVEL", &self.raw.log_level, if lenient { log::python_level } else { parse::log_level });
        let format = self.defaulted("LOG_FORMAT", &self.raw.log_format, if lenient { parse::python_log_format } else { parse::log_format });
        let zone = self.value("LOG_TZ", &self.raw.log_tz, |text| Ok(LogZone::from_text(text)));
        let planned = self.optional("LOG_CONFIG", &self.raw.log_config, |_| match &context.log_config {
            Some(Ok(text)) => log_config::parse(text).map_err(Into::into),
            Some(Err(error)) => Err(format!("a file that can be read: {error}").into()),
            None => Err("a file that can be read".into()),
        });
        let verbose = self.value("VERBOSE", &self.raw.verbose, parse::boolean);
        let debug = self.value("DEBUG", &self.raw.debug, parse::boolean);
        let level = if self.raw.log_level.is_none() && (verbose? || debug?) { LogLevel::Debug } else { level? };
        let (format, zone) = (format?.unwrap_or_else(|| default_format(context)), zone?);
        Some(match planned? {
            Some(plan) => Log::planned(plan, format, zone),
            None if lenient => Log { zone, ..Log::to_stderr(level, format) },
            None => Log::to_stderr(level, format),
        })
    }

    /// A boolean of k8s-sidecar: there, everything but `true` is false.
    pub(crate) fn truth(&mut self, name: &'static str, given: &Option<String>) -> Option<bool> {
        self.boolean(name, given, |text| text.eq_ignore_ascii_case("true"))
    }

    /// A boolean of k8s-sidecar that is true only when it is spelled in lower case there.
    pub(crate) fn exact_truth(&mut self, name: &'static str, given: &Option<String>) -> Option<bool> {
        self.boolean(name, given, |text| text == "true")
    }

    fn boolean(&mut self, name: &'static str, given: &Option<String>, is_true: impl Fn(&str) -> bool) -> Option<bool> {
        let Some(text) = given.as_deref().filter(|_| self.profile.reading == Reading::Sidecar) else {
            return self.value(name, given, parse::boolean);
        };
        if !is_true(text) && !text.eq_ignore_ascii_case("false") {
            self.warnings.push(format!("{name}={text:?} counts as false: only true, in lower case, is true everywhere"));
        }
        Some(is_true(text))
    }

    /// Notes a problem that no single value has. A setting that has a problem already gets no second one.
    pub(crate) fn note(&mut self, name: &'static str, text: &str) {
        let setting = table::find(name).filter(|setting| !self.problems.iter().any(|problem| problem.is_about(setting)));
        self.problems.extend(setting.map(|setting| Problem::other(setting, text)));
    }

    /// A setting that is required or has a default value.
    pub(crate) fn value<T>(
        &mut self,
        name: &'static str,
        given: &Option<String>,
        parse: impl FnOnce(&str) -> Result<T, Expected>,
    ) -> Option<T> {
        let setting = table::find(name)?;
        match given.as_deref().or_else(|| self.default_value(setting)) {
            Some(text) => self.parsed(setting, text, parse),
            None => {
                self.problems.push(Problem::missing(setting, setting.name));
                None
            }
        }
    }

    /// A setting that has a default value in some profiles, and may be absent in others: `Some(None)`.
    pub(crate) fn defaulted<T>(
        &mut self,
        name: &'static str,
        given: &Option<String>,
        parse: impl FnOnce(&str) -> Result<T, Expected>,
    ) -> Option<Option<T>> {
        let setting = table::find(name)?;
        match given.as_deref().or_else(|| self.default_value(setting)) {
            Some(text) => self.parsed(setting, text, parse).map(Some),
            None => Some(None),
        }
    }

    /// A setting that may be absent: `Some(None)`.
    pub(crate) fn optional<T>(
        &mut self,
        name: &'static str,
        given: &Option<String>,
        parse: impl FnOnce(&str) -> Result<T, Expected>,
    ) -> Option<Option<T>> {
        match given {
            None => Some(None),
            Some(text) => self.parsed(table::find(name)?, text, parse).map(Some),
        }
    }

    fn parsed<T>(&mut self, setting: &'static Setting, text: &str, parse: impl FnOnce(&str) -> Result<T, Expected>) -> Option<T> {
        self.given_as(setting, self.subject(setting.name), text, parse)
    }

    /// What gave a setting: its variable, or something else.
    pub(crate) fn subject(&self, name: &'static str) -> &'static str {
        self.given_by.get(name).copied().unwrap_or(name)
    }

    /// A value of a setting that something else than its variable gave, for example a flag: problems name that.
    pub(crate) fn given_as<T>(
        &mut self,
        setting: &'static Setting,
        subject: &str,
        text: &str,
        parse: impl FnOnce(&str) -> Result<T, Expected>,
    ) -> Option<T> {
        let parsed = match text.contains(char::REPLACEMENT_CHARACTER) {
            true => Err("text in UTF-8".into()),
            false => parse(text),
        };
        parsed.map_err(|expected| self.problems.push(Problem::value(setting, subject, text, &expected))).ok()
    }

    fn default_value(&self, setting: &Setting) -> Option<&'static str> {
        match self.profile.fallback(setting) {
            Fallback::Value(value) => Some(value),
            Fallback::Required | Fallback::Described(_) | Fallback::Unset => None,
        }
    }
}
