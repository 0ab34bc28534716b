//! `check`: settings, folder and permissions, each finding on a line of its own.

use std::process::ExitCode;

use crate::app::sources::{Followed, apart, followed};
use crate::commands::say;
use crate::config::{Config, Method, Origin};
use crate::core::object::ObjectKey;
use crate::source::api::ApiServer;
use crate::source::manifests::places;
use crate::status::access::{Need, Verdict, check as access};

/// Prints every finding. 1 on any problem.
pub async fn check(config: Config) -> ExitCode {
    let selection = if config.projects() { config.selection() } else { "nothing is projected".to_owned() };
    say(&format!("ok       settings: {selection}"));
    let mut problems = 0;
    for warning in &config.warnings {
        say(&format!("warning  settings: {warning}"));
    }
    if config.projects() {
        problems += folder(&config);
    }
    match &config.origin {
        Origin::Manifests(path) => {
            match places::look(path) {
                Ok(()) => say(&format!("ok       SOURCE: {}", path.display())),
                Err(error) => problems += problem(&format!("SOURCE: {}: {error}", path.display())),
            }
            if let Err(overlap) = apart(&config).await {
                problems += problem(&overlap.to_string());
            }
        }
        Origin::Cluster { kubeconfig } => match ApiServer::connect(kubeconfig.as_deref(), config.verify).await {
            Ok(api) => problems += permissions(&config, &api).await,
            Err(error) => problems += problem(&format!("API server: {:#}", anyhow::Error::new(error))),
        },
    }
    match problems {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

fn problem(text: &str) -> u32 {
    say(&format!("PROBLEM  {text}"));
    1
}

/// Tries a file in FOLDER, or in the nearest parent that exists, as FOLDER is made when it is missing.
fn folder(config: &Config) -> u32 {
    let existing = config.folder.ancestors().find(|folder| folder.exists()).unwrap_or(&config.folder);
    let probe = existing.join(format!("{}check.{:x}.tmp", crate::core::path::RESERVED_PREFIX, crate::status::random()));
    match std::fs::File::create_new(&probe) {
        Ok(_) => {
            // Made a moment ago by us.
            let _ = std::fs::remove_file(&probe);
            say(&format!("ok       FOLDER: {} can be written", existing.display()));
            0
        }
        Err(error) => problem(&format!("FOLDER: {} cannot be written: {error}", existing.display())),
    }
}

async fn permissions(config: &Config, api: &ApiServer) -> u32 {
    let needs = needs(config);
    let mut problems = 0;
    for finding in access(api, &needs).await {
        let Need { verb, group, resource, namespace, name } = &finding.need;
        let resource = if group.is_empty() { (*resource).to_string() } else { format!("{resource}.{group}") };
        let resource = name.as_ref().map_or(resource.clone(), |name| format!("{resource}/{name}"));
        let what = format!("{verb} {resource} in {}", namespace.as_deref().unwrap_or("all namespaces"));
        match &finding.verdict {
            Verdict::Allowed => say(&format!("ok       RBAC: may {what}")),
            Verdict::Denied => problems += problem(&format!("RBAC: may not {what} (see rbac/)")),
            Verdict::Unknown(failure) => problems += problem(&format!("RBAC: {what}: {} says: {failure}", api.url())),
        }
    }
    problems
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
    let exec = config.exec.as_ref().map(|exec| Some(exec.namespace.clone()));
    if let Some(namespace) = &exec {
        let need = |(verb, resource)| Need { verb, group: "", resource, namespace: namespace.clone(), name: None };
        needs.extend([("list", "pods"), ("get", "pods/exec"), ("create", "pods/exec")].map(need));
        let watched = config.triggers.watched().flat_map(|resource| [("list", resource), ("watch", resource)]);
        needs.extend(watched.filter(|known| *known != ("list", "pods")).map(need));
    }
    if let Some(own) = config.guarded_home() {
        needs.push(Need { verb: "get", group: "", resource: "namespaces", namespace: Some(own.to_owned()), name: Some(own.to_owned()) });
    }
    if config.event_logging {
        // Events about a pod are in its namespace.
        let projected = config.places().1.each();
        let others = exec.filter(|namespace| projected.iter().all(|known| known.is_some() && known != namespace));
        for namespace in projected.into_iter().chain(others) {
            let need = |verb| Need { verb, group: "events.k8s.io", resource: "events", namespace: namespace.clone(), name: None };
            needs.extend(["create", "patch"].map(need));
        }
    }
    needs
}
