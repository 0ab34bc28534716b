//! `check`: settings, folder, what is told of changes, and permissions; each finding on a line of its own.

use std::error::Error as _;
use std::path::Path;
use std::process::ExitCode;

use rustix::fs::{Access, AtFlags, CWD, accessat};

use crate::api::ApiServer;
use crate::api::access::{Need, check as access};
use crate::app::followed::{Followed, followed, manifest_rules};
use crate::app::sources::apart;
use crate::app::told;
use crate::cli::OutputFormat;
use crate::commands::say;
use crate::config::problems::Problems;
use crate::config::{Config, Method, ObjectSource};
use crate::core::object::ObjectKey;
use crate::source::manifests;
use crate::tell::{self, Diagnostic, Level, WAYS};
use crate::web::error::with_causes;

/// What was found so far. A table is printed line by line, JSON at the end.
struct Findings {
    output: OutputFormat,
    found: Vec<Diagnostic>,
}

impl Findings {
    const fn new(output: OutputFormat) -> Self {
        Self { output, found: Vec::new() }
    }

    fn note(&mut self, level: Level, text: String) {
        let word = match level {
            Level::Ok => "ok",
            Level::Warning => "warning",
            Level::Problem => "PROBLEM",
        };
        if self.output == OutputFormat::Table {
            say(&format!("{word:<7}  {text}"));
        }
        self.found.push(Diagnostic { level, text });
    }

    fn ok(&mut self, text: String) {
        self.note(Level::Ok, text);
    }

    fn problem(&mut self, text: String) {
        self.note(Level::Problem, text);
    }

