//! From the configuration to running reactions.

use crate::app::sources;
use crate::config::{Config, Method};
use crate::core::retry::Retry;
use crate::health::Health;
use crate::react::child;
use crate::react::http::Request;
use crate::react::runner::{self, Runner, Setup, Triggers};
use crate::react::script::Script;
use crate::react::signal::Signal;
use crate::react::{Reaction, runner::PACE};
use crate::web::Client;

/// Starts what follows a change, if anything does: the script, the signal, the child, then the request by this client.
pub fn start(config: &Config, client: Option<&Client>, child: Option<&child::Handle>, health: &Health) -> Option<Runner> {
    let mut reactions: Vec<Box<dyn Reaction>> = Vec::new();
    if let Some(script) = &config.script {
        reactions.push(Box::new(Script::new(script.clone(), config.wording)));
    }
    if let Some(signal) = &config.signal {
        reactions.push(Box::new(Signal::new(signal.clone(), config.web.retry)));
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
        reactions.push(Box::new(Request::new(call, client.clone(), retry, config.wording)));
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
    Some(runner::start(reactions, Setup { batching: config.batching, triggers, groups, roots, pace: PACE, health }))
}
