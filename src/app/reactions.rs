//! From the configuration to running reactions.

use crate::app::sources;
use crate::config::{Config, Method};
use crate::core::retry::Retry;
use crate::health::Health;
use crate::react::Reaction;
use crate::react::child;
use crate::react::exec::Exec;
use crate::react::http::Request;
use crate::react::pods::Pods;
use crate::react::runner::{self, Runner, Setup, Triggers};
use crate::react::script::Script;
use crate::react::signal::Signal;
use crate::source::api::ApiServer;
use crate::status::events::EventSender;
use crate::web::Client;

/// By what means reactions tell whom.
pub struct Means<'a> {
    /// Asks servers other than the API.
    pub client: Option<&'a Client>,
    /// Lists pods, and runs commands in them.
    pub api: Option<&'a ApiServer>,
    /// Tells of them.
    pub events: Option<EventSender>,
    /// The application, if it is our child.
    pub child: Option<&'a child::Handle>,
    /// Where it is told that a reload failed.
    pub health: &'a Health,
}

/// Starts what follows a change, if anything does: the script, the signal, the child, the request, then the command in pods.
pub fn start(config: &Config, means: Means<'_>) -> Option<Runner> {
    let Means { client, api, events, child, health } = means;
    let mut reactions: Vec<Box<dyn Reaction>> = Vec::new();
    if let Some(script) = &config.script {
        reactions.push(Box::new(Script::new(script.clone(), config.wording).with_backoff(config.web.retry.backoff)));
    }
    if let Some(signal) = &config.signal {
        reactions.push(Box::new(Signal::new(signal.clone())));
    }
    if let Some(child) = child {
        reactions.push(Box::new(child::Reload::new(child.clone())));
    }
    if let (Some(call), Some(client)) = (&config.call, client) {
        let (mut call, mut retry) = (call.clone(), config.web.retry);
        if config.method == Method::List {
            // There is only the initial pass, and whoever waits for it to end waits for the bounds of retries too.
            call.skips_initial = false;
            retry = Retry { connect: retry.connect.min(retry.total), ..retry };
        }
        reactions.push(match (&config.asked_pods, api) {
            (Some(pods), Some(api)) => Box::new(Pods::new(call, pods.clone(), api.clone(), client.clone(), (retry, config.wording))),
            _ => Box::new(Request::new(call, client.clone(), retry, config.wording)),
        });
    }
    if let (Some(exec), Some(api)) = (&config.exec, api) {
        let exec = Exec::new(exec.clone(), api.clone(), events, config.web.retry.backoff);
        reactions.push(Box::new(if config.triggers.files { exec } else { exec.without_files() }));
    }
    if reactions.is_empty() {
        return None;
    }
    let triggers = match config.method {
        Method::Watch => Triggers::Events,
        Method::List | Method::Sleep(_) => Triggers::Lists,
    };
    let roots = super::settings(config).rules.roots;
    let (groups, health) = (sources::groups(config), Some(health.clone()));
    Some(runner::start(reactions, Setup { batching: config.batching, triggers, groups, roots, wall: runner::wall(), health }))
}
