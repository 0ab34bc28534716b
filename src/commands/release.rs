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
    let told_only = dry_run || settings.dry_run;
    let mode = if told_only { ReleaseMode::DryRun } else { ReleaseMode::Apply };
    let released = strip(&api, &Collection::all(&settings.kinds, &settings.namespaces), &which, mode).await;
    for (object, error) in &released.failed {
        say(&format!("FAILED    {object}: {error}"));
    }
    for (scope, failure) in &released.unlisted {
        let namespace = scope.namespace.as_deref().unwrap_or("all namespaces");
        say(&format!("UNLISTED  {} in {namespace}: {failure}", scope.kind.plural()));
    }
    let done = if told_only { "would be released" } else { "released" };
    let listed = if told_only { &released.found } else { &released.released };
    for object in listed {
        say(&format!("{done}  {object}"));
    }
    say(&format!("{} of {} objects {done}", listed.len(), released.found.len()));
    // Whoever asks for a release, and does not mean this one to be dry, waits for what it does.
    let is_left = settings.dry_run && !dry_run && !released.found.is_empty();
    if is_left {
        say("DRY_RUN=true: nothing was released");
    }
    Ok(if released.is_complete() && !is_left { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
