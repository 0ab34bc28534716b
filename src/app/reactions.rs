//! From the configuration to running reactions.

use crate::api::ApiServer;
use crate::app::followed;
use crate::config::{Config, Method};
use crate::core::backoff::random;
use crate::core::spread::Spread;
use crate::health::Health;
use crate::metrics::Metrics;
use crate::status::board::Board;
use crate::tell::herald::Herald;
use crate::tell::runner::{self, Grouping, Runner, Setup, Telling, Witness};
use crate::tell::{self, Means};

/// Starts what follows a change, if anything does.
pub(crate) fn start(config: &Config, means: &Means<'_>, (health, metrics): (&Health, &Metrics), board: Option<&Board>) -> Option<Runner> {
    let reactions = tell::reactions(config, means);
    if reactions.is_empty() {
        return None;
    }
    metrics.tells();
    let grouping = match config.method {
        Method::Watch => Grouping::ByObject,
        Method::List | Method::Sleep(_) => Grouping::ByList,
    };
    let setup = Setup {
        batching: config.timing.batching,
        grouping,
        groups: followed::groups(config),
        roots: super::settings(config).rules.roots,
        spread: Spread::new(config.timing.jitter, random()),
        wall: runner::wall(),
        health: Some(health.clone()),
        metrics: metrics.clone(),
        herald: means.events.clone().zip(means.api.and_then(ApiServer::pod)).and_then(|(events, pod)| Herald::new(events, pod)),
        witness: board.cloned().map(|board| Box::new(move |telling: &Telling<'_>| board.tell(telling)) as Witness),
    };
    Some(runner::start(reactions, setup))
}
