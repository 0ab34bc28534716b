//! `release`: takes our finalizer off every object, for uninstalling.

use std::process::ExitCode;

use crate::api::ApiServer;
use crate::api::metadata::Collection;
use crate::commands::say;
use crate::config::read::release::{Release, ReleaseScope};
use crate::report::patch::FinalizerSelector;
use crate::report::release::{ReleaseMode, release as strip};

/// Releases, and says what became of each object that could not be.
///
/// # Errors
/// No usable API server.
pub async fn release(settings: Release, dry_run: bool) -> anyhow::Result<ExitCode> {
    let api = ApiServer::connect(settings.kubeconfig.as_deref(), settings.verify).await?;
    let which = FinalizerSelector { names: settings.names.clone(), whole_domain: settings.scope == ReleaseScope::Domain };
    let mode = if dry_run { ReleaseMode::DryRun } else { ReleaseMode::Apply };
    let released = strip(&api, &Collection::all(&settings.kinds, &settings.namespaces), &which, mode).await;
    for (object, error) in &released.failed {
        say(&format!("FAILED    {object}: {error}"));
    }
    for (scope, failure) in &released.unlisted {
        let namespace = scope.namespace.as_deref().unwrap_or("all namespaces");
        say(&format!("UNLISTED  {} in {namespace}: {failure}", scope.kind.plural()));
    }
    let done = if dry_run { "would be released" } else { "released" };
    let listed = if dry_run { &released.found } else { &released.released };
    for object in listed {
        say(&format!("{done}  {object}"));
    }
    say(&format!("{} of {} objects {done}", listed.len(), released.found.len()));
    Ok(if released.is_complete() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