    /// 1 on any problem.
    fn end(&self) -> ExitCode {
        let ok = !self.found.iter().any(|finding| finding.level == Level::Problem);
        if self.output == OutputFormat::Json {
            say(&serde_json::json!({ "ok": ok, "findings": self.found }).to_string());
        }
        if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// Prints what is wrong with settings that cannot be used.
pub fn unusable(problems: &Problems, output: OutputFormat) -> ExitCode {
    let mut findings = Findings::new(output);
    problems.iter().for_each(|problem| findings.problem(problem.to_string()));
    findings.end()
}

/// Prints every finding. 1 on any problem.
pub async fn check(config: Config, output: OutputFormat) -> ExitCode {
    let mut findings = Findings::new(output);
    let selection = if config.projects() { config.selection() } else { "nothing is projected".to_owned() };
    findings.ok(format!("settings: {selection}"));
    if config.dry_run {
        findings.ok("DRY_RUN: nothing is changed, and nobody is told; what is found out is what would be needed otherwise".to_owned());
    }
    for warning in &config.warnings {
        findings.note(Level::Warning, format!("settings: {warning}"));
    }
    if config.projects() {
        folder(&config, &mut findings);
    }
    if let Some(folder) = told::place(&config).and_then(|place| place.path().parent().map(Path::to_path_buf)) {
        written("LEDGER", &folder, &config, &mut findings);
    }
    if !config.dry_run {
        reactions(&config, None, &mut findings).await;
    }
    match &config.source {
        ObjectSource::Manifests(path) => {
            source(&config, path, &mut findings);
            if let Err(overlap) = apart(&config).await {
                findings.problem(overlap.to_string());
            }
        }
        ObjectSource::Cluster { kubeconfig } => match ApiServer::connect(kubeconfig.as_deref(), config.verify).await {
            Ok(api) => {
                permissions(&config, &api, &mut findings).await;
                reactions(&config, Some(&api), &mut findings).await;
            }
            Err(error) => findings.problem(format!("API server: {}", with_causes(error.to_string(), error.source()))),
        },
    }
    findings.end()
}

/// What is found out about what tells the application.
async fn reactions(config: &Config, api: Option<&ApiServer>, findings: &mut Findings) {
    for way in WAYS {
        if let Some(Diagnostic { level, text }) = (way.check)(config, api).await {
            findings.note(level, text);
        }
    }
}

/// Reads every manifest, as `run` would.
fn source(config: &Config, path: &Path, findings: &mut Findings) {
    match manifests::broken(path, &manifest_rules(config)) {
        Err(error) => findings.problem(format!("SOURCE: {}: {error}", path.display())),
        Ok(broken) if broken.is_empty() => findings.ok(format!("SOURCE: {}", path.display())),
        Ok(broken) => broken.iter().for_each(|(file, why)| findings.problem(format!("SOURCE: {}: {why}", file.display()))),
    }
}

/// Tries a file in FOLDER, or in the nearest parent that exists, as FOLDER is made when it is missing.
fn folder(config: &Config, findings: &mut Findings) {
    let existing = config.folder.ancestors().find(|folder| folder.exists()).unwrap_or(&config.folder);
    let setting = match existing == config.folder {
        true => "FOLDER".to_owned(),
        false => format!("FOLDER={} is to be made", config.folder.display()),
    };
    written(&setting, existing, config, findings);
}

/// Whether a folder that a setting names can be written. Where nothing is to be changed the kernel is asked, which does not try.
fn written(setting: &str, existing: &Path, config: &Config, findings: &mut Findings) {
    if config.dry_run {
        match accessat(CWD, existing, Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS) {
            Ok(()) => findings.ok(format!("{setting}: {} could be written", existing.display())),
            Err(error) => findings.note(Level::Warning, format!("{setting}: {} could not be written: {error}", existing.display())),
        }
        return;
    }
    let probe = existing.join(format!("{}check.{:x}.tmp", crate::core::path::RESERVED_PREFIX, crate::core::backoff::random()));
    match std::fs::File::create_new(&probe) {
        Ok(_) => {
            // Made a moment ago by us.
            let _ = std::fs::remove_file(&probe);
            findings.ok(format!("{setting}: {} can be written", existing.display()));
        }
        Err(error) => findings.problem(format!("{setting}: {} cannot be written: {error}", existing.display())),
    }
}

async fn permissions(config: &Config, api: &ApiServer, findings: &mut Findings) {
    let needs = needs(config);
    for (Need { verb, group, resource, namespace, name }, may) in access(api, &needs).await {
        let resource = if group.is_empty() { (*resource).to_string() } else { format!("{resource}.{group}") };
        let resource = name.as_ref().map_or(resource.clone(), |name| format!("{resource}/{name}"));
        let what = format!("{verb} {resource} in {}", namespace.as_deref().unwrap_or("all namespaces"));
        match may {
            Ok(true) => findings.ok(format!("RBAC: may {what}")),
            Ok(false) => findings.problem(format!("RBAC: may not {what} (see rbac/)")),
            Err(failure) => findings.problem(format!("RBAC: {what}: {} says: {failure}", api.url())),
        }
    }
}

/// The permissions that this configuration uses: those of rbac/, no more. An object that is named needs no list.
fn needs(config: &Config) -> Vec<Need> {
    let kept = config.kept();
    let mut needs = Vec::new();
    for Followed { kind, namespace, name } in followed(config) {
        let is_named =
            |key: &ObjectKey| key.kind == kind && namespace.as_deref() == Some(&*key.namespace) && name.as_deref() == Some(&*key.name);
        let mut verbs = vec!["get"];
        if name.is_none() {
            verbs.push("list");
        }
        // What RESOURCE_NAME names may be read again and again instead, as roles for the original have it.
        if config.method == Method::Watch && (name.is_none() || config.objects.iter().any(is_named)) {
            verbs.push("watch");
        }
        if config.finalizers.is_some() && !kept.iter().any(is_named) {
            verbs.push("patch");
        }
        let need = |verb| Need { verb, group: "", resource: kind.plural(), namespace: namespace.clone(), name: name.clone() };
        needs.extend(verbs.into_iter().map(need));
    }
    needs.extend(WAYS.iter().flat_map(|way| (way.needs)(config)));
    if let Some(own) = config.guarded_home() {
        needs.push(Need { verb: "get", group: "", resource: "namespaces", namespace: Some(own.to_owned()), name: Some(own.to_owned()) });
    }
    if config.event_logging {
        // Events about a pod are in its namespace, our own one too.
        let exec = config.exec.as_ref().map(|exec| Some(exec.namespace.clone()));
        let own = config.own_namespace.clone().filter(|_| tell::is_set(config));
        let mut namespaces = config.places().1.each();
        for other in exec.into_iter().chain(own.map(Some)) {
            if namespaces.iter().all(|known| known.is_some() && *known != other) {
                namespaces.push(other);
            }
        }
        for namespace in namespaces {
            let need = |verb| Need { verb, group: "events.k8s.io", resource: "events", namespace: namespace.clone(), name: None };
            needs.extend(["create", "patch"].map(need));
        }
    }
    needs
}
