//! Instances for which nothing may fire.

use std::time::Duration;

use crate::common::{Setup, put};
use crate::monitoring::bench::{Instance, Stand};
use crate::monitoring::hurried::MINUTE;
use crate::support::*;

/// How long the API server is away.
const AWAY: Duration = MINUTE.saturating_mul(2);
/// How often others are scraped before something happens to these, as it would in the midst of their lives.
const MIDST: f64 = 20.0;

/// All of them.
pub const HEALTHY: &[Instance] = &[
    Instance { name: "idle", alerts: &[], live: idle },
    Instance { name: "just-started", alerts: &[], live: just_started },
    Instance { name: "never-reloading", alerts: &[], live: never_reloading },
    Instance { name: "away", alerts: &[], live: away },
    Instance { name: "busy", alerts: &[], live: busy },
    Instance { name: "by-name", alerts: &[], live: by_name },
    Instance { name: "rejecting", alerts: &[], live: rejecting },
];

/// Nothing happens.
fn idle(stand: &Stand<'_>) {
    let setup = Setup::in_process();
    setup.cluster.configmap("a", &[("rules", "")]).create();
    let _projector = stand.start(setup.projector());
    stand.stay();
}

/// Others have been there for long.
fn just_started(stand: &Stand<'_>) {
    let setup = Setup::in_process();
    setup.cluster.configmap("a", &[("rules", "")]).create();
    stand.scraped(MIDST);
    let _projector = stand.start(setup.projector());
    stand.stay();
}

/// It could tell somebody, and nothing changes.
fn never_reloading(stand: &Stand<'_>) {
    let (setup, web) = (Setup::in_process(), WebServer::start());
    setup.cluster.configmap("a", &[("rules", "")]).create();
    let _projector = stand.start(setup.projector().env("REQ_URL", &web.url("/reload")).env("REQ_SKIP_INIT", "true"));
    stand.stay();
    assert_eq!(web.count("/reload"), 0);
}

/// The API server is away for two minutes; then everything goes on.
fn away(stand: &Stand<'_>) {
    let (setup, web) = (Setup::in_process(), WebServer::start());
    web.on("/reload", Answer::ok(""));
    let _projector = stand.start(setup.projector().env("REQ_URL", &web.url("/reload")));
    stand.scraped(MIDST);
    setup.cluster.server().stop();
    stand.pass(AWAY.as_secs_f64());
    setup.cluster.server().restart();
    setup.cluster.configmap("a", &[("rules", "1")]).create();
    setup.holds(&tree! { "rules" => "1" });
    stand.stay();
}

/// A key cannot be a file. That is told in an Event, and shown; no alert is for it.
fn rejecting(stand: &Stand<'_>) {
    let setup = Setup::in_process();
    setup.cluster.configmap("a", &[("rules", ""), ("packed.gz", "not packed")]).create();
    let _projector = stand.start(setup.projector().env("GZIP_KEYS", "true"));
    stand.wait("projector_rejections", |rejections| rejections == 1.0);
    stand.stay();
}

/// It may read its object by name, and nothing else: it asks for a list first, each time, and is refused.
fn by_name(stand: &Stand<'_>) {
    let setup = Setup::in_process();
    setup.cluster.configmap("a", &[("rules", "")]).create();
    let account = setup.cluster.restricted(&[("", "configmaps", &["get"])]);
    let object = format!("configmap/{}/a", setup.cluster.namespace());
    let builder = setup.projector().kubeconfig(&account.kubeconfig).without("LABEL").without("NAMESPACE").env("OBJECT", &object);
    let _projector = stand.start(builder.env("FINALIZERS", "false").env("SLEEP_TIME", "1"));
    stand.stay();
}

/// Files change all the time, and a script tells of it.
fn busy(stand: &Stand<'_>) {
    let setup = Setup::in_process();
    let script = setup.beside("script");
    put(&script, ":");
    setup.cluster.configmap("a", &[("rules", "")]).create();
    let builder = setup.projector().env("SCRIPT", &script.display().to_string()).env("PATH", "/usr/bin:/bin");
    let _projector = stand.start(builder);
    stand.settle();
    for version in 0.. {
        let (written, version) = (stand.wait("projector_file_writes_total", |_| true), version.to_string());
        setup.cluster.set_data("a", &[("rules", &version)]);
        setup.holds(&tree! { "rules" => version.as_str() });
        stand.wait_or_end("projector_file_writes_total", |now| now > written);
        if stand.is_over() {
            return;
        }
    }
}
