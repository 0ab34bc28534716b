//! `plan`: what would be written, replaced and removed, and why. Writes nothing, takes no lock.

use std::process::ExitCode;
use std::time::Duration;

use serde::Serialize;
use tokio::time::{Instant, timeout_at};

use crate::api::ApiServer;
use crate::app::sources::{self, Sources};
use crate::app::{self, place, settings};
use crate::cli::OutputFormat;
use crate::commands::say;
use crate::config::{Config, Method, ObjectSource};
use crate::core::files::entry::Replace;
use crate::core::path::TargetPath;
use crate::disk::dry::RunFs;
use crate::disk::locks;
use crate::engine::preview::Preview;
use crate::health::Health;
use crate::source::mailbox::Mailbox;

/// Lists must be complete within this.
const WITHIN: Duration = Duration::from_secs(60);

#[derive(Serialize)]
struct Row {
    action: &'static str,
    path: String,
    object: String,
    why: String,
}

/// Prints the plan. 0: nothing to do, 2: changes pending, 1: not everything could be seen, whatever is pending.
///
/// # Errors
/// No usable API server.
pub async fn plan(config: Config, output: OutputFormat) -> anyhow::Result<ExitCode> {
    if !config.projects() {
        match output {
            OutputFormat::Json => say(&serde_json::json!({ "pending": false, "incomplete": [], "steps": [] }).to_string()),
            OutputFormat::Table => table(&[], &[]),
        }
        return Ok(ExitCode::SUCCESS);
    }
    sources::apart(&config).await?;
    let api = match &config.source {
        ObjectSource::Cluster { kubeconfig } => Some(ApiServer::connect(kubeconfig.as_deref(), config.verify).await?),
        ObjectSource::Manifests(_) => None,
    };
    let place = place(&config, api.as_ref().and_then(ApiServer::pod).map(|pod| pod.uid));
    let mut preview = app::preview(&config, place, locks::held);
    let (mailbox, health) = (Mailbox::default(), Health::new(None));
    let mut sources = Sources::start(&config, api, &mailbox, &health, Method::List);
    let deadline = Instant::now() + WITHIN;
    let mut incomplete = Vec::new();
    while !(preview.store().settled() || sources.all_ended() && mailbox.is_empty()) {
        match timeout_at(deadline.min(Instant::now() + Duration::from_millis(50)), mailbox.arrived()).await {
            Ok(()) => preview.fold(mailbox.take()),
            Err(_) if Instant::now() >= deadline => {
                incomplete.push(format!("no complete list within {} s", WITHIN.as_secs()));
                break;
            }
            Err(_) => {}
        }
    }
    preview.fold(mailbox.take());
    match (preview.store().refused(), &config.source) {
        (true, ObjectSource::Cluster { .. }) => incomplete.push("not every kind or namespace could be listed".to_owned()),
        (true, ObjectSource::Manifests(_)) => incomplete.extend(sources.failures().await),
        (false, _) if incomplete.is_empty() => incomplete.extend(sources.failures().await),
        (false, _) => {}
    }
    if !incomplete.is_empty() {
        incomplete.extend(health.report().troubles());
    }
    let rows = rows(&mut preview, &config);
    let pending = rows.iter().any(|row| !matches!(row.action, "conflict" | "rejected" | "blocked"));
    match output {
        OutputFormat::Json => {
            say(&serde_json::to_string_pretty(&serde_json::json!({ "pending": pending, "incomplete": incomplete, "steps": rows }))?)
        }
        OutputFormat::Table => table(&rows, &incomplete),
    }
    Ok(match (incomplete.is_empty(), pending) {
        (false, _) => ExitCode::FAILURE,
        (true, true) => ExitCode::from(2),
        (true, false) => ExitCode::SUCCESS,
    })
}

fn rows(preview: &mut Preview<RunFs>, config: &Config) -> Vec<Row> {
    let plan = preview.plan();
    let roots = settings(config).rules.roots;
    let owner =
        |path: &TargetPath| preview.store().path(path).and_then(|entry| entry.owner.as_ref()).map(ToString::to_string).unwrap_or_default();
    let row = |action, path: &TargetPath, object: String, why: String| Row { action, path: roots.show(path.as_str()), object, why };
    let mut rows = Vec::new();
    rows.extend(plan.remove.iter().map(|(path, because)| row("remove", path, owner(path), because.to_string())));
    for write in &plan.write {
        let (action, why) = match (write.replace, write.because) {
            (Replace::Nothing, _) => ("write", write.because.to_string()),
            (Replace::Ours, because) => ("replace", because.to_string()),
            (Replace::Foreign, because) => ("replace", format!("foreign file, {because}")),
        };
        rows.push(row(action, &write.path, write.owner.to_string(), why));
    }
    for (path, object) in &plan.own {
        let is_its = preview.store().path(path).is_some_and(|entry| entry.owner.as_ref() == Some(object));
        let why = if is_its { "right already, on-delete is not in the ledger" } else { "right already, not in the ledger for this object" };
        rows.push(row("adopt", path, object.to_string(), why.to_owned()));
    }
    rows.extend(plan.blocked.iter().map(|blocked| row("blocked", &blocked.path, blocked.owner.to_string(), blocked.by.to_string())));
    for (path, conflict) in plan.conflicts.iter().filter_map(|(path, conflict)| Some((path, conflict.as_ref()?))) {
        let why = format!("{} keeps the path (CONFLICT={})", conflict.winner, config.ownership.conflict);
        rows.extend(conflict.losers.iter().map(|loser| row("conflict", path, loser.to_string(), why.clone())));
    }
    for (object, rejections) in preview.rejected() {
        rows.extend(rejections.iter().map(|rejection| Row {
            action: "rejected",
            path: rejection.key.as_deref().unwrap_or("(all keys)").to_owned(),
            object: object.to_string(),
            why: rejection.why.to_string(),
        }));
    }
    rows
}

fn table(rows: &[Row], incomplete: &[String]) {
    if !rows.is_empty() {
        lines(rows);
    } else if incomplete.is_empty() {
        say("Nothing to do.");
    }
    incomplete.iter().for_each(|why| say(&format!("incomplete: {why}")));
}

fn lines(rows: &[Row]) {
    let width = |column: fn(&Row) -> usize, title: &str| rows.iter().map(column).max().unwrap_or_default().max(title.len());
    let (path, object) = (width(|row| row.path.len(), "PATH"), width(|row| row.object.len(), "OBJECT"));
    say(&format!("{:<8}  {:<path$}  {:<object$}  WHY", "ACTION", "PATH", "OBJECT"));
    for row in rows {
        say(&format!("{:<8}  {:<path$}  {:<object$}  {}", row.action, row.path, row.object, row.why));
    }
}
