//! From the configuration to running reactions.

use std::env;

use crate::api::ApiServer;
use crate::app::sources;
use crate::config::read::reload::{self, Environment};
use crate::config::{Config, Method, table};
use crate::core::backoff::random;
use crate::core::discretion::Discretion;
use crate::core::retry::Retry;
use crate::core::spread::Spread;
use crate::health::Health;
use crate::report::events::EventSender;
use crate::tell::Reaction;
use crate::tell::child;
use crate::tell::exec::Exec;
use crate::tell::herald::Herald;
use crate::tell::http::{Asker, Request};
use crate::tell::pods::Pods;
use crate::tell::runner::{self, Grouping, Runner, Setup};
use crate::tell::script::Script;
use crate::tell::signal::Signal;
use crate::web::Client;

/// By what means reactions tell whom.
pub(crate) struct Means<'a> {
    /// Asks servers other than the API.
    pub(crate) client: Option<&'a Client>,
    /// Lists pods, and runs commands in them.
    pub(crate) api: Option<&'a ApiServer>,
    /// Tells of them.
    pub(crate) events: Option<EventSender>,
    /// The application, if it is our child.
    pub(crate) child: Option<&'a child::Handle>,
    /// Where it is told that a reload failed.
    pub(crate) health: &'a Health,
    /// What may be repeated of what is said.
    pub(crate) discretion: &'a Discretion,
}

/// Starts what follows a change, if anything does: the script, the signal, the child, the request, then the command in pods.
pub(crate) fn start(config: &Config, means: Means<'_>) -> Option<Runner> {
    let Means { client, api, events, child, health, discretion } = means;
    let herald = events.clone().zip(api.and_then(ApiServer::pod)).and_then(|(events, pod)| Herald::new(events, pod));
    let mut reactions: Vec<Box<dyn Reaction>> = Vec::new();
    if let Some(script) = &config.script {
        let listener = discretion.listener().of_who_knows_more(inherits_secrets(script));
        reactions.push(Box::new(Script::new(script.clone(), config.wording, listener, config.web.retry.backoff)));
    }
    if let Some(signal) = &config.signal {
        reactions.push(Box::new(Signal::new(signal.clone())));
    }
    if let Some(child) = child {
        reactions.push(Box::new(child::Reload::new(child.clone())));
    }
    if let (Some(call), Some(client)) = (&config.request, client) {
        let (mut call, mut retry) = (call.clone(), config.web.retry);
        if config.method == Method::List {
            // There is only the initial pass, and whoever waits for it to end waits for the bounds of retries too.
            call.skips_initial = false;
            retry = Retry { connect: retry.connect.min(retry.total), ..retry };
        }
        let asker = Asker::new(call, client.clone(), config.wording, discretion.listener());
        reactions.push(match (&config.asked_pods, api) {
            (Some(pods), Some(api)) => Box::new(Pods::new(asker, pods.clone(), api.clone(), retry)),
            _ => Box::new(Request::new(asker, retry)),
        });
    }
    if let (Some(exec), Some(api)) = (&config.exec, api) {
        let exec = Exec::new(exec.clone(), api.clone(), events, discretion.listener(), config.web.retry.backoff);
        reactions.push(Box::new(if config.triggers.files { exec } else { exec.without_files() }));
    }
    if reactions.is_empty() {
        return None;
    }
    let grouping = match config.method {
        Method::Watch => Grouping::ByObject,
        Method::List | Method::Sleep(_) => Grouping::ByList,
    };
    let spread = Spread::new(config.timing.jitter, random());
    let roots = super::settings(config).rules.roots;
    let (groups, health) = (sources::groups(config), Some(health.clone()));
    let setup = Setup { batching: config.timing.batching, grouping, groups, roots, spread, wall: runner::wall(), health, herald };
    Some(runner::start(reactions, setup))
}

/// Whether a script has secrets of ours in its environment, which it prints as soon as it prints what it runs.
fn inherits_secrets(script: &reload::ScriptSettings) -> bool {
    let is_told = |name: &&str| match env::var_os(name) {
        // The script may know where the application listens, but not with what it is asked there.
        Some(value) if name.ends_with("_URL") => value.to_string_lossy().contains(['@', '?']),
        value => value.is_some_and(|value| !value.is_empty()),
    };
    script.environment == Environment::All && table::SECRETS.iter().any(is_told)
}
